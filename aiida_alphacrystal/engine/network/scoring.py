"""How far predicted distance matrices are from the true ones."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.atom_matching import in_order_of

__all__ = ('score_distances',)

FloatArray = npt.NDArray[np.float64]


def score_distances(
    predicted: Sequence[FloatArray],
    true: Sequence[FloatArray],
    elements: Sequence[Sequence[Hashable]],
    *,
    diagonal: bool = False,
) -> dict[str, float]:
    """Score distance matrices over the pairs of different atoms, atoms matched inside each element.

    :param predicted: a distance matrix for each crystal, A.
    :param true: the true ones, A.
    :param elements: the elements of each.
    :param diagonal: whether the distance of each atom to its own nearest image counts as well.
    :return: ``n`` (crystals with at least two atoms), ``rmse_pooled`` over all pairs, ``rmse_mean`` and
        ``rmse_median`` over crystals, A, and the shares of crystals ``under_0.1`` and ``under_0.3`` A.
    """
    squared, pairs = [], []
    for guess, truth, symbols in zip(predicted, true, elements, strict=True):
        if len(truth) < 2:
            continue
        difference = (guess - in_order_of(guess, truth, symbols)) ** 2
        pairs.append(len(truth) * (len(truth) - (0 if diagonal else 1)))
        squared.append(float(difference.sum() - (0.0 if diagonal else np.trace(difference))))
    errors = np.sqrt(np.array(squared) / np.array(pairs))
    return {
        'n': len(errors),
        'rmse_pooled': float(np.sqrt(sum(squared) / sum(pairs))),
        'rmse_mean': float(errors.mean()),
        'rmse_median': float(np.median(errors)),
        'under_0.1': float((errors < 0.1).mean()),
        'under_0.3': float((errors < 0.3).mean()),
    }
