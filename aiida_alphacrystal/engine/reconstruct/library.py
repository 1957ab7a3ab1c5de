"""The prototype library: which arrangements of sites the known crystals have, and which compounds have them.

Of each crystal only its prototype, the elements on the slots, the volume per atom, the energy above the hull and the
distances between the sites are kept. Beside them stands what was learnt from which compounds share a prototype.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import atomic_numbers
from aiida_alphacrystal.engine.reconstruct.correction import DistanceCorrection
from aiida_alphacrystal.engine.reconstruct.likeness import Likenesses
from aiida_alphacrystal.engine.reconstruct.pair_statistics import PairStatistics
from aiida_alphacrystal.engine.reconstruct.prototypes import Prototype
from aiida_alphacrystal.engine.reconstruct.shapes import unflatten
from aiida_alphacrystal.engine.reconstruct.substitution import SubstitutionCost
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = (
    'MAX_SLOTS',
    'PrototypeLibrary',
    'element_rows',
    'load_library',
    'pack_library',
    'site_arrays',
)

FORMAT = 'aiida-alphacrystal templates'
VERSION = 3
MAX_SLOTS = 8

Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class PrototypeLibrary:
    """Prototypes, the compounds that have them, and what the elements have in common.

    :param spacegroups: international number of each prototype, shape (prototypes,).
    :param lattices: primitive lattice vectors as rows, scaled to one cubic angstrom per atom, shape (prototypes, 3, 3).
    :param offsets: where the sites of each prototype begin, shape (prototypes + 1,).
    :param slots: slot of each site, shape (sites,).
    :param frac_coords: fractional coordinates of each site, shape (sites, 3).
    :param member_prototypes: prototype of each known compound, shape (members,).
    :param member_elements: atomic number on each slot, zero padded, shape (members, MAX_SLOTS).
    :param member_volumes: volume per atom of each known compound, shape (members,), cubic angstrom.
    :param member_hulls: energy above the hull of each known compound, 0 where unknown, shape (members,), eV/atom.
    :param member_distances: distances between the sites of each known compound, scaled to one cubic angstrom per atom,
        the upper triangle of one after the other, shape (all triangles,).
    :param atomic_volumes: fitted volume of each element by atomic number, shape (100,), cubic angstrom.
    :param alike_first: see :class:`~aiida_alphacrystal.engine.reconstruct.likeness.Likenesses`, shape (pairs,).
    :param alike_second: likewise.
    :param alike_orders: likewise.
    :param substitution: parameters of the learnt cost of a substitution, by name.
    :param calibration: coefficients of the probability of a candidate, see
        :mod:`~aiida_alphacrystal.engine.reconstruct.calibration`.
    :param correction: parameters of the learnt correction of distances, by name.
    """

    spacegroups: npt.NDArray[np.int64]
    lattices: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]
    frac_coords: npt.NDArray[np.float64]
    member_prototypes: npt.NDArray[np.int64]
    member_elements: npt.NDArray[np.int64]
    member_volumes: npt.NDArray[np.float64]
    member_hulls: npt.NDArray[np.float64]
    member_distances: npt.NDArray[np.float64]
    atomic_volumes: npt.NDArray[np.float64]
    alike_first: npt.NDArray[np.int64]
    alike_second: npt.NDArray[np.int64]
    alike_orders: npt.NDArray[np.int64]
    substitution: Mapping[str, npt.NDArray[np.float32]]
    calibration: npt.NDArray[np.float64]
    correction: Mapping[str, npt.NDArray[np.float32]]

    @functools.cached_property
    def cost(self) -> SubstitutionCost:
        """Return the learnt cost of a substitution."""
        return SubstitutionCost.from_arrays(self.substitution)

    @functools.cached_property
    def corrector(self) -> DistanceCorrection:
        """Return the learnt correction of the distances of a template."""
        return DistanceCorrection.from_arrays(self.correction)

    @functools.cached_property
    def pair_statistics(self) -> PairStatistics:
        """Return how often the known compounds have two elements at a distance."""
        return PairStatistics(self)

    @property
    def likenesses(self) -> Likenesses:
        """Return which prototypes match."""
        return Likenesses(self.alike_first, self.alike_second, self.alike_orders)

    def prototype(self, index: int) -> Prototype:
        """Return one prototype.

        :param index: which one.
        """
        sites = slice(self.offsets[index], self.offsets[index + 1])
        return Prototype(int(self.spacegroups[index]), self.lattices[index], self.slots[sites], self.frac_coords[sites])

    def prototypes(self) -> tuple[Prototype, ...]:
        """Return all prototypes."""
        return tuple(self.prototype(index) for index in range(len(self.spacegroups)))

    def distances_of(self, members: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return the distances inside known compounds that share a prototype.

        :param members: some of them.
        :return: shape (members, sites, sites), in units of the cube root of the volume per atom.
        """
        sites = int(np.diff(self.offsets)[self.member_prototypes[members[0]]])
        size = sites * (sites + 1) // 2
        starts = self._triangle_starts[np.asarray(members)]
        return unflatten(self.member_distances[starts[:, None] + np.arange(size)], sites)

    @functools.cached_property
    def _triangle_starts(self) -> npt.NDArray[np.int64]:
        sites = np.diff(self.offsets)[self.member_prototypes]
        return np.concatenate([[0], np.cumsum(sites * (sites + 1) // 2)])

    @functools.cached_property
    def slot_counts(self) -> npt.NDArray[np.int64]:
        """Return how many sites each slot of each prototype has, shape (prototypes, MAX_SLOTS)."""
        prototypes = np.repeat(np.arange(len(self.spacegroups)), np.diff(self.offsets))
        counts = np.zeros((len(self.spacegroups), MAX_SLOTS), dtype=np.int64)
        np.add.at(counts, (prototypes, self.slots), 1)
        return counts

    @functools.cached_property
    def classes(self) -> dict[tuple[int, ...], npt.NDArray[np.int64]]:
        """Return the prototypes of each combination of slot counts, increasing."""
        unique, inverse = np.unique(self.slot_counts, axis=0, return_inverse=True)
        return {
            tuple(int(count) for count in row if count): np.flatnonzero(inverse.ravel() == place)
            for place, row in enumerate(unique)
        }

    def contexts_of(self, counts: tuple[int, ...]) -> torch.Tensor:
        """Return how the elements of the compounds of one class stand to each other, as the learnt cost describes it.

        :param counts: a key of :attr:`classes`.
        :return: of :meth:`members_of`, shape (members, slots, features).
        """
        if counts not in self._contexts:
            present = torch.from_numpy(self.member_elements[self.members_of(counts), : len(counts)])
            with torch.no_grad(), one_thread():
                self._contexts[counts] = self.cost.context(present, torch.tensor(counts, dtype=torch.float32))
        return self._contexts[counts]

    @functools.cached_property
    def _contexts(self) -> dict[tuple[int, ...], torch.Tensor]:
        return {}

    def members_of(self, counts: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Return the known compounds whose prototypes have these slot counts.

        :param counts: a key of :attr:`classes`.
        """
        return self._members_by_class[counts]

    @functools.cached_property
    def _members_by_class(self) -> dict[tuple[int, ...], npt.NDArray[np.int64]]:
        places = {counts: place for place, counts in enumerate(self.classes)}
        owners = np.zeros(len(self.spacegroups), dtype=np.int64)
        for counts, prototypes in self.classes.items():
            owners[prototypes] = places[counts]
        classes = owners[self.member_prototypes]
        return {counts: np.flatnonzero(classes == place) for counts, place in places.items()}


_SMALL: Mapping[str, type] = {
    'spacegroups': np.uint8,
    'slots': np.uint8,
    'member_elements': np.uint8,
    'member_prototypes': np.int32,
    'member_hulls': np.float16,
    'member_distances': np.float16,
    'offsets': np.int32,
    'alike_first': np.int32,
    'alike_second': np.int32,
    'alike_orders': np.uint16,
}
_FLOATS = (
    'lattices',
    'frac_coords',
    'member_volumes',
    'member_hulls',
    'member_distances',
    'atomic_volumes',
    'calibration',
)
#: Fields that hold the parameters of something learnt, each an array of its own in the file.
_LEARNT = ('substitution', 'correction')


def pack_library(library: PrototypeLibrary) -> bytes:
    """Return a library as the bytes of a safetensors file, in the smallest types that hold it.

    :param library: the library.
    """
    arrays: Arrays = {
        field.name: getattr(library, field.name).astype(_SMALL.get(field.name, np.float32))
        for field in dataclasses.fields(library)
        if field.name not in _LEARNT
    }
    for learnt in _LEARNT:
        arrays |= {f'{learnt}.{name}': array for name, array in getattr(library, learnt).items()}
    return checkpoint.pack(FORMAT, VERSION, arrays, {})


def load_library(source: bytes | Path | None = None) -> PrototypeLibrary:
    """Load a prototype library.

    :param source: a safetensors file or its content; None for the one that the package carries.
    :raises ModelError: if it is missing, damaged or no prototype library.
    """
    content, where = checkpoint.read(source, 'templates.safetensors')
    arrays, _ = checkpoint.unpack(content, FORMAT, VERSION, where)
    names = [field.name for field in dataclasses.fields(PrototypeLibrary) if field.name not in _LEARNT]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ModelError(f'{where} lacks {missing[0]}: build it anew with aiida-alphacrystal train templates.')
    kinds: dict[str, Any] = {name: arrays[name].astype(np.float64 if name in _FLOATS else np.int64) for name in names}
    for learnt in _LEARNT:
        prefix = f'{learnt}.'
        kinds[learnt] = {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
    return PrototypeLibrary(**kinds)


def site_arrays(prototypes: Sequence[Prototype]) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of a library that describe its prototypes.

    :param prototypes: the prototypes.
    """
    return {
        'spacegroups': np.array([prototype.spacegroup for prototype in prototypes]),
        'lattices': np.array([prototype.lattice for prototype in prototypes]),
        'offsets': np.cumsum([0] + [len(prototype.slots) for prototype in prototypes]),
        'slots': np.concatenate([prototype.slots for prototype in prototypes]),
        'frac_coords': np.concatenate([prototype.frac_coords for prototype in prototypes]),
    }


def element_rows(elements: Iterable[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Return elements by slot as atomic numbers, zero padded, shape (members, MAX_SLOTS).

    :param elements: symbols of each compound in the order of the slots.
    """
    numbers = atomic_numbers()
    rows = list(elements)
    table = np.zeros((len(rows), MAX_SLOTS), dtype=np.int64)
    for row, symbols in zip(table, rows, strict=True):
        row[: len(symbols)] = [numbers[symbol] for symbol in symbols]
    return table
