"""Predict on a new profile with PostgreSQL and print what the database holds, as one JSON object.

Run in a process of its own, with ``AIIDA_PATH`` set to an empty directory and the storage configuration and the
settings of the prediction as arguments.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.manage.configuration import create_profile, get_config, load_profile

from aiida_alphacrystal.data import DistancesData, ModelData, PotentialData
from aiida_alphacrystal.workchains import PredictWorkChain


def main(storage: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    config = get_config(create=True)
    create_profile(
        config, name='postgresql', email='test@localhost', storage_backend='core.psql_dos', storage_config=storage
    )
    config.set_default_profile('postgresql').store()
    load_profile('postgresql')
    builder = PredictWorkChain.get_builder_from_protocol('SrTiO3', 'fast', settings)
    node = run_get_node(builder)[1]
    if not node.is_finished_ok:
        return {'exit_status': node.exit_status, 'exit_message': node.exit_message}
    with enable_caching(identifier='aiida.calculations:alphacrystal.*'):
        again = run_get_node(PredictWorkChain.get_builder_from_protocol('SrTiO3', 'fast', settings))[1]

    matching = {'attributes.elements': {'contains': ['Ti', 'O']}, 'attributes.number_of_bins': {'>': 0}}
    other = {'attributes.elements': {'contains': ['Na']}}
    cells = orm.QueryBuilder().append(PredictWorkChain, filters={'uuid': node.uuid}, tag='prediction')
    cells.append(DistancesData, with_incoming='prediction', filters=matching, project='attributes')
    origins = orm.QueryBuilder()
    origins.append(orm.StructureData, filters={'uuid': node.outputs.structures['rank_01'].uuid}, tag='structure')
    origins.append((ModelData, PotentialData, orm.Str), with_descendants='structure', project=['uuid', 'node_type'])
    return {
        'exit_status': node.exit_status,
        'storage': type(node.backend).__name__,
        'stages': [called.process_label for called in sorted(node.called, key=lambda called: called.pk)],
        'rows': node.outputs.ranking['rows'],
        'cells': [
            {key: attributes[key] for key in ('reduced_formula', 'number_of_atoms', 'formula_units')}
            for attributes in cells.all(flat=True)
        ],
        'with_sodium': orm.QueryBuilder().append(DistancesData, filters=other).count(),
        'origins': sorted(kind.split('.')[-2] for _, kind in origins.distinct().all()),
        'cached': [called.base.caching.is_created_from_cache for called in again.called],
        'same_ranking': again.outputs.ranking.get_dict() == node.outputs.ranking.get_dict(),
    }


if __name__ == '__main__':
    print(json.dumps(main(*(json.loads(argument) for argument in sys.argv[1:]))))  # noqa: T201
