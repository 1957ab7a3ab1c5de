"""What the known crystals of the same stoichiometry say about the cell of a compound.

Every known crystal whose sites can take the elements of a formula votes, with the learnt weight of the template source,
for its space group and number of formula units; the shapes of the lattices are averaged with the same weights.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import spglib

from aiida_alphacrystal.engine.cells.descriptors import centring_factor, shape_of_lattice
from aiida_alphacrystal.engine.composition import reduced_counts
from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted, substitutions
from aiida_alphacrystal.engine.symmetry import SYMMETRY_TOLERANCE

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('CellVotes', 'LatticeVote', 'TemplateVotes', 'conventional_shape', 'shape_of_crystal')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Volume per atom (cubic A) that prototypes get so that the symmetry tolerance means what it does for a crystal.
_TYPICAL_VOLUME = 20.0

#: Arrangements with less than this share of the votes for a cell do not shape its lattice.
_NEGLIGIBLE = 1e-3


@dataclasses.dataclass(frozen=True)
class CellVotes:
    """Votes for the cells of a compound, in no order.

    :param spacegroups: space group of each cell, shape (cells,).
    :param formula_units: formula units in each primitive cell, shape (cells,).
    :param votes: logarithm of all votes for each, shape (cells,).
    :param strongest: logarithm of the votes of the strongest arrangement for each, shape (cells,).
    :param arrangements: prototypes, logarithms of votes and volumes per atom (cubic A) behind each.
    """

    spacegroups: IntArray
    formula_units: IntArray
    votes: FloatArray
    strongest: FloatArray
    arrangements: tuple[tuple[IntArray, FloatArray, FloatArray], ...]

    def __len__(self) -> int:
        """Return the number of cells that have votes."""
        return len(self.spacegroups)

    def by_class(self, spacegroups: IntArray, formula_units: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return all votes and the strongest vote for given cells, logarithms, minus infinity where there are none.

        :param spacegroups: of the cells, shape (classes,).
        :param formula_units: of the cells, shape (classes,).
        :return: two arrays, shape (classes,).
        """
        pairs = zip(spacegroups.tolist(), formula_units.tolist(), strict=True)
        places = {pair: place for place, pair in enumerate(pairs)}
        every, strongest = np.full((2, len(spacegroups)), -np.inf)
        for row, pair in enumerate(zip(self.spacegroups.tolist(), self.formula_units.tolist(), strict=True)):
            if pair in places:
                every[places[pair]], strongest[places[pair]] = self.votes[row], self.strongest[row]
        return every, strongest


@dataclasses.dataclass(frozen=True)
class LatticeVote:
    """The lattice that the arrangements of one cell have on average.

    :param shape: as ``descriptors.shape_of_lattice`` gives it, shape (LATTICE_SIZE,).
    :param spread: standard deviation of each of its numbers, shape (LATTICE_SIZE,).
    """

    shape: FloatArray
    spread: FloatArray


