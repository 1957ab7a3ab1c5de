"""Stage 2: the distance network, its weights and its training."""

from __future__ import annotations

from aiida_alphacrystal.engine.network.base import DistanceModel
from aiida_alphacrystal.engine.network.checkpoint import load_network, load_reference
from aiida_alphacrystal.engine.network.inference import predict_distances

__all__ = ('DistanceModel', 'load_network', 'load_reference', 'predict_distances')
