"""How close a prediction comes to the truth, and how far a stated probability can be trusted."""

from __future__ import annotations

from aiida_alphacrystal.engine.metrics.calibration import expected_calibration_error
from aiida_alphacrystal.engine.metrics.comparison import Comparison, ComparisonError, compare
from aiida_alphacrystal.engine.metrics.matching import (
    MATCH_TOLERANCE,
    STRICT_RMS,
    first_match,
    normalised_rms,
    reduced_structure,
    structure_matcher,
)

__all__ = (
    'MATCH_TOLERANCE',
    'STRICT_RMS',
    'Comparison',
    'ComparisonError',
    'compare',
    'expected_calibration_error',
    'first_match',
    'normalised_rms',
    'reduced_structure',
    'structure_matcher',
)
