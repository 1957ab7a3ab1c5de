"""The summary of a screening as calcfunctions."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import calcfunction

__all__ = ('join_tables', 'tabulate')

#: What a row takes over from the best structure of a ranking.
_COLUMNS = (
    'number_of_atoms',
    'spacegroup',
    'spacegroup_symbol',
    'formation_energy_per_atom',
    'energy_per_atom',
    'volume_per_atom',
    'score',
    'confidence',
    'probability',
    'source',
    'converged',
)


@calcfunction
def tabulate(parameters: orm.Dict, **namespaces: Any) -> dict[str, orm.Dict]:
    """Put what has been predicted for many compounds into one table.

    :param parameters: ``formulas``, pairs of the label of each compound and its formula, in order; ``failed``, the exit
        status and the reason of each prediction that failed, by label; ``algorithm_version``.
    :param namespaces: ``rankings``, what ``rank`` has returned for each other compound, by label.
    :return: ``table``: one row per compound in the given order, with its best structure or why there is none; energies
        in eV/atom, volumes in A^3/atom.
    """
    failed = parameters['failed']
    rankings = namespaces.get('rankings', {})
    rows = []
    for label, formula in parameters['formulas']:
        best = rankings[label]['best'] if label in rankings else None
        fate = {'exit_status': 0, 'reason': None} if best else failed[label]
        structures = len(rankings[label]['rows']) if best else 0
        found = {key: best.get(key) if best else None for key in _COLUMNS}
        rows.append({'label': label, 'formula': formula, **fate, 'structures': structures, **found})
    return {'table': orm.Dict({'rows': rows, 'finished': len(rankings), 'failed': len(failed)})}


@calcfunction
def join_tables(parameters: orm.Dict, **namespaces: Any) -> dict[str, orm.Dict]:
    """Put tables one below the other.

    :param parameters: ``order``, the labels of the tables; ``algorithm_version``.
    :param namespaces: ``tables``, what ``tabulate`` has returned, by label.
    :return: ``table``: all rows.
    """
    tables = [namespaces['tables'][label].get_dict() for label in parameters['order']]
    rows = [row for table in tables for row in table['rows']]
    return {
        'table': orm.Dict(
            {'rows': rows, **{key: sum(table[key] for table in tables) for key in ('finished', 'failed')}}
        )
    }
