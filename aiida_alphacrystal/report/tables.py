"""Lay results out for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from aiida_alphacrystal.query import FoundPrediction
    from aiida_alphacrystal.report.prediction import PredictionReport
    from aiida_alphacrystal.report.provenance import Origin
    from aiida_alphacrystal.report.refinement import RefinementReport
    from aiida_alphacrystal.report.screening import ScreeningReport

__all__ = (
    'describe_failures',
    'number_text',
    'percentages',
    'print_csv',
    'print_facts',
    'print_found',
    'print_json',
    'print_origins',
    'print_prediction',
    'print_refinement',
    'print_screening',
    'wide_console',
)

#: Columns that a table gets where the output is no terminal, so that nothing is cut off.
_WIDTH = 100


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output.

    :param values: nested plain values without infinities.
    """
    import click

    click.echo(json.dumps(values, indent=2, allow_nan=False))


def print_prediction(report: PredictionReport, option: str = '') -> None:
    """Print the ranking of a finished prediction and how to see more of it.

    :param report: the prediction.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from rich.table import Table

    console = wide_console()
    title = f'{report.formula}: {_count(len(report.candidates), "structure")}, the best first'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('rank', justify='right')
    table.add_column('confidence', justify='right')
    table.add_column('space group')
    table.add_column('atoms', justify='right')
    table.add_column('formation\n(eV/atom)', justify='right')
    table.add_column('volume\n(Å³/atom)', justify='right')
    table.add_column('source')
    table.add_column('relaxed')
    table.add_column('node', justify='right')
    for row in report.candidates:
        table.add_row(
            str(row.rank),
            '-' if row.confidence is None else f'{row.confidence:.1%}',
            f'{row.spacegroup_symbol} ({row.spacegroup})',
            str(row.number_of_atoms),
            number_text(row.formation_energy_per_atom, 3),
            number_text(row.volume_per_atom, 2),
            row.source,
            'yes' if row.converged else 'no',
            str(row.pk),
        )
    console.print(table)
    if report.potential_notice:
        console.print(report.potential_notice, markup=False, soft_wrap=True)
    console.print(f'Relaxed with {report.potential}, seed {report.seed}. See more with:', markup=False)
    _print_hints(console, report.pk, option)


def print_refinement(report: RefinementReport, option: str = '') -> None:
    """Print the ranking of a finished refinement beside that of the prediction.

    :param report: the refinement.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from rich.table import Table

    console = wide_console()
    title = f'{report.formula}: {_count(len(report.refined), "structure")} by DFT energy, the best first'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    for name in ('rank', 'was'):
        table.add_column(name, justify='right', no_wrap=True)
    table.add_column('space group')
    for name in ('atoms', 'DFT energy\n(eV/atom)', 'above best\n(meV/atom)', 'predicted\n(meV/atom)'):
        table.add_column(name, justify='right', no_wrap=True)
    for name in ('volume\n(Å³/atom)', 'node'):
        table.add_column(name, justify='right', no_wrap=True)
    for row in report.refined:
        table.add_row(
            str(row.rank),
            str(row.predicted_rank),
            f'{row.spacegroup_symbol} ({row.spacegroup})',
            str(row.number_of_atoms),
            number_text(row.energy_per_atom, 4),
            number_text(1000 * row.relative_energy, 1),
            number_text(None if row.predicted_relative_energy is None else 1000 * row.predicted_relative_energy, 1),
            number_text(row.volume_per_atom, 2),
            str(row.pk),
        )
    console.print(table)
    places = {row.label: row.rank for row in report.refined}
    for row in report.refined:
        if row.same_as is not None:
            console.print(f'Rank {row.rank} has become the same structure as rank {places[row.same_as]}.', markup=False)
    for lost in report.failed:
        text = f'{lost.label} failed (exit status {lost.exit_status}): {lost.reason}'
        console.print(text, markup=False, soft_wrap=True)
    if report.kendall_tau is not None:
        said = f'Agreement with the predicted order (Kendall tau): {report.kendall_tau:.2f}.'
        console.print(said, markup=False)
    protocol = 'its default protocol' if report.protocol is None else f'protocol {report.protocol}'
    console.print(f'Refined by {report.refiner} with {report.code}, {protocol}. See more with:', markup=False)
    _print_hints(console, report.pk, option)


