"""Sort known crystals into prototypes: arrangements of sites with their elements taken off.

Crystals with the same space group and cell content whose partial radial distributions agree share one prototype.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.progress import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiida_alphacrystal.engine.datasets import Crystal

__all__ = ('Prototype', 'SortedCrystals', 'radial_distributions', 'slot_orders', 'sort_crystals', 'unit_vector')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Two crystals share a prototype when their radial distributions differ by less than this (cosine distance).
_SAME_PROTOTYPE = 0.02
_CUTOFF = 2.4
_GRID = np.linspace(0.4, _CUTOFF, 41)
_WIDTH = 0.06


@dataclasses.dataclass(frozen=True)
class Prototype:
    """An arrangement of sites whose elements have been replaced by slots, in order of decreasing count.

    :param spacegroup: international number.
    :param lattice: primitive lattice vectors as rows, scaled to one cubic angstrom per atom, shape (3, 3).
    :param slots: slot of each site, shape (sites,).
    :param frac_coords: fractional coordinates of each site, shape (sites, 3).
    """

    spacegroup: int
    lattice: FloatArray
    slots: IntArray
    frac_coords: FloatArray

    @property
    def counts(self) -> tuple[int, ...]:
        """Return how many sites each slot has."""
        return tuple(np.bincount(self.slots).tolist())


@dataclasses.dataclass(frozen=True)
class SortedCrystals:
    """Prototypes and which crystal has which.

    :param prototypes: in the order in which they were first met.
    :param members: prototype of every crystal, shape (crystals,).
    :param elements: elements of every crystal in the order of the slots.
    """

    prototypes: tuple[Prototype, ...]
    members: tuple[int, ...]
    elements: tuple[tuple[str, ...], ...]


def sort_crystals(crystals: Sequence[Crystal], known: Sequence[Prototype] = ()) -> SortedCrystals:
    """Give every crystal its prototype; one that has none of those known founds a new one.

    :param crystals: the crystals, with their space groups.
    :param known: prototypes that are already there; they keep their places.
    """
    prototypes = list(known)
    groups: dict[tuple[Any, ...], list[tuple[FloatArray, int]]] = collections.defaultdict(list)
    for index, prototype in enumerate(known):
        partials = radial_distributions(prototype.lattice, prototype.slots, prototype.frac_coords)
        groups[prototype.spacegroup, prototype.counts].append((unit_vector(partials), index))
    members, elements = [], []
    for index, crystal in enumerate(crystals):
        founder, symbols = _strip(crystal)
        partials = radial_distributions(founder.lattice, founder.slots, founder.frac_coords)
        group = groups[founder.spacegroup, founder.counts]
        found, order = _find(partials, founder.counts, group)
        if found is None:
            found = len(prototypes)
            prototypes.append(founder)
            group.append((unit_vector(partials), found))
        members.append(found)
        elements.append(tuple(symbols[slot] for slot in order))
        report('templates', index + 1, len(crystals))
    return SortedCrystals(tuple(prototypes), tuple(members), tuple(elements))


def slot_orders(counts: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return every permutation of slots that keeps their counts, the identity first.

    :param counts: sites of each slot, decreasing.
    """
    blocks = [tuple(block) for _, block in itertools.groupby(range(len(counts)), key=lambda slot: counts[slot])]
    choices = itertools.product(*(itertools.permutations(block) for block in blocks))
    return tuple(tuple(itertools.chain.from_iterable(choice)) for choice in choices)


def _strip(crystal: Crystal) -> tuple[Prototype, tuple[str, ...]]:
    """Return a crystal as a prototype of its own, and the elements on its slots."""
    counts = collections.Counter(crystal.species)
    symbols = tuple(sorted(counts, key=lambda symbol: (-counts[symbol], symbol)))
    scale = (crystal.volume / crystal.natoms) ** (-1 / 3)
    slots = np.array([symbols.index(symbol) for symbol in crystal.species])
    return Prototype(int(crystal.spacegroup or 1), crystal.lattice * scale, slots, crystal.frac_coords), symbols


def _find(
    partials: FloatArray, counts: tuple[int, ...], group: Iterable[tuple[FloatArray, int]]
) -> tuple[int | None, tuple[int, ...]]:
    """Return the prototype with these radial distributions, if it is there, and the own slot on each of its slots."""
    known = list(group)
    identity = tuple(range(len(counts)))
    if not known:
        return None, identity
    prints = np.array([fingerprint for fingerprint, _ in known])
    best = (np.inf, -1, identity)
    for order in slot_orders(counts):
        similarity = prints @ unit_vector(partials[np.ix_(order, order)])
        index = int(similarity.argmax())
        best = min(best, (1.0 - float(similarity[index]), index, order))
    if best[0] > _SAME_PROTOTYPE:
        return None, identity
    return known[best[1]][1], best[2]


def radial_distributions(lattice: FloatArray, slots: IntArray, frac_coords: FloatArray) -> FloatArray:
    """Return the partial radial distributions of an arrangement.

    :param lattice: lattice vectors as rows, one cubic angstrom per atom, shape (3, 3).
    :param slots: slot of each site, shape (sites,).
    :param frac_coords: fractional coordinates, shape (sites, 3).
    :return: shape (slots, slots, grid), each weighted by the inverse square of the distance.
    """
    from pymatgen.core import Structure

    structure = Structure(lattice, ['H'] * len(slots), frac_coords)
    first, second, _, distances = structure.get_neighbor_list(_CUTOFF)
    weights = np.exp(-0.5 * ((distances[:, None] - _GRID) / _WIDTH) ** 2) / distances[:, None] ** 2
    partial = np.zeros((slots.max() + 1, slots.max() + 1, len(_GRID)))
    np.add.at(partial, (slots[first], slots[second]), weights)
    return partial


def unit_vector(partials: FloatArray) -> FloatArray:
    """Return an array as a vector of length one; the products of two such vectors say how alike they are.

    :param partials: any array.
    """
    vector = partials.ravel()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))
