"""The interface that every potential has: energies, forces and stresses of a batch of crystals."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.errors import UnsupportedElementError
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

__all__ = (
    'EV_PER_CUBIC_ANGSTROM_IN_GPA',
    'AtomArrays',
    'Evaluation',
    'NeighbourPotential',
    'Neighbours',
    'Potential',
    'PotentialFiles',
)

#: 1 eV/A^3 in GPa, from the exact SI value of the elementary charge.
EV_PER_CUBIC_ANGSTROM_IN_GPA = 160.21766208


@dataclasses.dataclass(frozen=True)
class PotentialFiles:
    """The files of a potential, by content, so that they can be held by a node as well as by a directory.

    :param name: what people call the potential.
    :param kind: architecture, ``chgnet``, ``m3gnet`` or ``tensornet``; ``ase`` for a calculator of ASE.
    :param files: file name to content.
    """

    name: str
    kind: str
    files: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """Return the hash of the sorted file names and contents; the name of the potential does not enter."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(f'{name}\0{len(self.files[name])}\0'.encode())
            digest.update(self.files[name])
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class AtomArrays:
    """A crystal as bare arrays.

    :param numbers: atomic numbers, (n,).
    :param lattice: lattice vectors as rows, in A, (3, 3).
    :param positions: Cartesian coordinates in A, (n, 3).
    """

    numbers: NDArray[np.int64]
    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]

    @classmethod
    def from_structure(cls, structure: Structure) -> AtomArrays:
        """Take the arrays out of an ordered pymatgen structure."""
        return cls(
            numbers=np.array([site.specie.Z for site in structure], dtype=np.int64),
            lattice=np.array(structure.lattice.matrix, dtype=np.float64),
            positions=np.array(structure.cart_coords, dtype=np.float64),
        )


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a potential says about a batch.

    :param energies: eV per structure, (n,).
    :param forces: one (atoms, 3) array per structure, in eV/A.
    :param stresses: derivative of the energy with respect to strain over the volume, in eV/A^3, (n, 3, 3);
        negative where the crystal wants to expand.
    """

    energies: NDArray[np.float64]
    forces: tuple[NDArray[np.float64], ...]
    stresses: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """All neighbours of a batch of crystals within a cutoff, the atoms numbered through.

    :param numbers: atomic numbers, (atoms,).
    :param owners: crystal that each atom belongs to, (atoms,).
    :param lattices: lattice vectors as rows in A, (crystals, 3, 3).
    :param positions: Cartesian coordinates in A, (atoms, 3).
    :param fractional: fractional coordinates, not wrapped, (atoms, 3).
    :param centers: first atom of each directed pair, ascending, (pairs,).
    :param neighbours: second atom, (pairs,).
    :param images: lattice translations of the second atom, (pairs, 3).
    :param distances: lengths of the pairs in A, (pairs,).
    """

    numbers: NDArray[np.int64]
    owners: NDArray[np.int64]
    lattices: NDArray[np.float64]
    positions: NDArray[np.float64]
    fractional: NDArray[np.float64]
    centers: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    images: NDArray[np.int64]
    distances: NDArray[np.float64]

    @classmethod
    def of(cls, crystals: Sequence[AtomArrays], cutoff: float) -> Neighbours:
        """Find the neighbours of every atom of every crystal.

        :param crystals: at least one crystal.
        :param cutoff: largest distance in A.
        """
        from pymatgen.optimization.neighbors import find_points_in_spheres

        periodic = np.ones(3, dtype=np.int64)
        pairs = []
        offset = 0
        for crystal in crystals:
            center, neighbour, image, distance = find_points_in_spheres(
                crystal.positions, crystal.positions, r=cutoff, pbc=periodic, lattice=crystal.lattice, tol=1e-8
            )
            real = (center != neighbour) | (distance > 1e-8)
            pairs.append((center[real] + offset, neighbour[real] + offset, image[real], distance[real]))
            offset += len(crystal.numbers)
        centers, neighbours, images, distances = (np.concatenate(columns) for columns in zip(*pairs, strict=True))
        return cls(
            numbers=np.concatenate([crystal.numbers for crystal in crystals]),
            owners=np.repeat(np.arange(len(crystals)), [len(crystal.numbers) for crystal in crystals]),
            lattices=np.stack([crystal.lattice for crystal in crystals]),
            positions=np.concatenate([crystal.positions for crystal in crystals]),
            fractional=np.concatenate([crystal.positions @ np.linalg.inv(crystal.lattice) for crystal in crystals]),
            centers=centers.astype(np.int64),
            neighbours=neighbours.astype(np.int64),
            images=images.astype(np.int64),
            distances=distances,
        )


class Potential(abc.ABC):
    """An interatomic potential that is ready for use.

    :param files: what it was made from.
    :param elements: symbols of the elements that it knows.
    :param convention: on which atom of a pair messages are summed, ``source``, ``destination`` or, where the
        architecture leaves no choice, ``none``.
    :param version: package and version that evaluates it.
    :param device: of torch, on which it is evaluated.
    """

    def __init__(
        self,
        files: PotentialFiles,
        *,
        elements: frozenset[str],
        convention: str,
        version: str,
        device: str = 'cpu',
    ) -> None:
        self.name = files.name
        self.kind = files.kind
        self.sha256 = files.sha256
        self.elements = elements
        self.convention = convention
        self.version = version
        self.device = device

    @property
    def facts(self) -> dict[str, str]:
        """Return what a result says of the potential."""
        from aiida_alphacrystal.engine.relax.references import correction_scheme

        named = {fact: getattr(self, fact) for fact in ('name', 'kind', 'sha256', 'convention', 'version')}
        return {**named, 'corrections': correction_scheme(self.sha256)}

    def evaluate(self, structures: Sequence[Structure]) -> Evaluation:
        """Return energies, forces and stresses of a batch of ordered structures.

        :param structures: pymatgen structures.
        :raises UnsupportedElementError: if one holds an element that the potential does not know.
        """
        self.check_elements({site.specie.symbol for structure in structures for site in structure})
        return self.evaluate_crystals([AtomArrays.from_structure(structure) for structure in structures])

    def energy_per_atom(self, structure: Structure) -> float:
        """Return the energy of one ordered structure as it is, eV/atom.

        :param structure: pymatgen structure.
        :raises UnsupportedElementError: if it holds an element that the potential does not know.
        """
        return float(self.evaluate([structure]).energies[0]) / len(structure)

    def evaluate_crystals(self, crystals: Sequence[AtomArrays]) -> Evaluation:
        """Return energies, forces and stresses of crystals whose elements the potential knows.

        :param crystals: bare arrays; all are evaluated in one pass.
        """
        if not crystals:
            return Evaluation(np.zeros(0), (), np.zeros((0, 3, 3)))
        with one_thread():
            return self._evaluate(crystals)

    def check_elements(self, symbols: set[str] | frozenset[str]) -> None:
        """Raise if an element is unknown to the potential.

        :param symbols: element symbols.
        :raises UnsupportedElementError: naming the elements.
        """
        unknown = sorted(symbols - self.elements)
        if unknown:
            raise UnsupportedElementError(
                f'The potential {self.name} does not know {", ".join(unknown)}: '
                'choose another potential or a formula without it.'
            )

    @abc.abstractmethod
    def _evaluate(self, crystals: Sequence[AtomArrays]) -> Evaluation:
        """Return energies, forces and stresses of at least one crystal."""


class NeighbourPotential(Potential):
    """A potential that works on the neighbours within a cutoff of all crystals of a batch at once.

    :param files: what it was made from.
    :param elements: symbols of the elements that it knows.
    :param cutoff: range of its pairs, in A.
    :param convention: as for every potential.
    :param version: package and version that evaluates it.
    :param device: of torch, on which it is evaluated.
    """

    def __init__(
        self,
        files: PotentialFiles,
        *,
        elements: frozenset[str],
        cutoff: float,
        convention: str,
        version: str,
        device: str = 'cpu',
    ) -> None:
        super().__init__(files, elements=elements, convention=convention, version=version, device=device)
        self.cutoff = cutoff

    def _evaluate(self, crystals: Sequence[AtomArrays]) -> Evaluation:
        """Return energies, forces and stresses."""
        energies, forces, stresses = self._compute(Neighbours.of(crystals, self.cutoff))
        ends = np.cumsum([len(crystal.numbers) for crystal in crystals])[:-1]
        return Evaluation(energies, tuple(np.split(forces, ends)), stresses)

    @abc.abstractmethod
    def _compute(self, neighbours: Neighbours) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return energies in eV, (n,), forces in eV/A, (atoms, 3), and stresses in eV/A^3, (n, 3, 3)."""