class TemplateVotes:
    """A library of prototypes that votes for cells.

    :param library: the prototypes.
    """

    def __init__(self, library: PrototypeLibrary) -> None:
        self._library = library
        self._shapes: dict[int, FloatArray | None] = {}

    def vote(self, formula: Formula, max_atoms: int, excluded: npt.NDArray[np.bool_] | None = None) -> CellVotes:
        """Return the votes for the cells of a compound.

        :param formula: the compound; with its formula units where they are fixed.
        :param max_atoms: the largest primitive cell.
        :param excluded: known crystals that may not vote, shape (members,); none by default.
        """
        rows: list[tuple[int, int, float, float, tuple[IntArray, FloatArray, FloatArray]]] = []
        for units in formula.allowed_formula_units(max_atoms):
            found = substitutions(self._library, Wanted.of(self._library, formula, units), excluded)
            if found is None:
                continue
            places = np.nonzero(np.isfinite(found.votes))
            prototypes, votes, volumes = found.prototypes[places[0]], found.votes[places], found.volumes[places]
            spacegroups = self._library.spacegroups[prototypes]
            for spacegroup in np.unique(spacegroups):
                chosen = spacegroups == spacegroup
                strongest = float(votes[chosen].max())
                total = strongest + math.log(np.exp(votes[chosen] - strongest).sum())
                behind = (prototypes[chosen], votes[chosen], volumes[chosen])
                rows.append((int(spacegroup), units, total, strongest, behind))
        return CellVotes(
            spacegroups=np.array([row[0] for row in rows], dtype=np.int64),
            formula_units=np.array([row[1] for row in rows], dtype=np.int64),
            votes=np.array([row[2] for row in rows], dtype=np.float64),
            strongest=np.array([row[3] for row in rows], dtype=np.float64),
            arrangements=tuple(row[4] for row in rows),
        )

    def lattice(self, votes: CellVotes, index: int) -> LatticeVote | None:
        """Return the average lattice of one of the cells, None where no prototype behind it has a known one.

        :param votes: what ``vote`` returned.
        :param index: which cell.
        """
        prototypes, logarithms, volumes = votes.arrangements[index]
        weights = np.exp(logarithms - logarithms.max())
        weights /= weights.sum()
        rows, kept = [], []
        for prototype, weight, volume in zip(prototypes.tolist(), weights.tolist(), volumes.tolist(), strict=True):
            shape = self._shape(prototype) if weight >= _NEGLIGIBLE else None
            if shape is not None:
                rows.append(np.array([math.log(volume), *shape[1:]]))
                kept.append(weight)
        if not rows:
            return None
        shapes, shares = np.array(rows), np.array(kept) / sum(kept)
        mean = shares @ shapes
        return LatticeVote(mean, np.sqrt(shares @ (shapes - mean) ** 2))

    def members_by_composition(self) -> dict[frozenset[tuple[int, int]], IntArray]:
        """Return the known crystals of each reduced composition, atomic numbers with their counts."""
        library, found = self._library, collections.defaultdict(list)
        counts_of = {
            int(prototype): counts for counts, prototypes in library.classes.items() for prototype in prototypes
        }
        for member, prototype in enumerate(library.member_prototypes.tolist()):
            counts = counts_of[prototype]
            numbers = library.member_elements[member, : len(counts)].tolist()
            found[frozenset(zip(numbers, reduced_counts(counts), strict=True))].append(member)
        return {key: np.array(members) for key, members in found.items()}

    @property
    def members(self) -> int:
        """Return the number of known crystals."""
        return len(self._library.member_prototypes)

    def _shape(self, prototype: int) -> FloatArray | None:
        """Return the shape of the conventional lattice of a prototype, None where it is not known."""
        if prototype not in self._shapes:
            sites = self._library.prototype(prototype)
            lattice = sites.lattice * _TYPICAL_VOLUME ** (1 / 3)
            self._shapes[prototype] = conventional_shape(lattice, sites.slots, sites.frac_coords, sites.spacegroup)
        return self._shapes[prototype]


def shape_of_crystal(crystal: Crystal) -> FloatArray | None:
    """Return the shape of the conventional lattice of a crystal, None where it does not have its stated space group.

    :param crystal: with a space group.
    """
    kinds = np.unique(crystal.species, return_inverse=True)[1]
    return conventional_shape(crystal.lattice, kinds, crystal.frac_coords, cast('int', crystal.spacegroup))


def conventional_shape(
    lattice: npt.ArrayLike, kinds: npt.ArrayLike, frac_coords: npt.ArrayLike, spacegroup: int
) -> FloatArray | None:
    """Return the shape of the conventional lattice of a crystal, shape (LATTICE_SIZE,).

    :param lattice: primitive lattice vectors as rows, shape (3, 3), A.
    :param kinds: whole numbers that tell the atoms apart, shape (atoms,).
    :param frac_coords: shape (atoms, 3).
    :param spacegroup: the space group that it is said to have.
    :return: None where spglib does not find that space group.
    """
    numbers = (np.asarray(kinds, dtype=np.int64) + 1).tolist()
    cell = (np.asarray(lattice).tolist(), np.asarray(frac_coords).tolist(), numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE)
    if dataset is None or dataset.number != spacegroup:
        return None
    lengths = np.linalg.norm(dataset.std_lattice, axis=1)
    units = dataset.std_lattice / lengths[:, None]
    cosines = np.clip([units[1] @ units[2], units[0] @ units[2], units[0] @ units[1]], -1, 1)
    return shape_of_lattice([*lengths, *np.degrees(np.arccos(cosines))], len(numbers) * centring_factor(spacegroup))
