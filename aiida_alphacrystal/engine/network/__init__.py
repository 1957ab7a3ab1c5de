"""Stage 2: the distance network, its weights and its training."""

from __future__ import annotations

from aiida_alphacrystal.engine.network.checkpoint import load_network
from aiida_alphacrystal.engine.network.inference import predict_distances
from aiida_alphacrystal.engine.network.model import DistanceNetwork

__all__ = ('DistanceNetwork', 'load_network', 'predict_distances')
