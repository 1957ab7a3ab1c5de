"""Exit statuses of the command line and the exceptions that lead to them."""

from __future__ import annotations

import click

from aiida_alphacrystal.engine.errors import one_sentence

__all__ = ('EXIT_BAD_INPUT', 'EXIT_FAILURE', 'EXIT_INTERRUPTED', 'BadInput', 'Failure', 'Interrupted', 'one_sentence')

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class BadInput(click.ClickException):
    """What the user gave cannot be used."""

    exit_code = EXIT_BAD_INPUT


class Failure(click.ClickException):
    """The input was fine and yet there is no result."""

    exit_code = EXIT_FAILURE


class Interrupted(click.ClickException):
    """The user stopped a computation with Ctrl-C."""

    exit_code = EXIT_INTERRUPTED
