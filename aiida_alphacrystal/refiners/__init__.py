"""Adapters to the DFT work chains that predictions are handed to.

A package adds one without touching this one: a subclass of :class:`Refiner` under a name of the entry point group
``aiida_alphacrystal.refiners``.
"""

from __future__ import annotations

from aiida_alphacrystal.refiners.base import DEFAULT_REFINER, ProtocolRefiner, Refiner, RefinerSettings, get_refiner
from aiida_alphacrystal.refiners.errors import CodeError, FunctionalError, PseudopotentialError, RefinerError

__all__ = (
    'DEFAULT_REFINER',
    'CodeError',
    'FunctionalError',
    'ProtocolRefiner',
    'PseudopotentialError',
    'Refiner',
    'RefinerError',
    'RefinerSettings',
    'get_refiner',
)
