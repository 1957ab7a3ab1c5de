"""Other elements on a known arrangement of sites than its own stoichiometry has.

A site may be merged with another (one element of the formula on two slots of a prototype) or split (two elements share
the sites of one slot, in an order that has to be found).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.arrangements import Arrangements, gather_votes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.reconstruct.prototypes import Prototype

__all__ = ('Decorated', 'colourings', 'merges', 'splits')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: More ways than this to share the sites of a prototype among elements are not gone through.
MAX_COLOURINGS = 1000

#: So many of the colourings that differ are looked at for their symmetry.
_MAX_DISTINCT = 10

_SYMMETRY_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class Decorated:
    """Votes for one class of prototypes with groups of sites that are not its slots.

    :param arrangements: votes; an assignment names the element of each group.
    :param slots: slot of each group, shape (groups,).
    :param groups: sites of each group, shape (groups,).
    """

    arrangements: Arrangements
    slots: IntArray
    groups: IntArray


def merges(
    library: PrototypeLibrary, wanted: Wanted, excluded: npt.NDArray[np.bool_] | None = None
) -> Iterator[Decorated]:
    """Yield the classes with more slots than the cell has elements, where one element may take several slots.

    :param library: the prototypes.
    :param wanted: the cell.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    """
    for counts in _classes(library, wanted.natoms):
        if len(counts) <= len(wanted.counts):
            continue
        found = _fillings(counts, wanted.counts)
        if not found:
            continue
        slots = np.arange(len(counts))
        votes = gather_votes(library, wanted, counts, slots, np.array(counts), np.array(found), excluded)
        if votes is not None:
            yield Decorated(votes, slots, np.array(counts))


def splits(
    library: PrototypeLibrary, wanted: Wanted, excluded: npt.NDArray[np.bool_] | None = None
) -> Iterator[Decorated]:
    """Yield the classes with fewer slots than the cell has elements, where several elements may share a slot.

    :param library: the prototypes.
    :param wanted: the cell.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    """
    elements = np.arange(len(wanted.counts))
    for counts in _classes(library, wanted.natoms):
        if len(counts) >= len(wanted.counts):
            continue
        for filling in _fillings(wanted.counts, counts):
            votes = gather_votes(
                library, wanted, counts, np.array(filling), np.array(wanted.counts), elements[None], excluded
            )
            if votes is not None:
                yield Decorated(votes, np.array(filling), np.array(wanted.counts))


def colourings(
    prototype: Prototype, slots: Sequence[int], groups: Sequence[int], elements: Sequence[int], most: int
) -> list[IntArray]:
    """Return distinct ways to put elements on the sites of a prototype, the most symmetric first.

    :param prototype: the arrangement of sites.
    :param slots: slot of each group of sites, shape (groups,).
    :param groups: sites of each group, shape (groups,).
    :param elements: element on each group, shape (groups,).
    :param most: how many to return.
    :return: element of each site, shape (sites,), for each way.
    """
    free = [
        [(int(elements[group]), int(groups[group])) for group in range(len(slots)) if slots[group] == slot]
        for slot in range(int(prototype.slots.max()) + 1)
    ]
    sites = [np.flatnonzero(prototype.slots == slot) for slot in range(len(free))]
    whole = list(itertools.islice(_fill(sites, free, np.zeros(len(prototype.slots), dtype=np.int64)), MAX_COLOURINGS))
    if len(whole) == 1:
        return whole
    distinct = _distinct(prototype, np.array(whole))[:_MAX_DISTINCT]
    order = sorted(range(len(distinct)), key=lambda place: (-_operations(prototype, distinct[place]), place))
    return [distinct[place] for place in order[:most]]


def _classes(library: PrototypeLibrary, natoms: int) -> list[tuple[int, ...]]:
    return [counts for counts in library.classes if sum(counts) == natoms]


@functools.lru_cache(maxsize=65536)
def _fillings(items: tuple[int, ...], boxes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return every way to fill boxes exactly with all of the items: the box of each item."""
    found: list[tuple[int, ...]] = []

    def place(index: int, left: tuple[int, ...], chosen: tuple[int, ...]) -> None:
        if index == len(items):
            found.append(chosen)
            return
        for box, room in enumerate(left):
            if items[index] <= room:
                rest = (*left[:box], room - items[index], *left[box + 1 :])
                place(index + 1, rest, (*chosen, box))

    if sum(items) == sum(boxes):
        place(0, boxes, ())
    return tuple(found)


def _fill(
    sites: Sequence[IntArray], free: Sequence[Sequence[tuple[int, int]]], colours: IntArray
) -> Iterator[IntArray]:
    """Yield every way to share the sites of each slot among its elements."""
    if not sites:
        yield colours
        return
    for chosen in _share(tuple(sites[0].tolist()), free[0]):
        for element, places in chosen:
            colours[list(places)] = element
        for whole in _fill(sites[1:], free[1:], colours):
            yield whole.copy()


def _share(
    sites: tuple[int, ...], parts: Sequence[tuple[int, int]]
) -> Iterator[tuple[tuple[int, tuple[int, ...]], ...]]:
    """Yield every way to share sites among elements: the sites of each."""
    element, count = parts[0]
    if len(parts) == 1:
        yield ((element, sites),)
        return
    for taken in itertools.combinations(sites, count):
        left = tuple(site for site in sites if site not in taken)
        for rest in _share(left, parts[1:]):
            yield ((element, taken), *rest)


def _distinct(prototype: Prototype, colours: IntArray) -> list[IntArray]:
    """Return one of every set of colourings whose distances between elements have the same moments."""
    distances = minimum_image_distances(prototype.lattice, prototype.frac_coords)
    np.fill_diagonal(distances, np.inf)
    presence = np.eye(int(colours.max()) + 1)[colours]
    moments = [
        (presence.swapaxes(1, 2) @ (distances**-power @ presence)).reshape(len(colours), -1)
        for power in (1.0, 3.0, 6.0)
    ]
    prints = np.round(np.concatenate(moments, axis=1), 4)
    _, first = np.unique(prints, axis=0, return_index=True)
    return [colours[place] for place in np.sort(first)]


def _operations(prototype: Prototype, colours: IntArray) -> int:
    """Return the number of symmetry operations of a coloured prototype."""
    import spglib

    cell = (prototype.lattice.tolist(), prototype.frac_coords.tolist(), (colours + 1).tolist())
    symmetry = spglib.get_symmetry(cell, symprec=_SYMMETRY_TOLERANCE)
    return 1 if symmetry is None else len(symmetry['rotations'])
