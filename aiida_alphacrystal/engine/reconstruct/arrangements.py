"""Ways to put the elements of a formula on the sites of known prototypes, and how strongly the compounds vote for each.

An arrangement names a prototype and an element for each group of its sites. In the plain case the groups are the slots
of the prototype. A decoration has other groups: two slots may hold one element, or one slot two.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.composition import reduced_counts
from aiida_alphacrystal.engine.features import atomic_numbers
from aiida_alphacrystal.engine.reconstruct.prototypes import slot_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('Arrangements', 'Wanted', 'gather_votes', 'substitutions')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Makes one number of how many atoms of which element there are.
_CONTENT = 1000

#: A crystal of the formula itself says that it is the one up to this energy above the hull, eV/atom.
_STABLE = 1e-3


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The content of the cell that is asked for, its elements in order of decreasing count.

    :param symbols: the elements.
    :param numbers: their atomic numbers, shape (elements,).
    :param counts: atoms of each in the cell.
    :param context: how each stands to the others, shape (elements, features).
    :param volume: sum of the fitted atomic volumes per atom, cubic angstrom.
    """

    symbols: tuple[str, ...]
    numbers: IntArray
    counts: tuple[int, ...]
    context: Tensor
    volume: float

    @classmethod
    def of(cls, library: PrototypeLibrary, formula: Formula, units: int) -> Wanted:
        """Return what a cell with some formula units holds.

        :param library: whose learnt description of elements is used.
        :param formula: the compound.
        :param units: formula units in the cell.
        """
        pairs = sorted(zip(formula.counts, formula.elements, strict=True), key=lambda pair: (-pair[0], pair[1]))
        symbols = tuple(symbol for _, symbol in pairs)
        counts = tuple(count * units for count, _ in pairs)
        known = atomic_numbers()
        numbers = np.array([known[symbol] for symbol in symbols])
        volume = float(library.atomic_volumes[numbers] @ np.array(counts) / sum(counts))
        return cls(symbols, numbers, counts, _context(library, numbers, counts), volume)

    def of_size(self, library: PrototypeLibrary, counts: tuple[int, ...]) -> Wanted:
        """Return the content of another cell of the compound.

        :param library: whose learnt description of elements is used.
        :param counts: atoms of each element in it.
        """
        return dataclasses.replace(self, counts=counts, context=_context(library, self.numbers, counts))

    @property
    def natoms(self) -> int:
        """Return the number of atoms in the cell."""
        return sum(self.counts)


@dataclasses.dataclass(frozen=True)
class Arrangements:
    """Votes for every prototype of one class with every assignment of elements to the groups of its sites.

    :param prototypes: increasing, shape (prototypes,).
    :param assignments: element of the formula on each group, shape (assignments, groups).
    :param votes: logarithm of the votes, shape (prototypes, assignments).
    :param volumes: volume per atom that the votes give, shape (prototypes, assignments), cubic angstrom.
    :param nearest: the known compound that says most, shape (prototypes, assignments).
    :param voters: the known compounds, those of one prototype side by side, shape (voters,).
    :param owners: prototype of each, increasing, shape (voters,).
    :param weights: how much each says next to the one of its prototype that says most, shape (voters, assignments).
    :param voter_volumes: volume per atom that each gives, shape (voters,), cubic angstrom.
    """

    prototypes: IntArray
    assignments: IntArray
    votes: FloatArray
    volumes: FloatArray
    nearest: IntArray
    voters: IntArray
    owners: IntArray
    weights: FloatArray
    voter_volumes: FloatArray


def substitutions(
    library: PrototypeLibrary, wanted: Wanted, excluded: npt.NDArray[np.bool_] | None = None
) -> Arrangements | None:
    """Weigh every prototype that has the slot counts of the cell, in every order of the elements.

    :param library: the prototypes.
    :param wanted: the cell.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    :return: None if no known compound has such a cell.
    """
    slots = range(len(wanted.counts))
    return gather_votes(
        library,
        wanted,
        counts=wanted.counts,
        slots=np.array(slots),
        groups=np.array(wanted.counts),
        assignments=np.array(slot_orders(wanted.counts)),
        excluded=excluded,
    )


def gather_votes(
    library: PrototypeLibrary,
    wanted: Wanted,
    counts: Sequence[int],
    slots: IntArray,
    groups: IntArray,
    assignments: IntArray,
    excluded: npt.NDArray[np.bool_] | None = None,
) -> Arrangements | None:
    """Let the compounds of one class of prototypes vote.

    :param library: the prototypes.
    :param wanted: the cell.
    :param counts: slot counts of the class.
    :param slots: the slot that each group of sites belongs to, shape (groups,).
    :param groups: sites of each group, shape (groups,).
    :param assignments: element of the cell on each group, shape (assignments, groups).
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    :return: None if nobody votes.
    """
    prototypes = library.classes.get(tuple(counts))
    if prototypes is None:
        return None
    members, context = _voters(library, tuple(counts), excluded)
    if len(members) == 0:
        return None
    with torch.no_grad():
        costs = _costs(library, wanted, members, context, slots, groups, assignments)
        metastable = _polymorphs(library, wanted, members, counts) & (library.member_hulls[members] > _STABLE)
        if metastable.any():
            others = costs[torch.from_numpy(~metastable)]
            least = float(others.min()) if len(others) else _nearest_of_any_size(library, wanted, excluded)
            costs = _doubt(costs, torch.from_numpy(metastable), least)
        hulls = torch.from_numpy(library.member_hulls[members]).to(torch.float32)
        votes = library.cost.votes(costs, hulls).double().numpy()
    present = library.member_elements[members, : len(counts)]
    scales = wanted.volume / (library.atomic_volumes[present] @ np.array(counts) / sum(counts))
    volumes = library.member_volumes[members] * scales
    return _pool(prototypes, library.member_prototypes[members], members, assignments, votes, volumes)


