"""How far a stated probability can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ('expected_calibration_error',)


def expected_calibration_error(probabilities: Sequence[float], outcomes: Sequence[bool], bins: int = 10) -> float:
    """Return how far stated probabilities are from what then happens, on average.

    The probabilities are sorted into bins of equal width, each with its upper edge; the distance between the mean
    probability and the share of true outcomes of each bin is weighted by its count (M. P. Naeini et al., AAAI 2015,
    https://doi.org/10.1609/aaai.v29i1.9602; C. Guo et al., ICML 2017, https://doi.org/10.48550/arXiv.1706.04599).

    :param probabilities: what was stated, each from 0 to 1.
    :param outcomes: what happened, in the same order.
    :param bins: number of bins.
    :raises ValueError: if there is nothing to compare, or a probability or the number of bins is out of its range.
    """
    stated, happened = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if stated.shape != happened.shape or stated.ndim != 1 or not len(stated):
        raise ValueError(f'{len(stated)} probabilities cannot be held against {len(happened)} outcomes: give as many.')
    if bins < 1 or not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError(
            'A probability is not from 0 to 1, or there is no bin: give probabilities and at least one bin.'
        )
    places = np.digitize(stated, np.linspace(0.0, 1.0, bins + 1)[1:-1], right=True)
    gaps = np.bincount(places, weights=stated - happened, minlength=bins)
    return float(np.abs(gaps).sum() / len(stated))
