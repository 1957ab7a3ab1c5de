"""Work chains of the plugin."""

from __future__ import annotations

from aiida_alphacrystal.workchains.base import PredictBaseWorkChain
from aiida_alphacrystal.workchains.predict import PredictWorkChain
from aiida_alphacrystal.workchains.refine import RefineWorkChain
from aiida_alphacrystal.workchains.screen import ScreenWorkChain

__all__ = ('PredictBaseWorkChain', 'PredictWorkChain', 'RefineWorkChain', 'ScreenWorkChain')
