"""Learn what a substitution costs from which compounds are neighbours: those whose crystals match."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct.prototypes import slot_orders
from aiida_alphacrystal.engine.reconstruct.substitution import SubstitutionCost
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('learn_costs',)

_EPOCHS = 6
_RATE = 0.01
_WEIGHT_DECAY = 1e-3
_TARGETS_PER_STEP = 64
_PENALTY = 1 / 3000

#: Replacements (targets x members x orders x slots) that are weighed at once.
_CHUNK = 400_000


@dataclasses.dataclass(frozen=True)
class _Class:
    """The compounds whose prototypes have the same slot counts.

    :param counts: slot counts, shape (slots,).
    :param orders: orders of the slots, shape (orders, slots).
    :param elements: atomic numbers by slot, shape (members, slots).
    :param hulls: energies above the hull, shape (members,), eV/atom.
    :param owners: prototype of each, counted inside the class, shape (members,).
    :param formulas: label of the reduced formula of each, shape (members,).
    :param alike: see ``Likenesses.table``, shape (prototypes, prototypes, orders).
    """

    counts: Tensor
    orders: Tensor
    elements: Tensor
    hulls: Tensor
    owners: Tensor
    formulas: Tensor
    alike: Tensor


def learn_costs(
    library: PrototypeLibrary, formulas: npt.NDArray[np.int64], learning: npt.NDArray[np.bool_], seed: int
) -> SubstitutionCost:
    """Learn the costs with which the votes of other compounds single out the crystal of a compound.

    Each compound in turn is asked for, compounds of its own reduced formula have no vote, and the share of the votes
    for prototypes that match its crystal is to be large.

    :param library: prototypes, compounds and likenesses.
    :param formulas: label of the reduced formula of each compound, shape (members,).
    :param learning: which compounds are asked for, shape (members,).
    :param seed: of the initial parameters and the order of the compounds.
    """
    generator = np.random.default_rng(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cost = SubstitutionCost()
        classes, batches = _prepare(library, formulas, learning, generator)
        _descend(cost, classes, batches, generator)
    return cost.eval()


def _prepare(
    library: PrototypeLibrary,
    formulas: npt.NDArray[np.int64],
    learning: npt.NDArray[np.bool_],
    generator: np.random.Generator,
) -> tuple[list[_Class], list[tuple[int, Tensor]]]:
    """Return the classes, and batches of compounds to ask for: the class and the places in it."""
    classes: list[_Class] = []
    batches: list[tuple[int, Tensor]] = []
    for counts, prototypes in library.classes.items():
        members = library.members_of(counts)
        if len(members) < 2:
            continue
        orders = np.array(slot_orders(counts))
        asked = generator.permutation(np.flatnonzero(learning[members]))
        size = int(np.clip(_CHUNK // (len(members) * orders.size), 1, _TARGETS_PER_STEP))
        batches += [
            (len(classes), torch.from_numpy(asked[start : start + size])) for start in range(0, len(asked), size)
        ]
        classes.append(
            _Class(
                counts=torch.tensor(counts, dtype=torch.float32),
                orders=torch.from_numpy(orders),
                elements=torch.from_numpy(library.member_elements[members, : len(counts)]),
                hulls=torch.from_numpy(library.member_hulls[members]).to(torch.float32),
                owners=torch.from_numpy(np.searchsorted(prototypes, library.member_prototypes[members])),
                formulas=torch.from_numpy(formulas[members]),
                alike=torch.from_numpy(library.likenesses.table(prototypes, counts)),
            )
        )
    return classes, batches


def _descend(
    cost: SubstitutionCost, classes: list[_Class], batches: list[tuple[int, Tensor]], generator: np.random.Generator
) -> None:
    """Go through the batches and follow the gradient."""
    steps = max(1, _EPOCHS * sum(len(places) for _, places in batches) // _TARGETS_PER_STEP)
    optimiser = torch.optim.AdamW(cost.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    # a batch may hold more than the rest of a step, never less: there are at most as many steps as planned
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1, pct_start=0.15)
    cost.train()
    asked = 0
    for epoch in range(_EPOCHS):
        for place in generator.permutation(len(batches)):
            index, targets = batches[place]
            loss, number = _loss(cost, classes[index], targets)
            if number:
                (loss / _TARGETS_PER_STEP).backward()  # type: ignore[no-untyped-call]
                asked += number
            if asked >= _TARGETS_PER_STEP:
                (cost.penalty() * _PENALTY).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(cost.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
                asked = 0
        report('costs', epoch + 1, _EPOCHS)


def _loss(cost: SubstitutionCost, known: _Class, targets: Tensor) -> tuple[Tensor, int]:
    """Return minus the logarithm of the share of the votes that are right, summed, and over how many compounds.

    Compounds whose crystal matches no prototype that anyone votes for teach nothing.
    """
    wanted, counts = known.elements[targets], known.counts
    context, own = cost.context(known.elements, counts), cost.context(wanted, counts)
    shape = (len(known.elements), len(targets), len(known.orders))
    costs = cost(
        known.elements, context, wanted[:, known.orders].flatten(0, 1), own[:, known.orders].flatten(0, 1), counts
    ).reshape(shape)
    same = known.formulas[:, None] == known.formulas[targets]
    votes = cost.votes(costs, known.hulls).masked_fill(same[:, :, None], -torch.inf)
    highest = votes.detach().amax(dim=(0, 2), keepdim=True).clamp(min=-1e6)
    pooled = torch.zeros(len(known.alike), *shape[1:]).index_add_(0, known.owners, torch.exp(votes - highest))
    right = known.alike[:, known.owners[targets]]
    total, hits = pooled.sum(dim=(0, 2)), (pooled * right).sum(dim=(0, 2))
    useful = hits > 0
    return (torch.log(total[useful]) - torch.log(hits[useful])).sum(), int(useful.sum())
