"""The commands that build a file of known crystals to train on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Failure, Interrupted
from aiida_alphacrystal.cli.params import HelpfulGroup
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.dataset_building import Filters, Source

__all__ = ('cmd_dataset',)

#: The environment variable that holds the key of the Materials Project, as its own client calls it.
_KEY = 'MP_API_KEY'

_STAGES = {
    'read': 'Reading crystals',
    'duplicates': 'Looking for duplicates',
    'write': 'Writing',
}

_SHARE = click.FloatRange(min=0, max=1, max_open=True)


def _common(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all sources share."""
    options = (
        click.option(
            '-o',
            '--output',
            type=click.Path(file_okay=False, path_type=Path),
            required=True,
            metavar='DIR',
            help='Directory for the files; the same command continues there after a stop.',
        ),
        click.option(
            '--preset',
            'presets',
            type=click.Choice(['mp12', 'cubic', 'binary', 'ternary']),
            multiple=True,
            help='Take what the paper takes: cells of at most 12 atoms, cubic crystals, two or three elements. '
            'Can be given more than once.',
        ),
        click.option(
            '--max-atoms',
            type=params.WholeNumber(1, DEFAULT_MAX_ATOMS),
            metavar='N',
            default=DEFAULT_MAX_ATOMS,
            show_default=True,
            help='Largest primitive cell.',
        ),
        click.option(
            '--max-above-hull',
            type=click.FloatRange(min=0),
            metavar='EV',
            help='Leave crystals out that are higher above the hull, eV/atom, or of which it is not known.',
        ),
        click.option(
            '--limit',
            type=params.WholeNumber(1, 10_000_000),
            metavar='N',
            help='Stop after so many crystals that pass the filters.',
        ),
        click.option(
            '--val', type=_SHARE, metavar='SHARE', default=0.05, show_default=True, help='Formulas for validation.'
        ),
        click.option(
            '--test', type=_SHARE, metavar='SHARE', default=0.1, show_default=True, help='Formulas for the test.'
        ),
        params.SEED,
        params.FORMAT,
    )
    for option in reversed(options):
        function = option(function)
    return function


_SOURCE = click.option('--source', 'stated', metavar='TEXT', help='Origin and licence of the crystals, for the card.')


@click.group('dataset', cls=HelpfulGroup)
def cmd_dataset() -> None:
    """Build a file of known crystals to train on.

    Each command writes train.jsonl.gz, val.jsonl.gz and test.jsonl.gz with primitive cells, no formula in two of them,
    duplicates removed, and card.json, which says what they are. What cannot be used is left out and named there.
    """


@cmd_dataset.command('folder')
@click.argument('path', metavar='DIR|FILE', type=click.Path(exists=True, readable=True, path_type=Path))
@_SOURCE
@_common
def cmd_dataset_folder(*, path: Path, **options: Any) -> None:
    """Take crystals from files.

    CIF files, JSON lines (.jsonl, .jsonl.gz; the fields that `train` reads) and tables with a column cif (.csv,
    .csv.gz; as MP-20 has it) are read; of a directory, all that are in it.
    """
    from aiida_alphacrystal.engine.dataset_building import FolderSource

    _build(FolderSource(path), **options)


@cmd_dataset.command('materials-project')
@click.option('--elements', metavar='A,B', help='Only materials that hold all of these elements, such as Li,O.')
@click.option('--chemsys', metavar='A-B', help='Only materials of these elements and no others, such as Li-Fe-O.')
@_common
def cmd_dataset_materials_project(*, elements: str | None, chemsys: str | None, **options: Any) -> None:
    """Download crystals from the Materials Project.

    The environment variable MP_API_KEY has to hold your key. Needs the extra `datasets`: pip install
    'aiida-alphacrystal[datasets]'.
    """
    key = os.environ.get(_KEY, '').strip()
    if not key:
        raise BadInput(
            f'The environment variable {_KEY} does not hold your key of the Materials Project: '
            'https://next-gen.materialsproject.org/api shows it after logging in.'
        )
    from aiida_alphacrystal.engine.dataset_building import MaterialsProjectSource

    names = _symbols(elements, r'[,\s]+')
    system = '-'.join(_symbols(chemsys, '-')) or None
    _build(MaterialsProjectSource(key, _filters(options), names, system), stated=None, **options)


