"""What can be wrong with a hand-off to DFT before anything is submitted."""

from __future__ import annotations

from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('CodeError', 'FunctionalError', 'PseudopotentialError', 'RefinerError')


class RefinerError(AlphaCrystalError):
    """A refiner is unknown, its plugin is not installed, or it cannot be used."""


class CodeError(RefinerError):
    """A code is not set up for the refiner on its computer."""


class PseudopotentialError(RefinerError):
    """A pseudopotential, its family or a recommended cutoff is missing."""


class FunctionalError(RefinerError):
    """The pseudopotentials were made for different density functionals."""
