"""How close a prediction comes to the truth, and how far a stated probability can be trusted.

The match criterion of the package has its home here: two crystals match when pymatgen's ``StructureMatcher`` with the
tolerances of CDVAE (T. Xie et al., ICLR 2022, https://doi.org/10.48550/arXiv.2110.06197) and DiffCSP (R. Jiao et al.,
NeurIPS 2023, https://doi.org/10.48550/arXiv.2309.04475) finds a root mean square displacement. Its method ``fit`` is
not that criterion: it holds the largest displacement against the same tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('STRICT_RMS', 'expected_calibration_error', 'first_match', 'normalised_rms', 'structure_matcher')

#: Below this normalised displacement a match is strict; the criterion itself is lenient.
STRICT_RMS = 0.1


def structure_matcher(primitive_cell: bool = True) -> StructureMatcher:
    """Return a matcher with the tolerances of the criterion.

    :param primitive_cell: whether it looks for the primitive cells first; it need not where they are given.
    """
    return StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10, primitive_cell=primitive_cell)


_MATCHER = structure_matcher()


def normalised_rms(predicted: Structure, truth: Structure) -> float | None:
    """Return the root mean square displacement of the atoms of two crystals, None where they do not match.

    Both are reduced to primitive cells and scaled to one volume first.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    :return: the displacement in units of the cube root of the volume per atom.
    """
    found = _MATCHER.get_rms_dist(predicted, truth)  # type: ignore[no-untyped-call]
    return None if found is None else float(found[0])


def first_match(candidates: Iterable[Structure], truth: Structure) -> int | None:
    """Return the rank of the first candidate that matches, from 1, None where none does.

    :param candidates: predicted crystals, best first; none after the match is asked for.
    :param truth: the known crystal.
    """
    ranked = enumerate(candidates, start=1)
    return next((rank for rank, candidate in ranked if normalised_rms(candidate, truth) is not None), None)


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
