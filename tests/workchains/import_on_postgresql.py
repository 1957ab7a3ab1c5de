"""Import an archive into a new profile with PostgreSQL and print what can be done there, as one JSON object.

Run in a process of its own, with ``AIIDA_PATH`` set to an empty directory, and the storage configuration, the archive,
the UUID of a prediction in it and a weight of the probability as arguments.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.manage.configuration import create_profile, get_config, load_profile
from aiida.tools.archive import import_archive

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.parameters import stage_parameters
from aiida_alphacrystal.engine.settings import PredictionSettings
from aiida_alphacrystal.query import Criteria, find_equal_predictions, find_predictions
from aiida_alphacrystal.report.prediction import read_prediction
from aiida_alphacrystal.report.provenance import draw_origins, trace_origins


def main(storage: dict[str, Any], archive: str, uuid: str, weight: float) -> dict[str, Any]:
    config = get_config(create=True)
    create_profile(
        config, name='postgresql', email='test@localhost', storage_backend='core.psql_dos', storage_config=storage
    )
    config.set_default_profile('postgresql').store()
    load_profile('postgresql')
    assert not orm.QueryBuilder().append(orm.ProcessNode).count()
    import_archive(archive)
    node = orm.load_node(uuid)
    report = read_prediction(node)
    origin = trace_origins(node.outputs.structures.rank_01)
    with tempfile.TemporaryDirectory() as directory:
        draw_origins(origin, Path(directory) / 'graph.dot')
        graph = (Path(directory) / 'graph.dot').read_text()
    settings = PredictionSettings.from_dict(
        {
            **node.inputs.parameters.get_dict(),
            'rank': {'method': 'energy_and_probability', 'probability_weight': weight, 'top': 10},
        }
    )
    ranked = calcfunctions.rank(
        candidates=node.outputs.candidates,
        relaxations=node.outputs.relaxations,
        parameters=orm.Dict(stage_parameters('rank', settings)),
    )['ranking']
    questions = [
        Criteria(),
        Criteria(elements=['Sr', 'O']),
        Criteria(chemical_system='Sr-Ti-O'),
        Criteria(formula='TiSrO3', max_energy=0.0),
        Criteria(spacegroup=report.candidates[0].spacegroup),
        Criteria(spacegroup=report.candidates[-1].spacegroup, any_rank=True),
    ]
    return {
        'storage': type(node.backend).__name__,
        'found': [[found.uuid for found in find_predictions(question)] for question in questions],
        'other': len(find_predictions(Criteria(elements=['Na']))),
        'candidates': [[row.uuid, row.formation_energy_per_atom, row.cif] for row in report.candidates],
        'distances': node.outputs.distances.distances.tolist(),
        'origins': sorted(source.uuid for _, source in origin.walk()),
        'graph': graph.startswith('digraph'),
        'taken_over': find_equal_predictions(['SrTiO3'], node.inputs) == {'SrTiO3': node.pk},
        'ranked': ranked['rows'],
    }


if __name__ == '__main__':
    print(json.dumps(main(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))))  # noqa: T201
