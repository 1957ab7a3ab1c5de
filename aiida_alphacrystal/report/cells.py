"""Lay cell hypotheses and their scores out for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida_alphacrystal.report.tables import percentages, print_facts, wide_console

__all__ = ('print_cell_scores', 'print_cells')

_TOPS = ('1', '5', '10')

#: Rows of the table of scores: where they are, and what they are.
_ROWS = {
    '': 'ours',
    'without_templates': 'without templates',
    'nearest_template': 'nearest templates',
    'chance': 'chance',
}


def print_cells(formula: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the hypotheses about the cell of a compound.

    :param formula: the compound.
    :param rows: one for each hypothesis, most probable first.
    """
    from rich.table import Table

    title = f'{formula}: the most probable cells'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    for name in ('rank', 'space group', 'Z', 'atoms', 'a, b, c (Å)', 'angles (°)', 'volume\n(Å³/atom)', 'probability'):
        table.add_column(name, justify='left' if name == 'space group' else 'right', no_wrap=True)
    for row in rows:
        lengths, angles = row['lattice'][:3], row['lattice'][3:]
        uncertainty = row['volume_uncertainty']
        spread = '' if uncertainty is None else f' ± {100 * uncertainty:.0f} %'
        table.add_row(
            str(row['rank']),
            f'{row["spacegroup_symbol"]} ({row["spacegroup"]})',
            str(row['formula_units']),
            str(row['number_of_atoms']),
            ' '.join(f'{value:.2f}' for value in lengths),
            ' '.join(f'{value:.0f}' for value in angles),
            f'{row["volume_per_atom"]:.1f}{spread}',
            f'{100 * row["probability"]:.1f} %',
        )
    wide_console().print(table)
    print_facts(
        {
            'Z, atoms': 'formula units and atoms in the primitive cell',
            'a, b, c': 'of the conventional cell in the standard setting',
        }
    )


def print_cell_scores(scores: Mapping[str, Any], name: str) -> None:
    """Print how well cells are predicted.

    :param scores: what ``engine.cells.scoring.score_cells`` gives.
    :param name: what the data are called.
    """
    from rich.markup import escape
    from rich.table import Table

    number = scores['n']
    title = f'{number} {"crystal" if number == 1 else "crystals"} of {escape(name)}: how often the cell is right'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('prediction', no_wrap=True)
    for top in _TOPS:
        table.add_column(f'space group\ntop {top}', justify='right')
    table.add_column('crystal\nsystem', justify='right')
    table.add_column('error of\nvolume', justify='right')
    for key, text in _ROWS.items():
        group = scores[key] if key else scores
        error = group.get('volume_mare')
        shown = '-' if error is None else f'{100 * error:.1f} %'
        table.add_row(
            text, *percentages(group['spacegroup'], _TOPS), *percentages(group['crystal_system'], ('1',)), shown
        )
    wide_console().print(table)
    lengths = {
        system: ', '.join(f'{axis} {value:.3f}' for axis, value in values.items() if value is not None) or '-'
        for system, values in scores['lattice_r2'].items()
    }
    within = scores['volume_within']
    print_facts(
        {
            'formula units': ' / '.join(percentages(scores['z'], ('1', '3'))) + ' right at first / among three',
            'calibration error': f'{scores["ece"]:.3f} of first hypotheses',
            'stated volumes': '-'
            if within is None
            else f'{100 * within:.0f} % are as near as they say, 67 % should be',
            'time': f'{scores["seconds_per_1000"]:.1f} s per 1000 compositions',
            **{f'R² {system}': text for system, text in lengths.items()},
        }
    )
