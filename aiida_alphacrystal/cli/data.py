"""The commands ``verdi data alphacrystal``: distances, weights and potentials in the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import decorators, echo

from aiida_alphacrystal.cli import params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiida_alphacrystal.data import DistancesData, ModelData
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('cmd_data',)

_IDENTIFIER = click.argument('identifier', metavar='PK|UUID')
_FORMULA_UNITS = click.option(
    '--formula-units',
    metavar='N',
    type=click.IntRange(min=1),
    help='Those in the cell; the most probable cell where nothing is given.',
)
_LABEL = click.option('--family', metavar='LABEL', help='Label of the family of weights.')


@click.group('alphacrystal')
@click.pass_context
def cmd_data(ctx: click.Context) -> None:
    """Handle distances, weights and potentials of aiida-alphacrystal."""
    if os.environ.get('NO_COLOR'):  # which click itself does not look at
        ctx.color = False


@cmd_data.group('distances')
def cmd_distances() -> None:
    """Look at predicted distances between atoms."""


@cmd_distances.command('show')
@_IDENTIFIER
@_FORMULA_UNITS
@params.FORMAT
@decorators.with_dbenv()
def cmd_distances_show(identifier: str, formula_units: int | None, output_format: str) -> None:
    """Print the expected distances (Å) of every pair of atoms.

    The diagonal is the distance of an atom to its own nearest image.
    """
    from aiida_alphacrystal.report.distances import distances_facts, print_distances
    from aiida_alphacrystal.report.tables import print_json

    node = _load_distances(identifier, formula_units)
    if output_format == 'json':
        print_json(distances_facts(node, formula_units))
    else:
        print_distances(node, formula_units)


@cmd_distances.command('export')
@_IDENTIFIER
@click.argument('path', type=click.Path(dir_okay=False, path_type=Path))
@_FORMULA_UNITS
@decorators.with_dbenv()
def cmd_distances_export(identifier: str, path: Path, formula_units: int | None) -> None:
    """Write distances to PATH.

    A file that ends with .csv holds the expected distances; one with .npz these, the probabilities, the edges of the
    bins and the species, for numpy.
    """
    from aiida_alphacrystal.report.distances import EXPORT_FORMATS, export_distances

    if path.suffix not in EXPORT_FORMATS:
        echo.echo_critical(f'Distances cannot be written to {str(path)!r}: give a name that ends with .csv or .npz.')
    node = _load_distances(identifier, formula_units)
    try:
        export_distances(node.to_prediction(formula_units), path)
    except OSError as exception:
        echo.echo_critical(f'{str(path)!r} cannot be written ({exception.strerror}).')
    echo.echo_success(f'Wrote {path}.')


@cmd_distances.command('plot')
@_IDENTIFIER
@click.argument('path', type=click.Path(dir_okay=False, path_type=Path))
@_FORMULA_UNITS
@decorators.with_dbenv()
def cmd_distances_plot(identifier: str, path: Path, formula_units: int | None) -> None:
    """Draw distances and how sure they are to PATH, a file that ends with .png, .svg or .pdf."""
    from aiida_alphacrystal.report.distances import atom_names
    from aiida_alphacrystal.report.plots import PLOT_FORMATS, draw_distances, save_figure

    if path.suffix.lower() not in PLOT_FORMATS:
        echo.echo_critical(f'Nothing can be drawn to {str(path)!r}: give a name that ends with .png, .svg or .pdf.')
    node = _load_distances(identifier, formula_units)
    prediction = node.to_prediction(formula_units)
    figure = draw_distances(prediction, atom_names(prediction.species), node.get_description(formula_units))
    try:
        save_figure(figure, path)
    except OSError as exception:
        echo.echo_critical(f'{str(path)!r} cannot be written ({exception.strerror}).')
    echo.echo_success(f'Wrote {path}.')


@cmd_data.group('models')
def cmd_models() -> None:
    """Handle weights and the families that hold them together."""


@cmd_models.command('list')
@params.FORMAT
@decorators.with_dbenv()
def cmd_models_list(output_format: str) -> None:
    """List all weights with the families that hold them."""
    from aiida import orm

    from aiida_alphacrystal.data import ModelData
    from aiida_alphacrystal.groups import ModelFamily

    query = orm.QueryBuilder().append(ModelData, tag='model', project='*').order_by({'model': 'id'})
    rows = []
    for node in query.all(flat=True):
        families = orm.QueryBuilder().append(ModelData, filters={'id': node.pk}, tag='model')
        families.append(ModelFamily, with_node='model', project='label')
        made = f'{node.ctime:%Y-%m-%d %H:%M}'
        names = sorted(families.all(flat=True))
        rows.append({'pk': node.pk, 'purpose': node.purpose, 'sha256': node.sha256, 'families': names, 'made': made})
    _print_rows(rows, output_format, 'There are no weights yet: `verdi data alphacrystal models install` stores some.')


@cmd_models.command('install')
@_LABEL
@decorators.with_dbenv()
def cmd_models_install(family: str | None) -> None:
    """Store the weights that the package carries as a family; what is there already is not stored again."""
    from aiida_alphacrystal import __version__
    from aiida_alphacrystal.data import ModelData

    models = {purpose: ModelData.shipped(purpose) for purpose in ModelData.PURPOSES}
    _make_family(family or f'alphacrystal/{__version__}', models, f'Weights of aiida-alphacrystal {__version__}')


@cmd_models.command('import')
@click.argument('files', nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_LABEL
@decorators.with_dbenv()
def cmd_models_import(files: tuple[Path, ...], family: str | None) -> None:
    """Store weights from FILES that `aiida-alphacrystal train` has written, as a family where a label is given.

    The name of each file says what it is for: distances.safetensors, cells.safetensors or templates.safetensors.
    """
    from aiida_alphacrystal.data import ModelData
    from aiida_alphacrystal.engine.errors import AlphaCrystalError
    from aiida_alphacrystal.workchains.predict import model_from_file

    unknown = [path.name for path in files if path.stem not in ModelData.PURPOSES]
    if unknown:
        purposes = ', '.join(f'{purpose}.safetensors' for purpose in ModelData.PURPOSES)
        echo.echo_critical(f'What {unknown[0]!r} is for cannot be told: call the files {purposes}.')
    try:
        models = {path.stem: model_from_file(path.stem, path) for path in files}
    except AlphaCrystalError as exception:
        echo.echo_critical(str(exception))
    if family is not None:
        _make_family(family, models, '')
        return
    for purpose, model in models.items():
        known = model.is_stored
        echo.echo_success(f'Weights for {purpose} {"were there as" if known else "are"} node {model.store().pk}.')


@cmd_data.group('potential')
def cmd_potential() -> None:
    """Handle interatomic potentials."""


@cmd_potential.command('list')
@params.FORMAT
@decorators.with_dbenv()
def cmd_potential_list(output_format: str) -> None:
    """List all potentials."""
    from aiida import orm

    from aiida_alphacrystal.data import PotentialData

    query = orm.QueryBuilder().append(PotentialData, tag='potential', project='*').order_by({'potential': 'id'})
    keys = ('pk', 'name', 'kind', 'sha256')
    rows = [{key: getattr(node, key) for key in keys} for node in query.all(flat=True)]
    _print_rows(rows, output_format, 'There are no potentials yet: `verdi data alphacrystal potential install chgnet`.')


@cmd_potential.command('install')
@click.argument('name', metavar='NAME')
@decorators.with_dbenv()
def cmd_potential_install(name: str) -> None:
    """Test and store a potential by its NAME: chgnet, or one that the hub of matgl has, which is asked for it."""
    _store_potential(name)


@cmd_potential.command('import')
@click.argument('source', metavar='DIR|FILE|ase:MODULE:CALLABLE', shell_complete=params.files)
@decorators.with_dbenv()
def cmd_potential_import(source: str) -> None:
    """Test and store a potential that is on this machine.

    It is a directory with model.json, model.pt and state.pt, or a calculator of ASE: ase:MODULE:CALLABLE, or a .json
    file with its arguments.
    """
    if not source.lower().startswith('ase:') and not Path(source).exists():
        echo.echo_critical(f'There is no {source!r}: give a directory, a .json file or ase:MODULE:CALLABLE.')
    _store_potential(source)


def _load_distances(identifier: str, formula_units: int | None) -> DistancesData:
    """Return the node of some distances, those of a cell among them, or stop with a sentence."""
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import load_node

    from aiida_alphacrystal.data import DistancesData

    try:
        node = load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError):
        echo.echo_critical(f'There is no node {identifier!r}, or several begin so.')
    if not isinstance(node, DistancesData):
        echo.echo_critical(f'Node {identifier} is a {type(node).__name__}: give the distances of a prediction.')
    if formula_units is not None and formula_units not in node.all_formula_units:
        known = ', '.join(map(str, sorted(node.all_formula_units)))
        echo.echo_critical(f'Node {identifier} has none for {formula_units} formula units: give one of {known}.')
    return node


def _make_family(label: str, models: Mapping[str, ModelData], description: str) -> None:
    """Store weights as a family, or stop with a sentence."""
    from aiida_alphacrystal.engine.errors import AlphaCrystalError
    from aiida_alphacrystal.groups import ModelFamily

    known = ModelFamily.find(label) is not None
    try:
        family = ModelFamily.create(label, models, description)
    except AlphaCrystalError as exception:
        echo.echo_critical(str(exception))
    names = ', '.join(f'{purpose} <{model.pk}>' for purpose, model in family.models.items())
    echo.echo_success(f'The family {label!r} {"is there already" if known else "has been made"}: {names}.')


def _store_potential(name: str) -> None:
    """Test a potential and store it, or stop with a sentence."""
    from aiida_alphacrystal.data import PotentialData
    from aiida_alphacrystal.engine.errors import AlphaCrystalError
    from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential

    try:
        resolved: ResolvedPotential = resolve_potential(name)
        if resolved.notice:
            echo.echo_critical(f'{resolved.notice.rstrip(".")}; nothing has been stored.')
        load_potential(resolved.files)
    except AlphaCrystalError as exception:
        echo.echo_critical(str(exception))
    node = PotentialData.get_or_create(resolved.files)
    known = node.is_stored
    node.store()
    echo.echo_success(f'The potential {node.name} {"was there as" if known else "is"} node {node.pk}.')


def _print_rows(rows: list[dict[str, Any]], output_format: str, nothing: str) -> None:
    """Print rows as a table or as JSON."""
    from rich.markup import escape
    from rich.table import Table

    from aiida_alphacrystal.report.tables import print_json, wide_console

    if output_format == 'json':
        print_json({'rows': rows})
        return
    if not rows:
        echo.echo_report(nothing)
        return
    table = Table(header_style='bold')
    for name in rows[0]:
        table.add_column(name, no_wrap=name != 'families')
    for row in rows:
        shown = {**row, 'sha256': row['sha256'][:12]}
        values = (', '.join(value) if isinstance(value, list) else str(value) for value in shown.values())
        table.add_row(*(escape(value) for value in values))
    wide_console().print(table)
