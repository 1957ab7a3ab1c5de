"""Commands that learn from known crystals."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Interrupted
from aiida_alphacrystal.cli.left_out import tell_left_out
from aiida_alphacrystal.cli.params import HelpfulGroup, WholeNumber

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('cmd_train',)

#: UUID of every node that was left out, and why.
Skipped = tuple[tuple[str, str], ...]

#: The word that stands for the library of the package.
_SHIPPED = 'shipped'

_CRYSTALS = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def _data(required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option that names the file of crystals.

    :param required: whether the command has no other source of crystals.
    """
    return click.option(
        '--data',
        type=_CRYSTALS,
        required=required,
        metavar='FILE',
        help='Crystals to learn from: one JSON object a line, plain or gzipped.',
    )


_FORMAT = click.option(
    '--format',
    'output_format',
    type=click.Choice(['table', 'json']),
    default='json',
    show_default=True,
    help='Print the card as one JSON object, or the most important of it.',
)
_VAL_HELP = 'Other crystals, to choose the best epoch on.'
_OUTPUT = click.option(
    '--output',
    type=click.Path(path_type=Path),
    required=True,
    metavar='DIR',
    help='Directory for the weights and their card.',
)


#: What the training of the cell predictor does.
_CELL_STAGES = {
    'votes': 'Letting known crystals vote',
    'votes_val': 'Letting them vote for the other file',
    **{f'classes_{number}': f'Learning space groups, network {number} of 5' for number in range(1, 6)},
    'ranker': 'Weighing networks against votes',
    'lattice': 'Learning lattices',
    'cells': 'Scoring',
}


@click.group('train', cls=HelpfulGroup)
def cmd_train() -> None:
    """Learn weights from known crystals.

    Each command writes weights and a JSON card that says what was learnt, from what, and how well.
    """


@cmd_train.command('distances')
@_data(required=True)
@click.option('--val', type=_CRYSTALS, metavar='FILE', help=_VAL_HELP)
@click.option('--test', type=_CRYSTALS, metavar='FILE', help='Further crystals, to be scored for the card only.')
@click.option(
    '--preset',
    metavar='NAME',
    default='fine',
    show_default=True,
    help='Which network, and how it is trained: fine, paper (that of AlphaCrystal-II) or paper-slim.',
)
@click.option(
    '--config',
    type=_CRYSTALS,
    metavar='FILE',
    help='YAML file of settings that differ from those of the preset; the card lists them all.',
)
@click.option('--epochs', type=WholeNumber(1, 10_000), metavar='N', help='How often to go through the crystals.')
@_OUTPUT
@params.SEED
@_FORMAT
def cmd_train_distances(
    *,
    data: Path,
    val: Path | None,
    test: Path | None,
    preset: str,
    config: Path | None,
    epochs: int | None,
    output: Path,
    seed: int,
    output_format: str,
) -> None:
    """Learn how far apart the atoms of a composition sit.

    The state is kept after every epoch: the same command goes on from there after it has been stopped. Losses and
    errors by epoch, and how often each distance occurs in the crystals, are drawn into the directory as well.
    """
    from aiida_alphacrystal.cli.progress import StageProgress

    params.writable_directory(output)
    with _learning('the same command goes on after the last full epoch'), StageProgress({}) as display:
        from aiida_alphacrystal.engine.network.settings import read_train_settings
        from aiida_alphacrystal.engine.network.training import train

        settings = read_train_settings(preset, config, {} if epochs is None else {'epochs': epochs})
        given = {'--preset': preset, '--config': config and config.name, '--epochs': epochs}
        options = shlex.join(str(word) for option in given.items() if option[1] for word in option)
        card = train(data, val, output, settings=settings, seed=seed, progress=display, test=test, options=options)
        _draw_training(data, output, settings.max_atoms)
    _tell(card, output, output_format)


def _draw_training(data: Path, output: Path, max_atoms: int) -> None:
    """Draw how a training of distances went, and what it was given."""
    from aiida_alphacrystal.engine.network.preparation import prepare
    from aiida_alphacrystal.report.plots import draw_histogram, draw_training, save_figure
    from aiida_alphacrystal.report.training import read_curves

    save_figure(draw_training(read_curves(output)), output / 'distances-curve.png')
    distances = prepare(data, output / 'prepared-train.npz', max_atoms).pair_distances()
    if len(distances):
        save_figure(draw_histogram(distances, f'Distances in {data.name}'), output / 'distances-histogram.png')


@cmd_train.command('cells')
@_data(required=True)
@click.option('--val', type=_CRYSTALS, required=True, metavar='FILE', help=_VAL_HELP)
@click.option(
    '--templates',
    type=_CRYSTALS,
    metavar='FILE',
    help='Library whose crystals vote, from `train templates`; by default that of the package.',
)
@_OUTPUT
@params.SEED
@_FORMAT
def cmd_train_cells(
    *, data: Path, val: Path, templates: Path | None, output: Path, seed: int, output_format: str
) -> None:
    """Learn space groups, cell contents and lattices.

    Networks that are finished are kept: the same command goes on from there after it has been stopped.
    """
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.engine.progress import reporting

    params.writable_directory(output)
    with _learning('the same command goes on after the last finished network'), StageProgress(_CELL_STAGES) as display:
        from aiida_alphacrystal.engine.cells.training import train_cells

        with reporting(display):
            card = train_cells(data, val, output, templates, seed)
    _tell(card, output, output_format)


