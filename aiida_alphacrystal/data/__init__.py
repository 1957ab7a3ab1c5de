"""Node types of the plugin: distances, and what was learnt, stored so that equal content has an equal hash."""

from __future__ import annotations

from aiida_alphacrystal.data.distances import DistancesData
from aiida_alphacrystal.data.model import ModelData
from aiida_alphacrystal.data.potential import PotentialData

__all__ = ('DistancesData', 'ModelData', 'PotentialData')
