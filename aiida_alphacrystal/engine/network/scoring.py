"""How far predicted distance matrices are from the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

__all__ = ('match_within_elements', 'score_distances')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ROUNDS = 20


def match_within_elements(predicted: FloatArray, true: FloatArray, elements: npt.ArrayLike) -> IntArray:
    """Find which true atom each predicted atom stands for: atoms of one element are interchangeable.

    Alternates between assigning the atoms of each element, all others held, and swapping two; from two starts, the
    order as it is and the assignment by sorted rows. The result is a good, not always the best, permutation.

    :param predicted: distance matrix, shape (atoms, atoms), A.
    :param true: distance matrix, shape (atoms, atoms), A.
    :param elements: element of every atom, shape (atoms,).
    :return: ``order`` such that ``true[order][:, order]`` is close to ``predicted``, shape (atoms,).
    """
    labels = np.unique(np.asarray(elements), return_inverse=True)[1].astype(np.int64)
    groups = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    start = np.arange(len(labels))
    if all(len(group) == 1 for group in groups):
        return start
    starts = (start, _assign_by_rows(predicted, true, groups))
    orders = [_improve(predicted, true, groups, order) for order in starts]
    return min(orders, key=lambda order: _cost(predicted, true, order))


def _cost(predicted: FloatArray, true: FloatArray, order: IntArray) -> float:
    return float(((predicted - true[np.ix_(order, order)]) ** 2).sum())


def _assign_by_rows(predicted: FloatArray, true: FloatArray, groups: Sequence[IntArray]) -> IntArray:
    """Assign atoms whose sorted distances to each element are alike."""
    rows = [
        np.concatenate([np.sort(matrix[:, group], axis=1) for group in groups], axis=1) for matrix in (predicted, true)
    ]
    costs = ((rows[0][:, None] - rows[1][None]) ** 2).sum(axis=-1)
    order = np.arange(len(predicted))
    for group in groups:
        order[group] = group[linear_sum_assignment(costs[np.ix_(group, group)])[1]]
    return order


def _improve(predicted: FloatArray, true: FloatArray, groups: Sequence[IntArray], order: IntArray) -> IntArray:
    """Reassign and swap until nothing gains."""
    best = _cost(predicted, true, order)
    for _ in range(_ROUNDS):
        trial = _reassign(predicted, true, groups, order)
        if _cost(predicted, true, trial) >= best - 1e-9:
            trial = _swap(predicted, true, groups, order)
        cost = _cost(predicted, true, trial)
        if cost >= best - 1e-9:
            break
        order, best = trial, cost
    return order


def _reassign(predicted: FloatArray, true: FloatArray, groups: Sequence[IntArray], order: IntArray) -> IntArray:
    costs = ((predicted[:, None, :] - true[:, order][None]) ** 2).sum(axis=-1)
    trial = order.copy()
    for group in groups:
        candidates = order[group]
        trial[group] = candidates[linear_sum_assignment(costs[np.ix_(group, candidates)])[1]]
    return trial


def _swap(predicted: FloatArray, true: FloatArray, groups: Sequence[IntArray], order: IntArray) -> IntArray:
    """Swap the two atoms of one element that gain most."""
    current = true[np.ix_(order, order)]
    costs = (predicted[:, None, :] - current[None]) ** 2
    total = costs.sum(axis=-1)
    atoms = np.arange(len(order))
    at_self = costs[atoms[:, None], atoms[None, :], atoms[:, None]]
    at_other = costs[atoms[:, None], atoms[None, :], atoms[None, :]]
    diagonal = (np.diag(predicted)[:, None] - np.diag(current)[None, :]) ** 2
    pair = (predicted - current) ** 2
    new = total - at_self - at_other + diagonal + pair
    gain = np.diag(total)[:, None] + np.diag(total)[None, :] - new - new.T
    allowed = np.zeros_like(pair, dtype=bool)
    for group in groups:
        allowed[np.ix_(group, group)] = True
    np.fill_diagonal(allowed, False)
    gain = np.where(allowed, gain, -np.inf)
    first, second = np.unravel_index(int(np.argmax(gain)), gain.shape)
    trial = order.copy()
    trial[[first, second]] = order[[second, first]]
    return trial


def score_distances(
    predicted: Sequence[FloatArray], true: Sequence[FloatArray], elements: Sequence[npt.ArrayLike]
) -> dict[str, float]:
    """Score distance matrices over the off-diagonal pairs, atoms matched inside each element.

    :param predicted: a distance matrix for each crystal, A.
    :param true: the true ones, A.
    :param elements: the elements of each.
    :return: ``n`` (crystals with at least two atoms), ``rmse_pooled`` over all pairs, ``rmse_mean`` and
        ``rmse_median`` over crystals, A, and the shares of crystals ``under_0.1`` and ``under_0.3`` A.
    """
    squared, pairs = [], []
    for guess, truth, symbols in zip(predicted, true, elements, strict=True):
        if len(truth) < 2:
            continue
        order = match_within_elements(guess, truth, symbols)
        difference = (guess - truth[np.ix_(order, order)]) ** 2
        pairs.append(len(truth) * (len(truth) - 1))
        squared.append(float(difference.sum() - np.trace(difference)))
    errors = np.sqrt(np.array(squared) / np.array(pairs))
    return {
        'n': len(errors),
        'rmse_pooled': float(np.sqrt(sum(squared) / sum(pairs))),
        'rmse_mean': float(errors.mean()),
        'rmse_median': float(np.median(errors)),
        'under_0.1': float((errors < 0.1).mean()),
        'under_0.3': float((errors < 0.3).mean()),
    }