def _context(library: PrototypeLibrary, numbers: IntArray, counts: tuple[int, ...]) -> Tensor:
    """Return how each element of a cell stands to the others, shape (elements, features)."""
    with torch.no_grad():
        described = library.cost.context(torch.from_numpy(numbers)[None], torch.tensor(counts, dtype=torch.float32))
    return described[0]


def _voters(
    library: PrototypeLibrary, counts: tuple[int, ...], excluded: npt.NDArray[np.bool_] | None
) -> tuple[IntArray, Tensor]:
    """Return the known compounds of a class that may vote, and the context of their elements."""
    members, context = library.members_of(counts), library.contexts_of(counts)
    if excluded is None:
        return members, context
    return members[~excluded[members]], context[torch.from_numpy(~excluded[members])]


def _costs(
    library: PrototypeLibrary,
    wanted: Wanted,
    members: IntArray,
    context: Tensor,
    slots: IntArray,
    groups: IntArray,
    assignments: IntArray,
) -> Tensor:
    """Return what it costs to put the elements into each known compound, shape (members, assignments)."""
    costs: Tensor = library.cost(
        torch.from_numpy(library.member_elements[members][:, slots]),
        context[:, slots],
        torch.from_numpy(wanted.numbers[assignments]),
        wanted.context[assignments],
        torch.from_numpy(groups).to(torch.float32),
    )
    return costs


def _polymorphs(
    library: PrototypeLibrary, wanted: Wanted, members: IntArray, counts: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Return which of the members are crystals of the formula itself."""
    if sorted(counts) != sorted(wanted.counts):
        return np.zeros(len(members), dtype=bool)
    elements = library.member_elements[members, : len(counts)]
    content = np.sort(_CONTENT * np.array(wanted.counts) + wanted.numbers)
    same: npt.NDArray[np.bool_] = (np.sort(_CONTENT * np.array(counts) + elements, axis=1) == content).all(axis=1)
    return same


def _doubt(costs: Tensor, metastable: Tensor, least: float) -> Tensor:
    """Let metastable crystals of the formula itself cost as much as the nearest of the other compounds.

    They cost nothing else, which says too much of them: costs were learnt without a compound's own formula, and one of
    its crystals that is not the stable one tells that there is another.

    :param costs: shape (members, assignments).
    :param metastable: which members are such crystals.
    :param least: cost of the nearest of the other compounds.
    """
    return torch.where(metastable[:, None], costs.clamp(min=least), costs)


def _nearest_of_any_size(library: PrototypeLibrary, wanted: Wanted, excluded: npt.NDArray[np.bool_] | None) -> float:
    """Return the least cost of the other compounds of the stoichiometry, for cells that only the formula itself has.

    :return: nought where there are no others.
    """
    costs = []
    for counts in library.classes:
        if reduced_counts(counts) != reduced_counts(wanted.counts):
            continue
        members, context = _voters(library, counts, excluded)
        cell = wanted.of_size(library, counts)
        others = ~_polymorphs(library, cell, members, counts)
        if others.any():
            slots, groups, orders = np.arange(len(counts)), np.array(counts), np.array(slot_orders(counts))
            found = _costs(library, cell, members[others], context[torch.from_numpy(others)], slots, groups, orders)
            costs.append(float(found.min()))
    return min(costs, default=0.0)


def _pool(
    prototypes: IntArray,
    owners: IntArray,
    members: IntArray,
    assignments: IntArray,
    votes: FloatArray,
    volumes: FloatArray,
) -> Arrangements:
    """Add up the votes of the compounds that share a prototype."""
    order = np.argsort(owners, kind='stable')
    owners, members, votes, volumes = owners[order], members[order], votes[order], volumes[order]
    voted, starts = np.unique(owners, return_index=True)
    highest = np.maximum.reduceat(votes, starts, axis=0)
    lengths = np.diff(np.append(starts, len(owners)))
    weights = np.exp(votes - np.repeat(highest, lengths, axis=0))
    total = np.add.reduceat(weights, starts, axis=0)
    first = np.where(weights == 1.0, np.arange(len(owners))[:, None], len(owners))
    places = np.searchsorted(prototypes, voted)
    shape = (len(prototypes), len(assignments))
    pooled = np.full(shape, -np.inf)
    mean, nearest = np.ones(shape), np.zeros(shape, dtype=np.int64)
    pooled[places] = highest + np.log(total)
    mean[places] = np.add.reduceat(weights * volumes[:, None], starts, axis=0) / total
    nearest[places] = members[np.minimum.reduceat(first, starts, axis=0)]
    return Arrangements(prototypes, assignments, pooled, mean, nearest, members, owners, weights, volumes)
