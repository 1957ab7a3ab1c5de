"""From the votes that a candidate won to the probability that it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ('COEFFICIENTS', 'features', 'fit', 'probability')

FloatArray = npt.NDArray[np.float64]

#: Constant, log-odds of the share of votes, logarithm of all votes, merge, split.
COEFFICIENTS = 5

_SMALLEST = 1e-6
_RIDGE = 1.0
_MAX_STEPS = 100
_TOLERANCE = 1e-10


def features(share: float, support: float, kind: str) -> FloatArray:
    """Return what the probability of a candidate follows from, shape (COEFFICIENTS,).

    :param share: share of the votes that it adds to the candidates before it, from 0 to 1.
    :param support: logarithm of all votes for the formula.
    :param kind: how it was made, see :data:`~aiida_alphacrystal.engine.reconstruct.selection.KINDS`.
    """
    clipped = min(max(share, _SMALLEST), 1 - 1e-3)
    return np.array([1.0, np.log(clipped / (1 - clipped)), support, kind == 'merge', kind == 'split'])


def probability(coefficients: npt.ArrayLike, values: npt.ArrayLike) -> float:
    """Return the probability of a candidate.

    :param coefficients: as :func:`fit` gives them, shape (COEFFICIENTS,).
    :param values: as :func:`features` gives them, shape (COEFFICIENTS,).
    """
    return float(1.0 / (1.0 + np.exp(-np.dot(coefficients, values))))


def fit(values: Sequence[FloatArray], outcomes: Sequence[bool]) -> FloatArray:
    """Fit a logistic regression by Newton's method, its slopes weakly held at those of the votes as they are.

    :param values: features of every candidate.
    :param outcomes: whether it was right and none before it was.
    :return: shape (COEFFICIENTS,).
    """
    start = np.zeros(COEFFICIENTS)
    start[1] = 1.0
    if not values:
        return start
    design, happened = np.array(values), np.array(outcomes, dtype=np.float64)
    found = start.copy()
    for _ in range(_MAX_STEPS):
        stated = 1.0 / (1.0 + np.exp(-design @ found))
        gradient = design.T @ (stated - happened) + _RIDGE * (found - start)
        curvature = (design * (stated * (1 - stated))[:, None]).T @ design + _RIDGE * np.eye(COEFFICIENTS)
        step = np.linalg.solve(curvature, gradient)
        found = found - step
        if np.abs(step).max() < _TOLERANCE:
            break
    return found
