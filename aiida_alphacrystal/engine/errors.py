"""What the engine raises when an input cannot be used.

Every message is one sentence that says what is wrong, where, and how to mend it, so that a command line or a
work chain can hand it on as it is.
"""

from __future__ import annotations

__all__ = (
    'AlphaCrystalError',
    'FormulaError',
    'ModelError',
    'PotentialError',
    'SettingsError',
    'TooManyAtomsError',
    'UnsupportedElementError',
    'one_sentence',
)


class AlphaCrystalError(ValueError):
    """Base of every error that bad input to the engine causes."""


class FormulaError(AlphaCrystalError):
    """A formula cannot be read as a stoichiometric compound."""


class TooManyAtomsError(FormulaError):
    """A formula holds more atoms than the limit allows."""


class UnsupportedElementError(AlphaCrystalError):
    """An element is unknown to the network or to the potential."""


class SettingsError(AlphaCrystalError):
    """A setting, a seed or a count is unknown or out of its range."""


class ModelError(AlphaCrystalError):
    """Trained weights are missing, damaged or made for something else."""


class PotentialError(AlphaCrystalError):
    """A potential is missing, damaged or fails its self-test."""


def one_sentence(exception: BaseException) -> str:
    """Return the message of an exception on one line, without its final full stop.

    :param exception: any exception; its class stands in for an empty message.
    """
    text = ' '.join(str(exception).split()).rstrip('.')
    return text or type(exception).__name__
