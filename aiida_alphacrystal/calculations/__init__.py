"""The heavy stages as jobs for another machine, and what reads their results."""

from __future__ import annotations

from aiida_alphacrystal.calculations.parser import PredictParser
from aiida_alphacrystal.calculations.predict import PredictCalculation

__all__ = ('PredictCalculation', 'PredictParser')
