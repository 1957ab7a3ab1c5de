"""Assignments that differ from another by one step: an orbit on another position, one split in two, or two made one.

A crystal in which all but one or two orbits sit well may have these on the wrong Wyckoff positions, where no place
suits them. Here the others stay where they are, and each other choice is tried.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import torch

from aiida_alphacrystal.engine.reconstruct.landscape import Crystals, Landscape
from aiida_alphacrystal.engine.reconstruct.wyckoff import Assignment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
    from aiida_alphacrystal.engine.reconstruct.wyckoff import SpaceGroup

__all__ = ('Neighbour', 'exchange', 'neighbours')

_PARENTS = 4
_PLACES = 48
_CLIMBING = 64
_STEPS = 6


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """An assignment one step from another one.

    :param assignment: the neighbour.
    :param columns: for each of its free coordinates that of the other assignment, -1 where the orbit is a new one.
    """

    assignment: Assignment
    columns: tuple[int, ...]


def neighbours(group: SpaceGroup, assignment: Assignment) -> Iterator[Neighbour]:
    """Yield the assignments of the same content that are one step away.

    :param group: the space group.
    :param assignment: where the step begins.
    """
    fixed = {position.letter for position in group.positions if position.freedom == 0}
    for removed in _removals(assignment):
        others = {letter for place, (_, letter) in enumerate(assignment.sites) if place not in removed}
        letters = tuple(sorted(assignment.sites[place][1] for place in removed))
        for added in _same_content(group, letters):
            points = [letter for letter in added if letter in fixed]
            if len(set(points)) == len(points) and not others & set(points):
                yield _step(group, assignment, removed, added)


def _removals(assignment: Assignment) -> Iterator[tuple[int, ...]]:
    """Yield the orbits that are replaced: each one, and every two of one element."""
    places = range(len(assignment.sites))
    yield from ((place,) for place in places)
    for first, second in itertools.combinations(places, 2):
        if assignment.sites[first][0] == assignment.sites[second][0]:
            yield first, second


def _same_content(group: SpaceGroup, letters: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the letters that hold as many atoms as some others: one for one, two for one, or one for two."""
    multiplicities = {position.letter: position.multiplicity for position in group.positions}
    atoms = sum(multiplicities[letter] for letter in letters)
    for number in (1, 2) if len(letters) == 1 else (1,):
        for added in itertools.combinations_with_replacement(sorted(multiplicities), number):
            if added != letters and sum(multiplicities[letter] for letter in added) == atoms:
                yield added


def _step(group: SpaceGroup, assignment: Assignment, removed: Sequence[int], added: Sequence[str]) -> Neighbour:
    """Return an assignment with some orbits of an element replaced."""
    column, kept = 0, []
    for place, (element, letter) in enumerate(assignment.sites):
        freedom = group.position(letter).freedom
        if place not in removed:
            kept.append((element, letter, tuple(range(column, column + freedom))))
        column += freedom
    changed = assignment.sites[removed[0]][0]
    new = [(changed, letter, (-1,) * group.position(letter).freedom) for letter in added]
    elements = list(dict.fromkeys(element for element, _ in assignment.sites))
    sites = sorted([*kept, *new], key=lambda site: (elements.index(site[0]), site[1]))
    columns = tuple(itertools.chain.from_iterable(site[2] for site in sites))
    return Neighbour(Assignment(tuple((element, letter) for element, letter, _ in sites), len(columns)), columns)


def exchange(
    group: SpaceGroup,
    assignments: Sequence[Assignment],
    landscape: Landscape,
    likelihood: DistanceLikelihood,
    crystals: Crystals,
    generator: torch.Generator,
) -> tuple[list[Assignment], Landscape, Crystals]:
    """Try the neighbours of the best crystals, their new orbits at the best of many random places.

    :param group: the space group.
    :param assignments: of the landscape.
    :param landscape: of the cell.
    :param likelihood: of the distances.
    :param crystals: they stay as they are.
    :param generator: draws the places.
    :return: the neighbours, their landscape, and the best crystals of them, their distances sorted.
    """
    parents = crystals.best(_PARENTS, 1)
    found: list[tuple[Neighbour, int]] = []
    for row, owner in enumerate(parents.assignments.tolist()):
        found += [(neighbour, row) for neighbour in neighbours(group, assignments[owner])]
    chosen = [neighbour.assignment for neighbour, _ in found]
    if not chosen:
        return [], landscape, crystals
    other = Landscape(group, chosen, landscape.lattice, landscape.device)
    other.evaluations = landscape.evaluations
    genes = other.draw((len(found), _PLACES), generator)
    own = parents.genes[[row for _, row in found]]
    rest = (-1,) * other.freedom  # there are columns up to the freest of the neighbours
    columns = torch.tensor([(neighbour.columns + rest)[: other.freedom] for neighbour, _ in found], device=own.device)
    kept = own.gather(1, columns.clamp(min=0))
    genes[..., :-1] = torch.where(columns[:, None] < 0, genes[..., :-1], kept[:, None])
    genes[..., -1] = own[:, -1:]
    lots = torch.arange(len(found), device=landscape.device)
    fitness, best = other.evaluate(likelihood, lots, genes).max(dim=1)
    started = Crystals(lots, genes[lots, best], fitness).best(_CLIMBING, 1)
    return chosen, other, other.climb(likelihood, started, _STEPS)
