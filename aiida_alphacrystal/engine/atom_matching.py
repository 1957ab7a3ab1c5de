"""Which atom of a trial crystal is which row of a predicted distance matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ('match_atoms',)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_GAIN = 1e-9
_RESTARTS = 6


def match_atoms(distances: npt.ArrayLike, expected: npt.ArrayLike, species: Sequence[str]) -> IntArray:
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
    generator = np.random.default_rng(0)
    starts = [order]
    for _ in range(_RESTARTS):
        shuffled = order.copy()
        for element in dict.fromkeys(species):
            rows = np.flatnonzero(elements == element)
            shuffled[rows] = generator.permutation(shuffled[rows])
        starts.append(shuffled)
    same = np.triu(elements[:, None] == elements, 1)
    ends = [_swap(start, found, target, same) for start in starts]
    return min(ends, key=lambda end: float(((found[np.ix_(end, end)] - target) ** 2).sum()))


def _swap(order: IntArray, found: FloatArray, target: FloatArray, same: npt.NDArray[np.bool_]) -> IntArray:
    """Swap the pair of atoms that lowers the squared deviation most until no swap lowers it."""
    for _ in range(len(order) ** 2):
        current = found[np.ix_(order, order)]
        overlap = current @ target.T
        own = np.diag(overlap)
        gain = overlap + overlap.T - own[:, None] - own + 2.0 * current * target
        gain[~same] = -np.inf
        first, second = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[first, second] <= _GAIN:
            break
        order[[first, second]] = order[[second, first]]
    return order


def _assign_profiles(found: FloatArray, target: FloatArray, elements: npt.NDArray[np.str_]) -> IntArray:
    """Assign the atoms of each element by their sorted distances to the atoms of each element."""
    from scipy.optimize import linear_sum_assignment

    names = dict.fromkeys(elements.tolist())
    order = np.zeros(len(elements), dtype=np.int64)
    for name in names:
        rows = np.flatnonzero(elements == name)
        cost = np.zeros((len(rows), len(rows)))
        for other in names:
            left, right = (np.sort(matrix[np.ix_(rows, elements == other)], axis=1) for matrix in (target, found))
            cost += ((left[:, None] - right) ** 2).sum(axis=-1)
        order[rows] = rows[linear_sum_assignment(cost)[1]]
    return order
