"""Which atom of a trial crystal is which row of a predicted distance matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import torch

__all__ = ('in_order_of', 'match_atoms', 'match_many')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_GAIN = 1e-9
_RESTARTS = 6
_BATCH_GAIN = 1e-4
_BATCH_STARTS = 5


def match_atoms(distances: npt.ArrayLike, expected: npt.ArrayLike, species: Sequence[Hashable]) -> IntArray:
    """Order the atoms inside each element so that their distances come close to the expected ones.

    The atoms are first assigned by their sorted distances to each element, then pairs of them are swapped as long as
    the squared deviation of the matrix falls; this is repeated from a few shuffled orders. That finds a good order, not
    certainly the best one.

    :param distances: distances of the crystal, shape (atoms, atoms), A; the diagonal is not looked at.
    :param expected: expected distances, shape (atoms, atoms), A.
    :param species: element of every row of both matrices, equal elements side by side.
    :return: the atom of the crystal that stands in each row, shape (atoms,).
    """
    found, target = (np.array(matrix, dtype=np.float64) for matrix in (distances, expected))
    np.fill_diagonal(found, 0.0)
    np.fill_diagonal(target, 0.0)
    elements = np.array(species)
    order = _assign_profiles(found, target, elements)
    same = np.triu(elements[:, None] == elements, 1)
    best = _swap(order.copy(), found, target, same)
    least = _deviation(best, found, target)
    generator = np.random.default_rng(0)
    begun = {order.tobytes()}
    for _ in range(_RESTARTS if np.count_nonzero(same) > 1 else 0):
        if least <= _GAIN:
            break
        shuffled = order.copy()
        for element in dict.fromkeys(species):
            rows = np.flatnonzero(elements == element)
            shuffled[rows] = generator.permutation(shuffled[rows])
        if shuffled.tobytes() in begun:
            continue
        begun.add(shuffled.tobytes())
        end = _swap(shuffled, found, target, same)
        deviation = _deviation(end, found, target)
        if deviation < least:
            best, least = end, deviation
    return best


def in_order_of(expected: npt.ArrayLike, distances: npt.ArrayLike, species: Sequence[Hashable]) -> FloatArray:
    """Return distances with the atoms of each element in the order that comes closest to the expected ones.

    :param expected: expected distances, shape (atoms, atoms), A.
    :param distances: distances of the crystal, shape (atoms, atoms), A.
    :param species: element of every row of both matrices, equal elements side by side.
    """
    order = match_atoms(distances, expected, species)
    return np.asarray(distances, dtype=np.float64)[np.ix_(order, order)]


def _deviation(order: IntArray, found: FloatArray, target: FloatArray) -> float:
    """Return the squared deviation of the matrix in an order."""
    return float(((found[order[:, None], order] - target) ** 2).sum())


def _swap(order: IntArray, found: FloatArray, target: FloatArray, same: npt.NDArray[np.bool_]) -> IntArray:
    """Swap the pair of atoms that lowers the squared deviation most until no swap lowers it."""
    for _ in range(len(order) ** 2):
        current = found[order[:, None], order]
        overlap = current @ target.T
        own = np.diag(overlap)
        gain = overlap + overlap.T - own[:, None] - own + 2.0 * current * target
        gain[~same] = -np.inf
        first, second = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[first, second] <= _GAIN:
            break
        order[[first, second]] = order[[second, first]]
    return order


def _assign_profiles(found: FloatArray, target: FloatArray, elements: npt.NDArray[Any]) -> IntArray:
    """Assign the atoms of each element by their sorted distances to the atoms of each element."""
    from scipy.optimize import linear_sum_assignment

    names = dict.fromkeys(elements.tolist())
    order = np.zeros(len(elements), dtype=np.int64)
    places = {name: np.flatnonzero(elements == name) for name in names}
    for rows in places.values():
        if len(rows) == 1:
            order[rows] = rows
            continue
        cost = np.zeros((len(rows), len(rows)))
        for others in places.values():
            left, right = (np.sort(matrix[rows[:, None], others], axis=1) for matrix in (target, found))
            cost += ((left[:, None] - right) ** 2).sum(axis=-1)
        order[rows] = rows[linear_sum_assignment(cost)[1]]
    return order


def match_many(
    distances: torch.Tensor,
    expected: torch.Tensor,
    species: Sequence[str],
    generator: torch.Generator,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """Order the atoms of many crystals inside each element, all at once, by swaps only.

    It begins with the order of the sorted distances to each element, with a few random ones, and with one that is
    known; what :func:`match_atoms` finds for one crystal is a little better and takes a hundred times longer.

    :param distances: distances of the crystals, zeros on the diagonal, shape (crystals, atoms, atoms), A.
    :param expected: expected distances, shape (atoms, atoms), A; the diagonal is not looked at.
    :param species: element of every row, equal elements side by side.
    :param generator: draws the random orders.
    :param known: an order of the atoms of each crystal that may be a good one, shape (crystals, atoms).
    :return: the atom that stands in each row, shape (crystals, atoms).
    """
    import torch

    target = expected.clone().fill_diagonal_(0.0)
    elements = np.array(species)
    rows_of = [torch.from_numpy(np.flatnonzero(elements == name)) for name in dict.fromkeys(species)]
    same = torch.from_numpy(np.triu(elements[:, None] == elements, 1)).to(distances.device)
    begun = [_begin(distances, target, rows_of, generator if attempt else None) for attempt in range(_BATCH_STARTS)]
    begun += [] if known is None else [known]
    order, everywhere = torch.cat(begun), distances.repeat(len(begun), 1, 1)
    _swap_many(order, everywhere, target, same)
    deviation = (_reordered(everywhere, order) - target).square().sum(dim=(1, 2))
    best = deviation.reshape(len(begun), len(distances)).argmin(dim=0)
    rows = torch.arange(len(distances), device=order.device)
    return order[best * len(distances) + rows]


def _begin(
    distances: torch.Tensor, target: torch.Tensor, rows_of: Sequence[torch.Tensor], generator: torch.Generator | None
) -> torch.Tensor:
    """Return a first order of the atoms of many crystals: random, or by their sorted distances to each element."""
    import torch

    crystals, atoms = distances.shape[:2]
    order = torch.arange(atoms).repeat(crystals, 1)
    for rows in rows_of:
        if generator is None:
            order[:, rows] = rows[_assign_many(distances[:, rows], target[rows], rows_of)]
        else:
            order[:, rows] = rows[torch.argsort(torch.rand((crystals, len(rows)), generator=generator), dim=1)]
    return order.to(distances.device)


def _assign_many(distances: torch.Tensor, target: torch.Tensor, rows_of: Sequence[torch.Tensor]) -> torch.Tensor:
    """Assign the atoms of one element in many crystals by their sorted distances to the atoms of each element."""
    import torch
    from scipy.optimize import linear_sum_assignment

    crystals, atoms = distances.shape[:2]
    if atoms == 1:
        return torch.zeros((crystals, 1), dtype=torch.int64)
    cost = torch.zeros((crystals, atoms, atoms), device=distances.device)
    for others in rows_of:
        wanted, found = target[:, others].sort(dim=1).values, distances[:, :, others].sort(dim=2).values
        cost += (wanted[None, :, None] - found[:, None]).square().sum(dim=-1)
    return torch.from_numpy(np.stack([linear_sum_assignment(matrix)[1] for matrix in cost.cpu().numpy()]))


def _swap_many(order: torch.Tensor, distances: torch.Tensor, target: torch.Tensor, same: torch.Tensor) -> None:
    """Swap, in each crystal, the pair of atoms that lowers the squared deviation most until no swap lowers it."""
    import torch

    atoms = len(target)
    active = torch.arange(len(order), device=order.device)
    for _ in range(3 * atoms):
        current = _reordered(distances[active], order[active])
        overlap = current @ target
        own = overlap.diagonal(dim1=1, dim2=2)
        gain = overlap + overlap.mT - own[:, :, None] - own[:, None] + 2.0 * current * target
        largest, pair = gain.masked_fill(~same, -torch.inf).flatten(1).max(dim=1)
        improving = largest > _BATCH_GAIN
        active, pair = active[improving], pair[improving]
        if len(active) == 0:
            break
        first, second = pair // atoms, pair % atoms
        moved = order[active, first].clone()
        order[active, first] = order[active, second]
        order[active, second] = moved


def _reordered(distances: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Bring the rows and columns of many matrices into their orders."""
    rows = order[:, :, None].expand_as(distances)
    return distances.gather(1, rows).gather(2, rows.mT)
