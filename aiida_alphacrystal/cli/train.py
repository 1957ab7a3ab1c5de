"""Commands that learn from known crystals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import Interrupted
from aiida_alphacrystal.cli.params import HelpfulGroup, WholeNumber

__all__ = ('cmd_train',)

_CRYSTALS = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_DATA = click.option(
    '--data',
    type=_CRYSTALS,
    required=True,
    metavar='FILE',
    help='Crystals to learn from: one JSON object a line, plain or gzipped.',
)
_VAL_HELP = 'Other crystals, to choose the best epoch on.'
_OUTPUT = click.option(
    '--output',
    type=click.Path(path_type=Path),
    required=True,
    metavar='DIR',
    help='Directory for the weights and their card.',
)


@click.group('train', cls=HelpfulGroup)
def cmd_train() -> None:
    """Learn weights from known crystals.

    Each command writes a safetensors file and a JSON card that says what was learnt, from what, and how well.
    """


@cmd_train.command('distances')
@_DATA
@click.option('--val', type=_CRYSTALS, metavar='FILE', help=_VAL_HELP)
@click.option('--test', type=_CRYSTALS, metavar='FILE', help='Further crystals, to be scored for the card only.')
@click.option('--epochs', type=WholeNumber(1, 10_000), metavar='N', help='How often to go through the crystals.')
@_OUTPUT
@params.SEED
def cmd_train_distances(
    *, data: Path, val: Path | None, test: Path | None, epochs: int | None, output: Path, seed: int
) -> None:
    """Learn how far apart the atoms of a composition sit.

    The state is kept after every epoch: the same command goes on from there after it has been stopped.
    """
    from aiida_alphacrystal.cli.progress import StageProgress

    params.writable_directory(output)
    with _learning('the same command goes on after the last full epoch'), StageProgress({}) as display:
        from aiida_alphacrystal.engine.network.training import TrainSettings, train

        settings = TrainSettings() if epochs is None else TrainSettings(epochs=epochs)
        card = train(data, val, output, settings=settings, seed=seed, progress=display, test=test)
    _tell(card, output)


@cmd_train.command('cells')
@_DATA
@click.option('--val', type=_CRYSTALS, required=True, metavar='FILE', help=_VAL_HELP)
@_OUTPUT
@params.SEED
def cmd_train_cells(*, data: Path, val: Path, output: Path, seed: int) -> None:
    """Learn space groups, cell contents and lattices."""
    from aiida_alphacrystal.cli.progress import StageProgress

    params.writable_directory(output)
    with _learning('the same command starts again from the beginning'), StageProgress({}) as display:
        from aiida_alphacrystal.engine.cells.training import train_cells

        def show(epoch: int, epochs: int, _: float) -> None:
            display('epochs', epoch, epochs)

        card = train_cells(data, val, output, seed=seed, progress=show)
    _tell(card, output)


@cmd_train.command('templates')
@_DATA
@_OUTPUT
def cmd_train_templates(*, data: Path, output: Path) -> None:
    """Collect the prototypes of known crystals."""
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.engine.progress import reporting

    params.writable_directory(output)
    with _learning('the same command starts again from the beginning'):
        from aiida_alphacrystal.engine.reconstruct.library import build_library

        with StageProgress({'templates': 'Collecting prototypes'}) as display, reporting(display):
            card = build_library(data, output)
    _tell(card, output)


@contextlib.contextmanager
def _learning(on_stop: str) -> Iterator[None]:
    """Keep standard output clean, and say how to go on when the user stops a training.

    :param on_stop: what the same command would do.
    :raises Interrupted: if the user pressed Ctrl-C.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout

    try:
        with clean_stdout():
            yield
    except KeyboardInterrupt as exception:
        raise Interrupted(f'The training is not finished; {on_stop}.') from exception


def _tell(card: Mapping[str, Any], output: Path) -> None:
    """Print the card and where it was written."""
    from aiida_alphacrystal.report.tables import print_json

    click.echo(f'Wrote the weights and their card to {output}.', err=True)
    print_json(card)
