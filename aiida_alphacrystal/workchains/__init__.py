"""Work chains of the plugin."""

from __future__ import annotations

from aiida_alphacrystal.workchains.predict import PredictWorkChain

__all__ = ('PredictWorkChain',)
