"""Lay out what network and templates together say of distances, and how good that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_alphacrystal.report.distances import atom_names, print_matrix
from aiida_alphacrystal.report.tables import number_text, percentages, print_facts, wide_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aiida_alphacrystal.engine.network.informed import InformedDistances

__all__ = ('informed_facts', 'print_distance_scores', 'print_informed')

#: Share of the true distances that lies inside the limits.
_INTERVAL = 0.9

_PREDICTORS = {
    'ours': 'ours: network and templates',
    'network': 'network alone',
    'reference': 'network of the paper',
    'nearest_template': 'nearest template',
    'chance': 'mean of all distances',
}


def informed_facts(formula: str, found: InformedDistances, true: NDArray[np.float64] | None) -> dict[str, Any]:
    """Return predicted distances and what they are of, ready for JSON.

    :param formula: content of the cell.
    :param found: the prediction.
    :param true: distances of a crystal, its atoms in the same order, shape (atoms, atoms), A; None without one.
    """
    lower, upper = found.distribution.interval(_INTERVAL)
    species = found.distribution.species
    return {
        'formula': formula,
        'species': list(species),
        'atoms': atom_names(species),
        'distances': _rounded(found.estimate),
        'expectation': _rounded(found.distribution.expectation),
        'median': _rounded(found.distribution.median),
        'lower': _rounded(lower),
        'upper': _rounded(upper),
        'template': found.template,
        'template_probability': found.probability,
        'true': None if true is None else _rounded(true),
        'rms': None if true is None else _rms(found.estimate, true),
    }


def _rounded(matrix: NDArray[np.float64]) -> list[list[float]]:
    rounded: list[list[float]] = np.round(matrix, 4).tolist()
    return rounded


def _rms(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the root mean square deviation between different atoms, in A; of the diagonal where there is one."""
    apart = ~np.eye(len(true), dtype=bool)
    squared = (predicted - true) ** 2
    return float(np.sqrt(squared[apart].mean() if apart.any() else squared.mean()))


def print_informed(facts: Mapping[str, Any]) -> None:
    """Print predicted distances.

    :param facts: what :func:`informed_facts` gives.
    """
    predicted = np.array(facts['distances'])
    print_matrix(f'{facts["formula"]}: distances between atoms (Å)', facts['species'], predicted)
    if facts['true'] is not None:
        print_matrix('Those of the structure (Å)', facts['species'], np.array(facts['true']))
    width = np.array(facts['upper']) - np.array(facts['lower'])
    chance = f'{100 * facts["template_probability"]:.0f} %'
    source = f'of {facts["template"]}, right with {chance}' if facts['template'] else 'expected values'
    print_facts(
        {
            'distances': source,
            'uncertainty': f'90 % intervals, {np.median(width):.2f} Å wide in the median, {width.max():.2f} Å at most',
            **({} if facts['rms'] is None else {'RMS deviation': f'{facts["rms"]:.3f} Å from the structure'}),
        }
    )


def print_distance_scores(scores: Mapping[str, Any], name: str) -> None:
    """Print how well distances are predicted.

    :param scores: what ``engine.network.evaluation.evaluate_distances`` gives.
    :param name: what the data are called.
    """
    from rich.markup import escape
    from rich.table import Table

    title = f'{scores["n"]} crystals of {escape(name)}: root mean square errors of distances (Å)'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('prediction', no_wrap=True)
    for column in ('crystals', 'mean', 'median', 'pooled', 'under\n0.1 Å', 'under\n0.3 Å', 'mean, order\nof the file'):
        table.add_column(column, justify='right')
    for key, text in _PREDICTORS.items():
        row = scores[key]
        in_order = scores['file_order'].get(key, {})
        table.add_row(
            text,
            str(row['n']),
            *(number_text(row.get(f'rmse_{kind}'), 3) for kind in ('mean', 'median', 'pooled')),
            *percentages({share: row.get(share) for share in ('under_0.1', 'under_0.3')}, ('under_0.1', 'under_0.3')),
            number_text(in_order.get('rmse_mean'), 3),
        )
    wide_console().print(table)
    processes = 'process' if scores['jobs'] == 1 else 'processes'
    print_facts(
        {
            'intervals': f'{100 * scores["coverage_50"]:.1f} and {100 * scores["coverage_90"]:.1f} % of the distances '
            'are inside those that should hold 50 and 90 %',
            'time': f'{scores["seconds_per_1000"]:.1f} s per 1000 compositions on {scores["jobs"]} {processes}',
        }
    )