def print_screening(report: ScreeningReport, option: str = '') -> None:
    """Print the best structure of every formula of a screening, and how to see more of it.

    :param report: the screening.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from rich.markup import escape
    from rich.table import Table

    console = wide_console()
    title = f'{_count(len(report.rows), "formula")}: {report.finished} with a structure, the best one of each'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('formula', no_wrap=True)
    table.add_column('space group', no_wrap=True)
    table.add_column('atoms', justify='right')
    table.add_column('formation energy\n(eV/atom)', justify='right')
    table.add_column('volume\n(Å³/atom)', justify='right')
    table.add_column('source')
    table.add_column('prediction', justify='right')
    for row in report.rows:
        if row.spacegroup is None:
            table.add_row(escape(row.formula), 'failed', '', '', '', '', '-')
            continue
        table.add_row(
            escape(row.formula),
            f'{row.spacegroup_symbol} ({row.spacegroup})',
            str(row.number_of_atoms),
            number_text(row.formation_energy_per_atom, 3),
            number_text(row.volume_per_atom, 2),
            str(row.source),
            str(row.prediction),
        )
    console.print(table)
    for row in report.rows:
        if row.reason is not None:
            status = '' if row.exit_status is None else f' (exit status {row.exit_status})'
            console.print(f'{row.formula} failed{status}: {row.reason}', markup=False, soft_wrap=True)
    said = f'Screening {report.pk}' + ('' if report.group is None else f' in the group {report.group}')
    console.print(f'{said}. See more with:', markup=False, soft_wrap=True)
    for command, purpose in (
        (f'aiida-alphacrystal show{option} {report.pk}', 'this table again; or --format csv, --format json'),
        (f'aiida-alphacrystal show{option} PREDICTION', 'all structures of one formula; or --output DIR'),
    ):
        console.print(f'  {command:<42} {purpose}', markup=False, soft_wrap=True)


def print_found(found: Sequence[FoundPrediction], shown: int | None = None, option: str = '') -> None:
    """Print the predictions that have been found, and how to see more of them.

    :param found: the predictions.
    :param shown: how many of them to print, all where it is None.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from rich.markup import escape
    from rich.table import Table

    console = wide_console()

    if not found:
        console.print('No prediction meets these conditions.')
        return
    table = Table(title=_count(len(found), 'prediction'), title_justify='left', title_style='bold', header_style='bold')
    table.add_column('formula', no_wrap=True)
    table.add_column('space group', min_width=8)
    table.add_column('atoms', justify='right', no_wrap=True)
    table.add_column('formation energy\n(eV/atom)', justify='right', min_width=9)
    above_hull = found[0].energy_above_hull is not None
    if above_hull:  # in place of the date: there is no room for both
        table.add_column('above hull\n(eV/atom)', justify='right', min_width=10)
    table.add_column('source', no_wrap=True)
    table.add_column('potential', overflow='fold', min_width=10)
    if not above_hull:
        table.add_column('made', min_width=10)
    table.add_column('node', justify='right', no_wrap=True)
    for row in found[:shown]:
        table.add_row(
            row.formula,
            f'{row.spacegroup_symbol} ({row.spacegroup})',
            str(row.number_of_atoms),
            number_text(row.formation_energy_per_atom, 3),
            *([number_text(row.energy_above_hull, 3)] if above_hull else []),
            row.source,
            escape(row.potential),
            *([] if above_hull else [f'{row.made.astimezone():%Y-%m-%d %H:%M}']),
            str(row.pk),
        )
    console.print(table)
    if shown is not None and len(found) > shown:
        console.print(f'{len(found) - shown} more are not shown: give conditions, --limit, or --format csv.')
    for command, purpose in (
        (f'aiida-alphacrystal show{option} NODE', 'all structures of a prediction'),
        (f'aiida-alphacrystal provenance{option} NODE', 'where its best structure came from'),
    ):
        console.print(f'  {command:<42} {purpose}', markup=False, soft_wrap=True)


def print_origins(origin: Origin) -> None:
    """Print where a node came from as a tree.

    :param origin: the root.
    """
    from rich.text import Text
    from rich.tree import Tree

    def line(node: Origin) -> Text:
        seen = ' (its origins stand above)' if node.repeated else ''
        name = (
            Text(node.text, 'cyan')
            if node.step
            else Text.assemble((node.role.split('__')[-1], 'bold'), f': {node.text}')
        )
        return name.append(f' <{node.pk}>{seen}', 'dim')

    def grow(branch: Tree, node: Origin) -> None:
        for source in node.origins:
            grow(branch.add(line(source)), source)

    tree = Tree(line(origin))
    grow(tree, origin)
    wide_console().print(tree, soft_wrap=True)


def print_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Print rows as comma-separated values on standard output, with a header.

    :param rows: with the same keys each.
    :param columns: the keys in order; those of the first row where they are None.
    """
    import csv
    import io

    import click

    text = io.StringIO()
    names = list(rows[0] if rows else ()) if columns is None else columns
    writer = csv.DictWriter(text, names, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    click.echo(text.getvalue(), nl=False)


def _print_hints(console: Console, pk: int, option: str) -> None:
    """Say how to see more of a work chain."""
    for command, purpose in (
        (f'aiida-alphacrystal show{option} {pk}', 'this table again; or --format json, --output DIR'),
        (f'verdi{option} process status {pk}', 'the steps that were taken'),
        (f'verdi{option} node graph generate {pk}', 'where everything came from, as a picture'),
    ):
        console.print(f'  {command:<42} {purpose}', markup=False, soft_wrap=True)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values in two columns.

    :param facts: name to value.
    """
    console = wide_console()
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        console.print(f'{name:<{width}}  {value}', markup=False, soft_wrap=True)


def percentages(shares: Mapping[str, float | None], names: Sequence[str]) -> list[str]:
    """Return shares as text, a dash where there is none.

    :param shares: name to fraction.
    :param names: which of them, in order.
    """
    return ['-' if (share := shares[name]) is None else f'{100 * share:.1f} %' for name in names]


def describe_failures(failures: Sequence[Mapping[str, str]]) -> str:
    """Name the first few entries of a scoring that have no structure.

    :param failures: each with a ``material_id``.
    """
    if not failures:
        return 'none'
    names = ', '.join(failure['material_id'] for failure in failures[:3])
    return f'{len(failures)}: {names}{", ..." if len(failures) > 3 else ""}'


def wide_console() -> Console:
    """Return a console for standard output that is wide enough where that is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def number_text(value: float | None, digits: int) -> str:
    """Return a number as text, a dash where there is none.

    :param value: the number.
    :param digits: after the point.
    """
    return '-' if value is None else f'{value:z.{digits}f}'


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'
