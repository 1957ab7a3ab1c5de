"""Choose candidates that are right together as often as possible.

The votes of the known compounds become one distribution over all arrangements. A candidate is right for its own
arrangement and for all that match it, so the next candidate is always the one that is right for most of what the
candidates before it leave open.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted, substitutions
from aiida_alphacrystal.engine.reconstruct.decorations import colourings, merges, splits
from aiida_alphacrystal.engine.reconstruct.likeness import composed_orders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.arrangements import Arrangements
    from aiida_alphacrystal.engine.reconstruct.decorations import Decorated
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('KINDS', 'Proposal', 'Voter', 'rank_proposals')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: A candidate stands for a prototype as it is, with slots merged, or with slots split.
KINDS = ('substitution', 'merge', 'split')

#: Logarithm of how much less a vote for a decoration counts than one for a prototype as it is; chosen on ``val``.
MERGE_BIAS = -3.0
SPLIT_BIAS = -3.5

#: Logarithm of how much less each further colouring of a split prototype counts.
_NEXT_COLOURING = -0.7
_MAX_COLOURINGS = 3

#: So many merges and splits of a cell are looked at.
_MAX_DECORATIONS = 8

#: Substitutions further down (by votes) than this take no part in the choice.
_MAX_ACTIVE = 150

#: How much more the votes for an arrangement itself count in the choice than those for what it matches, since they are
#: for the very crystal; chosen on ``val``.
_OWN_VOTES = 1.0

#: So many compounds of its prototype speak for a proposal.
_MAX_VOTERS = 12

#: Of arrangements that add the same, the one with most votes of its own comes first.
_TIE = 1e-6

#: What is left of an arrangement that a candidate already matches: matching is not quite certain.
_LEFT_OPEN = 0.03


class Voter(NamedTuple):
    """A known compound that speaks for a proposal.

    :param member: its place in the library.
    :param weight: how much it says; those of a proposal add up to one.
    :param volume_per_atom: that it gives, cubic angstrom.
    """

    member: int
    weight: float
    volume_per_atom: float


@dataclasses.dataclass(frozen=True)
class Proposal:
    """One arrangement that has been chosen.

    :param kind: one of :data:`KINDS`.
    :param prototype: the prototype.
    :param elements: symbol on each site of the prototype.
    :param formula_units: formula units in the cell.
    :param volume_per_atom: cubic angstrom.
    :param nearest: the known compound that says most for it.
    :param share: share of all votes for arrangements that it matches and that the proposals before it leave open.
    :param own_share: share of all votes for the arrangement itself.
    :param support: logarithm of all votes for the formula; the lower, the further away is what is known.
    :param overlaps: whether a substitution before it matches it; always true of a decoration, which may be anything.
    :param voters: known compounds that have the prototype, and what each says; none for a decoration.
    """

    kind: str
    prototype: int
    elements: tuple[str, ...]
    formula_units: int
    volume_per_atom: float
    nearest: int
    share: float = 0.0
    own_share: float = 0.0
    support: float = 0.0
    overlaps: bool = True
    voters: tuple[Voter, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Cell:
    """The substitutions of one number of formula units that take part."""

    units: int
    wanted: Wanted
    arrangements: Arrangements
    prototypes: IntArray
    assignments: IntArray
    alike: npt.NDArray[np.bool_]


def rank_proposals(
    library: PrototypeLibrary,
    formula: Formula,
    max_atoms: int,
    most: int,
    excluded: npt.NDArray[np.bool_] | None = None,
    decorate: bool = True,
    types: int = 0,
) -> list[Proposal]:
    """Return arrangements for a formula in the order in which they should be tried.

    After those that add most may come others that have most votes of their own: crystals of another type which a
    candidate before them matches, since the criterion takes zincblende for rock salt.

    :param library: the prototypes.
    :param formula: what to place; with its formula units where they are fixed.
    :param max_atoms: the largest primitive cell.
    :param most: how many to choose by what they add.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    :param decorate: whether other stoichiometries are looked at as well.
    :param types: how many more to choose by their own votes.
    """
    cells, logits, decorations = [], [], []
    for units in formula.allowed_formula_units(max_atoms):
        wanted = Wanted.of(library, formula, units)
        found = substitutions(library, wanted, excluded)
        if found is not None:
            cell, votes = _activate(library, units, wanted, found)
            cells.append(cell)
            logits.append(votes)
        if decorate:
            decorations += list(_decorations(library, units, wanted, excluded))
    decorations = sorted(decorations, key=lambda entry: -entry[0])[: 2 * _MAX_DECORATIONS]
    extra = np.array([logit for logit, _ in decorations])
    every = np.concatenate([*logits, extra])
    every = every[np.isfinite(every)]
    if len(every) == 0:
        return []
    normaliser = float(every.max() + np.log(np.exp(every - every.max()).sum()))
    shares = [np.exp(votes - normaliser) for votes in logits]
    waiting = [(math.exp(logit - normaliser), entry) for logit, entry in decorations]
    chosen = _choose(library, cells, shares, waiting, most, types)
    return [dataclasses.replace(proposal, support=normaliser) for proposal in chosen]


def _activate(library: PrototypeLibrary, units: int, wanted: Wanted, found: Arrangements) -> tuple[_Cell, FloatArray]:
    """Keep the substitutions with most votes, and look up which of them match."""
    flat = found.votes.ravel()
    active = np.argsort(-flat, kind='stable')[:_MAX_ACTIVE]
    active = active[np.isfinite(flat[active])]
    prototypes, assignments = np.divmod(active, found.votes.shape[1])
    table = library.likenesses.table(found.prototypes, wanted.counts)
    orders = composed_orders(wanted.counts)[assignments[:, None], assignments[None, :]]
    alike = table[prototypes[:, None], prototypes[None, :], orders]
    return _Cell(units, wanted, found, prototypes, assignments, alike), flat[active]


def _choose(
    library: PrototypeLibrary,
    cells: Sequence[_Cell],
    shares: Sequence[FloatArray],
    decorations: Sequence[tuple[float, Proposal]],
    most: int,
    types: int,
) -> list[Proposal]:
    """Take what adds most, again and again, and then what has most votes of its own."""
    left = [share.copy() for share in shares]
    free = [np.ones(len(share), dtype=bool) for share in shares]
    waiting = list(decorations)
    chosen: list[Proposal] = []
    while len(chosen) < most + types:
        best: tuple[float, int, int] = (-1.0, -1, -1)
        for index, cell in enumerate(cells):
            gains = shares[index]
            if len(chosen) < most:
                gains = cell.alike @ left[index] + _OWN_VOTES * left[index] + _TIE * shares[index]
            gains = np.where(free[index], gains, -1.0)
            place = int(gains.argmax()) if len(gains) else -1
            if place >= 0 and gains[place] > best[0]:
                best = (float(gains[place]), index, place)
        if waiting and waiting[0][0] > best[0]:
            share, proposal = waiting.pop(0)
            chosen.append(dataclasses.replace(proposal, share=share, own_share=share))
            continue
        gain, index, place = best
        if index < 0 or gain < 0.0:
            break
        share = float(cells[index].alike[place] @ left[index])
        overlaps = bool((cells[index].alike[place] & ~free[index]).any())
        free[index][place] = False
        left[index] = left[index] * np.where(cells[index].alike[place], _LEFT_OPEN, 1.0)
        own_share = float(shares[index][place])
        proposal = _substitution(library, cells[index], place)
        chosen.append(dataclasses.replace(proposal, share=share, own_share=own_share, overlaps=overlaps))
    return chosen


def _substitution(library: PrototypeLibrary, cell: _Cell, place: int) -> Proposal:
    """Describe a prototype as it is."""
    prototype, assignment = int(cell.prototypes[place]), int(cell.assignments[place])
    found = cell.arrangements
    symbols = [cell.wanted.symbols[element] for element in found.assignments[assignment]]
    return Proposal(
        kind=KINDS[0],
        prototype=int(found.prototypes[prototype]),
        elements=tuple(symbols[slot] for slot in library.prototype(int(found.prototypes[prototype])).slots),
        formula_units=cell.units,
        volume_per_atom=float(found.volumes[prototype, assignment]),
        nearest=int(found.nearest[prototype, assignment]),
        voters=_voters(found, prototype, assignment),
    )


def _voters(found: Arrangements, prototype: int, assignment: int) -> tuple[Voter, ...]:
    """Return the compounds that say most for a prototype as it is."""
    first, last = np.searchsorted(found.owners, found.prototypes[prototype] + np.array([0, 1]))
    weights = found.weights[first:last, assignment]
    loudest = np.argsort(-weights, kind='stable')[:_MAX_VOTERS]
    shares = weights[loudest] / weights[loudest].sum()
    places = first + loudest
    rows = zip(found.voters[places].tolist(), shares.tolist(), found.voter_volumes[places].tolist(), strict=True)
    return tuple(Voter(*row) for row in rows)


def _decorations(
    library: PrototypeLibrary, units: int, wanted: Wanted, excluded: npt.NDArray[np.bool_] | None
) -> Iterator[tuple[float, Proposal]]:
    """Yield the decorations of one cell that have most votes, with the logarithm of their votes."""
    for kind, bias, found in (
        (KINDS[1], MERGE_BIAS, merges(library, wanted, excluded)),
        (KINDS[2], SPLIT_BIAS, splits(library, wanted, excluded)),
    ):
        entries = [(decorated, *place) for decorated in found for place in _best_places(decorated.arrangements.votes)]
        entries.sort(key=lambda entry: -float(entry[0].arrangements.votes[entry[1], entry[2]]))
        for decorated, prototype, assignment in entries[:_MAX_DECORATIONS]:
            votes = float(decorated.arrangements.votes[prototype, assignment]) + bias
            for number, sites in enumerate(_site_elements(library, decorated, prototype, assignment)):
                elements = tuple(wanted.symbols[element] for element in sites)
                yield (
                    votes + number * _NEXT_COLOURING,
                    _decorated(kind, decorated.arrangements, prototype, assignment, elements, units),
                )


def _best_places(votes: FloatArray) -> list[tuple[int, int]]:
    """Return prototype and assignment of the entries with most votes."""
    flat = votes.ravel()
    places = np.argsort(-flat, kind='stable')[:_MAX_DECORATIONS]
    return [(int(place // votes.shape[1]), int(place % votes.shape[1])) for place in places if np.isfinite(flat[place])]


def _site_elements(library: PrototypeLibrary, decorated: Decorated, prototype: int, assignment: int) -> list[IntArray]:
    """Return the element of each site, in each of the most symmetric ways."""
    arrangements = decorated.arrangements
    return colourings(
        library.prototype(int(arrangements.prototypes[prototype])),
        decorated.slots.tolist(),
        decorated.groups.tolist(),
        arrangements.assignments[assignment].tolist(),
        _MAX_COLOURINGS,
    )


def _decorated(
    kind: str, found: Arrangements, prototype: int, assignment: int, elements: tuple[str, ...], units: int
) -> Proposal:
    """Describe a decoration."""
    return Proposal(
        kind=kind,
        prototype=int(found.prototypes[prototype]),
        elements=elements,
        formula_units=units,
        volume_per_atom=float(found.volumes[prototype, assignment]),
        nearest=int(found.nearest[prototype, assignment]),
    )
