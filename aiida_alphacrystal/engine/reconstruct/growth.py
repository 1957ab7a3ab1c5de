"""Crystals that grow, one set of alike atoms after the other, where distances are sure.

A search that gives positions to all atoms first has to find the right one of thousands of Wyckoff assignments and all
its coordinates together. Where the distances tell most atoms apart, they can be met one set of alike rows after the
other: each partial crystal tries every position for the next set at many random places, sees how well the distances to
the atoms that are there already are met, and climbs. The best partial crystals go on, fewer in every step, since with
every atom it becomes clearer which ones are wrong. A coarse likelihood leads them, and a sharp one chooses among those
that have climbed. A set stands on one orbit, and on several only where its distances are not met otherwise.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.reconstruct.distinct import distinct_rows
from aiida_alphacrystal.engine.reconstruct.landscape import Crystals, Landscape
from aiida_alphacrystal.engine.reconstruct.wyckoff import Assignment, fillings, first_of_its_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.reconstruct.alike import AlikeRows
    from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
    from aiida_alphacrystal.engine.reconstruct.matched import Likelihoods
    from aiida_alphacrystal.engine.reconstruct.minimum_image import ReducedLattice
    from aiida_alphacrystal.engine.reconstruct.wyckoff import SpaceGroup

__all__ = ('Grown', 'grow')

IntArray = npt.NDArray[np.int64]

#: Crystals with the first set alone.
_FIRST_FIELD = 96
#: Crystals that go on: many as long as they are small, since then the right one does not stand out yet.
_WIDEST = 512
_NARROWEST = 16
_PAIRS = 8000
#: Places that are tried for a set of rows in each crystal: fewer where there are many crystals.
_PLACES = 96
_FEWEST_PLACES = 24
_MOST_TRIED = 50_000
#: How many of them at most go on.
_KEPT = 6
#: How far from the bound of their coarse likelihood the distances of a set are met.
_MET = 0.15
#: Share of the crystals that go on once they have climbed.
_SHARE_KEPT = 0.5
#: Crystals with a new set for each one that goes on.
_CROWD = 4
_STEPS = 8
#: Difference of free coordinates below which crystals are one.
_SAME = 0.02
_MOST_FILLINGS = 64


@dataclasses.dataclass(frozen=True)
class Grown:
    """What has grown.

    :param assignments: of the crystals.
    :param landscape: of these assignments.
    :param crystals: with their fitness under the distances sorted within each two sets of alike rows.
    :param order: the atom of each crystal that stands in each row of the prediction, shape (crystals, atoms); within a
        set of alike rows any.
    :param judged: pairs of atoms whose distances were judged, those of all crystals together.
    """

    assignments: tuple[Assignment, ...]
    landscape: Landscape
    crystals: Crystals
    order: torch.Tensor
    judged: int


@dataclasses.dataclass(frozen=True)
class _Part:
    """The positions of the sets that have been placed.

    :param sites: set of alike rows and index of the position, orbit by orbit.
    :param freedom: number of free coordinates.
    :param permutations: those of the positions, by the normalizer, that leave these sites as they are.
    """

    sites: tuple[tuple[int, int], ...]
    freedom: int
    permutations: Sequence[tuple[int, ...]]

    def assignment(self, group: SpaceGroup) -> Assignment:
        """Return the assignment, its sets in place of elements."""
        sites = tuple((str(kind), group.positions[place].letter) for kind, place in self.sites)
        return Assignment(sites, self.freedom)


def grow(
    group: SpaceGroup,
    lattice: ReducedLattice,
    likelihoods: Likelihoods,
    rows: AlikeRows,
    permutations: Sequence[tuple[int, ...]],
    generator: torch.Generator,
    most_orbits: Sequence[int],
    effort: float = 1.0,
) -> Grown | None:
    """Grow crystals.

    :param group: the space group.
    :param lattice: the reduced form of the primitive lattice.
    :param likelihoods: of the distances of all atoms; the coarse one leads, and the sharp one tells the crystals that
        have got there from others.
    :param rows: which rows of the prediction are alike.
    :param permutations: those of the positions of the group that leave the lattice as it is.
    :param generator: draws the places.
    :param most_orbits: over which a set of alike rows may be divided; the next number is tried where the one before
        leaves the distances of a set unmet.
    :param effort: factor on the number of crystals that go on.
    :return: None where no positions hold the atoms of the sets.
    """
    growth = _Growth(group, lattice, likelihoods, rows, generator, effort)
    parts, crystals = [_Part((), 0, permutations)], None
    turn = rows.in_turn
    for number, kind in enumerate(turn, start=1):
        step = None
        for orbits in dict.fromkeys(min(most, rows.size(kind)) for most in most_orbits):
            children = _children(group, parts, kind, fillings(group, rows.size(kind), orbits, _MOST_FILLINGS))
            if children:
                step = growth.step(turn[:number], parts, children, crystals)
                if step.met:
                    break
        if step is None:
            return None
        parts, crystals = step.parts, step.crystals
    return None if crystals is None else growth.finished(parts, crystals)


def _children(
    group: SpaceGroup, parts: Sequence[_Part], kind: int, choices: Sequence[tuple[int, ...]]
) -> list[tuple[int, _Part]]:
    """Return each part with the next set added, and which part that was; of equivalent ones the first."""
    points = group.points
    found = []
    for index, part in enumerate(parts):
        taken = points.intersection(place for _, place in part.sites)
        for choice in choices:
            kept = first_of_its_class(choice, part.permutations)
            if kept is not None and taken.isdisjoint(choice):
                freedom = part.freedom + sum(group.positions[place].freedom for place in choice)
                found.append((index, _Part((*part.sites, *((kind, place) for place in choice)), freedom, kept)))
    return found


def _without_twins(crystals: Crystals) -> Crystals:
    """Return crystals without those that have climbed to where a better one is."""
    ordered = crystals.take(torch.argsort(crystals.fitness, descending=True, stable=True))
    seen = torch.cat([ordered.genes[:, :-1], ordered.assignments[:, None]], dim=1)
    return ordered.take(torch.tensor(distinct_rows(seen.cpu().numpy(), _SAME), device=seen.device))


class _Step(NamedTuple):
    """Crystals with one more set, their parts, and whether any meets the distances of what is there."""

    parts: list[_Part]
    crystals: Crystals
    met: bool


class _Growth:
    """Crystals of one cell, of which more and more atoms are there.

    :param group: the space group.
    :param lattice: the reduced form of the primitive lattice.
    :param likelihoods: of the distances of all atoms.
    :param rows: which rows of the prediction are alike.
    :param generator: draws the places.
    :param effort: factor on the number of crystals that go on.
    """

    def __init__(
        self,
        group: SpaceGroup,
        lattice: ReducedLattice,
        likelihoods: Likelihoods,
        rows: AlikeRows,
        generator: torch.Generator,
        effort: float,
    ) -> None:
        self._group = group
        self._lattice = lattice
        self._coarse, self._sharp = likelihoods.coarse, likelihoods.sharp
        self._rows = rows
        self._generator = generator
        self._effort = effort
        self._device = self._coarse.device
        self._judged = 0

    def step(
        self,
        kinds: Sequence[int],
        parts: Sequence[_Part],
        children: Sequence[tuple[int, _Part]],
        crystals: Crystals | None,
    ) -> _Step:
        """Return the best crystals with one more set of alike rows.

        :param kinds: the sets that are there, the new one at the end.
        :param parts: of the crystals.
        :param children: these parts with the set added, and which part each was.
        :param crystals: None before the first set.
        """
        there = np.concatenate([self._rows.members(kind) for kind in kinds])
        names, added = self._rows.kinds[there].tolist(), self._rows.size(kinds[-1])
        landscape = Landscape(
            self._group, [part.assignment(self._group) for _, part in children], self._lattice, self._device
        )
        width = max(_NARROWEST, round(self._effort * min(_WIDEST, _PAIRS // max(1, landscape.pairs))))
        field = self._inherited(landscape, parts, children, crystals)
        inherited = torch.tensor([parts[parent].freedom for parent, _ in children], device=self._device)
        kept = max(1, min(_KEPT, _CROWD * width // len(field)))
        around, narrow = landscape.of_last(added), self._coarse.among(there, names, added)
        field = self._placed_well(around, narrow, field, inherited[field.assignments], kept)
        coarse, sharp = (likelihood.among(there, names) for likelihood in (self._coarse, self._sharp))
        field = landscape.climb(coarse, landscape.judged(coarse, field).best(width, width), _STEPS)
        met = float(field.fitness.max()) > coarse.bound - _MET
        few = max(_NARROWEST, round(_SHARE_KEPT * width))
        grown = _without_twins(landscape.judged(sharp, field)).best(few, few)
        self._judged += landscape.evaluations * landscape.pairs + around.evaluations * around.pairs
        used, owners = torch.unique(grown.assignments, return_inverse=True)
        found = dataclasses.replace(grown, assignments=owners)
        return _Step([children[index][1] for index in used.tolist()], found, met)

    def _inherited(
        self,
        landscape: Landscape,
        parts: Sequence[_Part],
        children: Sequence[tuple[int, _Part]],
        crystals: Crystals | None,
    ) -> Crystals:
        """Return each crystal once for each child of its part, zeros where the coordinates of the new set belong."""
        if crystals is None:
            lots = torch.arange(len(children), device=self._device).repeat_interleave(-(-_FIRST_FIELD // len(children)))
            return Crystals(lots, torch.zeros((len(lots), landscape.freedom + 1), device=self._device), lots.float())
        of_part = [[child for child, (parent, _) in enumerate(children) if parent == one] for one in range(len(parts))]
        owners = crystals.assignments.tolist()
        lots = torch.tensor([child for owner in owners for child in of_part[owner]], device=self._device)
        rows = torch.tensor([row for row, owner in enumerate(owners) for _ in of_part[owner]], device=self._device)
        genes = torch.zeros((len(lots), landscape.freedom + 1), device=self._device)
        width = min(landscape.freedom, crystals.genes.shape[1] - 1)  # the freest parts may have left no crystal
        genes[:, :width] = crystals.genes[rows, :width]
        genes[:, -1] = crystals.genes[rows, -1]
        return Crystals(lots, genes, crystals.fitness[rows])

    def _placed_well(
        self, landscape: Landscape, likelihood: DistanceLikelihood, field: Crystals, inherited: torch.Tensor, kept: int
    ) -> Crystals:
        """Return crystals with the new set at some of the best of many places.

        The landscape and the likelihood are those of the distances of the new set; so many genes are inherited.
        """
        moving = landscape.freedoms[field.assignments] > inherited
        if not bool(moving.any()):
            return field
        still, field, inherited = field.take(~moving), field.take(moving), inherited[moving]
        column = torch.arange(landscape.freedom + 1, device=self._device)
        new = (column >= inherited[:, None]) & (column < landscape.freedoms[field.assignments][:, None])
        places = min(_PLACES, max(_FEWEST_PLACES, _MOST_TRIED // len(field)))
        drawn = landscape.draw((len(field), places), self._generator)
        tried = torch.where(new[:, None], drawn, field.genes[:, None])
        fitness, best = landscape.evaluate(likelihood, field.assignments, tried).topk(kept, dim=1)
        genes = tried.gather(1, best[..., None].expand(-1, -1, tried.shape[-1]))
        placed = Crystals(field.assignments.repeat_interleave(kept), genes.flatten(0, 1), fitness.flatten())
        return Crystals.together([still, placed])

    def finished(self, parts: Sequence[_Part], crystals: Crystals) -> Grown:
        """Return whole crystals with elements in place of sets of alike rows, their orbits in the usual order.

        :param parts: of the crystals, with all sets.
        :param crystals: the crystals.
        """
        turns = [self._turn(part) for part in parts]
        assignments = tuple(self._renamed(part, turn) for part, turn in zip(parts, turns, strict=True))
        landscape = Landscape(self._group, assignments, self._lattice, self._device)
        columns = [self._columns(part, turn, landscape.freedom) for part, turn in zip(parts, turns, strict=True)]
        orders = [self._order(part, turn) for part, turn in zip(parts, turns, strict=True)]
        owners = crystals.assignments
        freedoms = crystals.genes[:, :-1].gather(1, torch.tensor(columns, device=self._device)[owners])
        genes = torch.cat([freedoms, crystals.genes[:, -1:]], dim=1)
        order = torch.tensor(np.array(orders), device=self._device)[owners]
        return Grown(assignments, landscape, Crystals(owners, genes, crystals.fitness), order, self._judged)

    def _turn(self, part: _Part) -> list[int]:
        """Return the orbits of a part in the order of an assignment: by element, then letter."""
        elements = list(dict.fromkeys(self._rows.species))
        keys = [(elements.index(self._rows.element(kind)), place) for kind, place in part.sites]
        return sorted(range(len(keys)), key=keys.__getitem__)

    def _renamed(self, part: _Part, turn: Sequence[int]) -> Assignment:
        """Return the assignment of a part with elements in place of sets."""
        sites = [part.sites[orbit] for orbit in turn]
        named = tuple((self._rows.element(kind), self._group.positions[place].letter) for kind, place in sites)
        return Assignment(named, part.freedom)

    def _columns(self, part: _Part, turn: Sequence[int], width: int) -> list[int]:
        """Return where the free coordinates of the orbits stood before they were put in order."""
        freedoms = [self._group.positions[place].freedom for _, place in part.sites]
        ends = list(itertools.accumulate(freedoms))
        own = [column for orbit in turn for column in range(ends[orbit] - freedoms[orbit], ends[orbit])]
        return [*own, *range(len(own), width)]

    def _order(self, part: _Part, turn: Sequence[int]) -> IntArray:
        """Return the atom that stands in each row."""
        sets = [part.sites[orbit][0] for orbit in turn]
        atoms = [self._group.positions[part.sites[orbit][1]].multiplicity for orbit in turn]
        order = np.empty(len(self._rows.kinds), dtype=np.int64)
        order[np.argsort(self._rows.kinds, kind='stable')] = np.argsort(np.repeat(sets, atoms), kind='stable')
        return order