@cmd_train.command('templates')
@_data(required=False)
@click.option('--group', metavar='LABEL', help='AiiDA group of structures to learn from, alone or besides a file.')
@click.option(
    '--extend',
    metavar=f'FILE|{_SHIPPED}',
    help='Add the crystals to this library, or to the one that the package carries; without it, begin a new one.',
)
@click.option('--source', metavar='TEXT', help='Where the crystals come from and their licence, for the card.')
@_OUTPUT
@_FORMAT
@params.PROFILE
@click.pass_context
def cmd_train_templates(
    ctx: click.Context,
    *,
    data: Path | None,
    group: str | None,
    extend: str | None,
    source: str | None,
    output: Path,
    output_format: str,
    profile: str | None,
) -> None:
    """Collect the prototypes of known crystals.

    Give the library to `predict --templates` to use it. Structures of a group that cannot be learnt from, such as
    alloys, are left out and counted.
    """
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.engine.progress import reporting

    if data is None and group is None:
        raise BadInput('There is nothing to learn from: give --data FILE, --group LABEL or both.')
    params.writable_directory(output)
    stages = {} if group is None else {'group': 'Reading the group'}
    stages |= {
        'templates': 'Collecting prototypes',
        'likeness': 'Comparing prototypes',
        'shapes': 'Measuring distances',
    }
    if extend is None:
        stages |= {
            'costs': 'Learning substitution costs',
            'calibration': 'Calibrating on formulas kept back',
            'distances': 'Asking for known distances',
            'correction': 'Learning their correction',
        }
    with _learning('the same command starts again from the beginning'):
        from aiida_alphacrystal.engine.reconstruct.training import train_templates

        base, extended = _read_base(extend)
        with StageProgress(stages) as display, reporting(display):
            crystals, skipped, origin = _gather(data, group, profile, ctx.obj['debug'])
        tell_left_out(f'Nodes of the group {group!r} that were skipped', skipped)
        with StageProgress(stages) as display, reporting(display):
            stated = {} if source is None else {'source': source}
            card = train_templates(crystals, origin | stated | extended, output, base)
    _tell(card, output, output_format)


@cmd_train.command('ranking')
@click.argument(
    'evaluations',
    metavar='DIR...',
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@_OUTPUT
@_FORMAT
def cmd_train_ranking(*, evaluations: tuple[Path, ...], output: Path, output_format: str) -> None:
    """Learn how probable relaxed structures are to be right.

    DIR is what `aiida-alphacrystal evaluate FILE --output DIR` has kept, one for each potential. The crystals must be
    none of those that the other weights were learnt from, nor those that scores are reported of.
    """
    from aiida_alphacrystal.engine.rank_training import train_ranking
    from aiida_alphacrystal.report.tables import print_facts, print_json

    params.writable_directory(output)
    card = train_ranking(evaluations, output / 'ranking.json')
    click.echo(f'Wrote the weights to {output / "ranking.json"}.', err=True)
    if output_format == 'json':
        print_json(card)
        return
    for row in card['potentials'].values():
        scores = row.get('cross_validated', {})
        rates = {f'right among the first {top}': scores[top] for top in ('1', '5', '20') if top in scores}
        print_facts({'potential': row['name'], 'weights': ' '.join(map(str, row['weights'])), **rates})


def _read_base(extend: str | None) -> tuple[PrototypeLibrary | None, dict[str, Any]]:
    """Return the library to begin with and what the card says about it.

    :param extend: a file, ``shipped``, or None to begin with none.
    :raises ModelError: if it cannot be read.
    """
    from aiida_alphacrystal.engine.checkpoint import read
    from aiida_alphacrystal.engine.reconstruct.library import load_library

    if extend is None:
        return None, {}
    path = None if extend == _SHIPPED else Path(extend)
    library = load_library(path)
    content, _ = read(path, 'templates.safetensors')
    name = _SHIPPED if path is None else path.name
    return library, {'extended': {'file': name, 'sha256': hashlib.sha256(content).hexdigest()}}


def _gather(
    data: Path | None, group: str | None, profile: str | None, debug: bool
) -> tuple[list[Crystal], Skipped, dict[str, Any]]:
    """Return the crystals of a file and of a group, what was left out of the group, and what the card says about them.

    :param data: file of crystals.
    :param group: label of a group.
    :param profile: the profile that has the group; None for the default one.
    :param debug: whether AiiDA may log to the terminal.
    :raises DatasetError: if the file cannot be used.
    :raises GroupError: if the group cannot be used.
    """
    from aiida_alphacrystal.engine.datasets import file_sha256, read_crystals, with_spacegroup

    crystals: list[Crystal] = []
    skipped: Skipped = ()
    source: dict[str, Any] = {}
    if data is not None:
        crystals.extend(with_spacegroup(read_crystals(data)))
        source |= {'file': data.name, 'sha256': file_sha256(data)}
    if group is not None:
        from aiida_alphacrystal.cli.profile import load_profile

        load_profile(profile, create=False, debug=debug)
        from aiida_alphacrystal.data.crystals import crystals_from_group

        found = crystals_from_group(group)
        crystals.extend(found.crystals)
        skipped = found.skipped
        source |= {'group': group}
    return crystals, skipped, source | {'crystals': len(crystals)}


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


def _tell(card: Mapping[str, Any], output: Path, output_format: str) -> None:
    """Print the card without the epochs one by one, and where it was written."""
    from aiida_alphacrystal.report.tables import print_facts, print_json

    click.echo(f'Wrote the weights and their card to {output}.', err=True)
    if 'history' in card:
        click.echo(f'  aiida-alphacrystal plot training {shlex.quote(str(output))} -o training.png', err=True)
    shown = {name: value for name, value in card.items() if name != 'history'}
    if output_format == 'json':
        print_json(shown)
    else:
        print_facts({name: value for name, value in shown.items() if isinstance(value, str | int | float)})