@cmd_dataset.command('optimade')
@click.argument('url', metavar='URL')
@click.option('--filter', 'query', metavar='TEXT', default='', help='An OPTIMADE filter: elements HAS ALL "Na","Cl".')
@click.option('--energy-field', metavar='NAME', help='Field of the provider with formation energies, eV/atom.')
@click.option('--hull-field', metavar='NAME', help='Field of the provider with energies above the hull, eV/atom.')
@_SOURCE
@_common
def cmd_dataset_optimade(
    *, url: str, query: str, energy_field: str | None, hull_field: str | None, **options: Any
) -> None:
    """Download crystals from an OPTIMADE provider.

    URL is its base URL; https://www.optimade.org/providers-dashboard lists some.
    """
    from aiida_alphacrystal.engine.dataset_building import OptimadeSource

    _build(OptimadeSource(url, query, energy_field, hull_field), **options)


@cmd_dataset.command('group')
@click.argument('label', metavar='LABEL')
@_SOURCE
@_common
@params.PROFILE
@click.pass_context
def cmd_dataset_group(ctx: click.Context, *, label: str, profile: str | None, **options: Any) -> None:
    """Take the structures of an AiiDA group."""
    from aiida_alphacrystal.cli.profile import load_profile
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.engine.progress import reporting

    load_profile(profile, create=False, debug=ctx.obj['debug'])
    from aiida_alphacrystal.data.crystals import crystals_from_group

    with StageProgress({'group': 'Reading the group'}) as display, reporting(display):
        found = crystals_from_group(label)
    from aiida_alphacrystal.engine.dataset_building import GivenCrystals

    nodes = '\n'.join([*(crystal.material_id for crystal in found.crystals), *(uuid for uuid, _ in found.skipped)])
    described = {'kind': 'group', 'label': label, 'sha256': hashlib.sha256(nodes.encode()).hexdigest()}
    _build(GivenCrystals(described, found.crystals, found.skipped), **options)


def _symbols(text: str | None, separator: str) -> tuple[str, ...]:
    """Return the elements that a text names.

    :raises BadInput: if one of them is none.
    """
    from pymatgen.core.periodic_table import Element

    symbols = tuple(word for word in re.split(separator, text or '') if word)
    for symbol in symbols:
        if not Element.is_valid_symbol(symbol):
            raise BadInput(f'{symbol!r} is no element: write symbols as in the periodic table, such as Li.')
    return symbols


def _filters(options: dict[str, Any]) -> Filters:
    from aiida_alphacrystal.engine.dataset_building import Filters

    return Filters.from_presets(options['presets'], options['max_atoms'], options['max_above_hull'])


def _build(source: Source, *, output: Path, stated: str | None, output_format: str, **options: Any) -> None:
    """Build the data set and tell what it holds.

    :raises Failure: if a server does not answer.
    """
    from aiida_alphacrystal.cli.left_out import tell_left_out
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.dataset_building import DatasetSettings, Split, UnreachableError, build_dataset
    from aiida_alphacrystal.engine.progress import reporting
    from aiida_alphacrystal.report.tables import print_facts, print_json

    split = Split(options['val'], options['test'], options['seed'])
    settings = DatasetSettings(_filters(options), split, options['limit'], stated)
    params.writable_directory(output)
    try:
        with _interruptible(), clean_stdout(), StageProgress(_STAGES) as display, reporting(display):
            card = build_dataset(source, settings, output)
    except UnreachableError as error:
        raise Failure(str(error)) from error
    tell_left_out('Entries that cannot be used', [(row['material_id'], row['reason']) for row in card['left_out']])
    for name, file in card['files'].items():
        if not file['crystals']:
            click.echo(f'{name} is empty: so few formulas miss a share; give more, or another --seed.', err=True)
    click.echo(f'Wrote the crystals and their card to {output}.', err=True)
    if output_format == 'json':
        print_json(card)
    else:
        print_facts(_facts(card))


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Say after Ctrl-C how to go on.

    :raises Interrupted: if the user pressed Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted('What has been read is kept: run the same command again to go on from there.') from None


def _facts(card: dict[str, Any]) -> dict[str, Any]:
    """Return what the table shows of a card."""
    counts = card['counts']
    facts = {'entries read': counts['read'], 'not usable': sum(counts['left_out'].values())}
    facts |= dict(counts['filtered'].items())
    facts['duplicates'] = counts['duplicates']
    return facts | {
        name: f'{file["crystals"]} crystals, {file["formulas"]} formulas' for name, file in card['files'].items()
    }
