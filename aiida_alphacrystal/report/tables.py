"""Lay results out for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from aiida_alphacrystal.report.prediction import PredictionReport

__all__ = ('print_facts', 'print_json', 'print_prediction')

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

    console = _console()
    title = f'{report.formula}: {_count(len(report.candidates), "structure")}, the best first'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('rank', justify='right')
    table.add_column('space group')
    table.add_column('atoms', justify='right')
    table.add_column('formation energy\n(eV/atom)', justify='right')
    table.add_column('volume\n(Å³/atom)', justify='right')
    table.add_column('source')
    table.add_column('relaxed')
    table.add_column('node', justify='right')
    for row in report.candidates:
        table.add_row(
            str(row.rank),
            f'{row.spacegroup_symbol} ({row.spacegroup})',
            str(row.number_of_atoms),
            _number(row.formation_energy_per_atom, 3),
            _number(row.volume_per_atom, 2),
            row.source,
            'yes' if row.converged else 'no',
            str(row.pk),
        )
    console.print(table)
    if report.potential_notice:
        console.print(report.potential_notice, markup=False, soft_wrap=True)
    console.print(f'Relaxed with {report.potential}, seed {report.seed}. See more with:', markup=False)
    for command, purpose in (
        (f'aiida-alphacrystal show{option} {report.pk}', 'this table again; or --format json, --output DIR'),
        (f'verdi{option} process status {report.pk}', 'the steps that were taken'),
        (f'verdi{option} node graph generate {report.pk}', 'where everything came from, as a picture'),
    ):
        console.print(f'  {command:<42} {purpose}', markup=False, soft_wrap=True)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values in two columns.

    :param facts: name to value.
    """
    console = _console()
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        console.print(f'{name:<{width}}  {value}', markup=False, soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def _number(value: float | None, digits: int) -> str:
    return '-' if value is None else f'{value:.{digits}f}'


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'
