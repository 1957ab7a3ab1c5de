"""Lay the scores of an evaluation out for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_alphacrystal.report.tables import describe_failures, number_text, percentages, print_facts, wide_console

__all__ = ('print_comparison', 'print_evaluation')

#: Rows of the table: key of the summary and what it is.
_ROWS = {
    'match_rate': 'found',
    'match_rate_strict': '  strictly',
    'match_rate_valid': '  valid as well',
    'energy_ranking': 'by energy alone',
    'chance': 'in random order',
    'template_baseline': 'nearest templates',
}
#: Rows of the table for a part of the entries: key of the summary and what it is.
_PARTS = {'stable': 'stable crystals', 'new_prototypes': 'new prototypes'}
#: Rows of a comparison: key, what it is, and its unit.
_METRICS = {
    'rms': ('normalised RMS displacement', ''),
    'superpose_distance': ('superpose distance', 'Å'),
    'energy_distance': ('energy distance', 'eV/atom'),
    'sinkhorn_distance': ('Sinkhorn distance', 'Å'),
    'fingerprint_distance': ('fingerprint distance', ''),
    'ofm_distance': ('orbital field matrix distance', ''),
    'wyckoff_mse': ('Wyckoff MSE', ''),
    'wyckoff_rmse': ('Wyckoff RMSE', ''),
    'distance_map_overlap': ('distance map overlap', ''),
}
_TOPS = ('1', '5', '10', '20')


def print_evaluation(summary: Mapping[str, Any], name: str) -> None:
    """Print the scores as a table, with the controls below ours, and what else there is to know.

    :param summary: what ``engine.evaluation.summarise`` gives, with the plan and the times.
    :param name: what the data are called.
    """
    from rich.markup import escape
    from rich.table import Table

    number = summary['n']
    title = f'{number} {"crystal" if number == 1 else "crystals"} of {escape(name)}: how many are among the first'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('ranking', no_wrap=True)
    table.add_column('number', justify='right')
    for top in _TOPS:
        table.add_column(f'top {top}', justify='right')
    for key, text in _ROWS.items():
        if summary[key] is not None:
            table.add_row(text, str(number), *percentages(summary[key], _TOPS))
    for key, text in _PARTS.items():
        part = summary[key]
        table.add_row(text, str(part['n']), *percentages(part['match_rate'], _TOPS))
    wide_console().print(table)
    print_facts(_facts(summary))


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands below the table."""
    potential, seconds = summary['potential'], summary['seconds_per_entry']
    error = summary['calibration_error']
    rms, median = (number_text(summary[key]['1'], 4) for key in ('rmse', 'rmse_median'))
    return {
        'sources': ', '.join(summary['sources']),
        'relaxed with': 'nothing' if potential is None else potential['name'],
        'strictly': 'with a root mean square displacement below 0.1 (volume per atom)^(1/3)',
        'valid as well': f'by SMACT and distances; {100 * summary["valid_entries"]:.1f} % of the known crystals are',
        'stable crystals': f'at most {summary["stable"]["max_above_hull"]:g} eV/atom above the hull, as the data say',
        'new prototypes': 'no template of the same stoichiometry matches them',
        'confidence': 'none: nothing was relaxed' if error is None else f'off by {error:.3f} from what matches first',
        'RMS displacement': f'{rms} of first structures that match, median {median}',
        'time': f'{seconds["median"]:.1f} s for an entry, 95 % below {seconds["p95"]:.1f} s',
        'memory': f'{summary["peak_memory_mib"]:.0f} MiB at most in one process',
        'without a structure': describe_failures(summary['failures']),
    }


def print_comparison(values: Mapping[str, Any]) -> None:
    """Print how far two crystals are apart.

    :param values: the fields of ``engine.metrics.Comparison``.
    """
    facts = {'match': 'yes' if values['match'] else 'no'}
    for key, (text, unit) in _METRICS.items():
        value, reason = values[key], values['reasons'].get(key)
        if value is not None:
            facts[text] = f'{value:.4f} {unit}'.rstrip()
        else:
            facts[text] = '-' if reason is None else f'-  {reason}'
    print_facts(facts)
