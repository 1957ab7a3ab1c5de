"""A whole prediction on PostgreSQL, with a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from aiida.tools.archive import create_archive

from aiida_alphacrystal.report.prediction import read_prediction
from aiida_alphacrystal.report.provenance import trace_origins

from .postgresql import TemporaryPostgreSQL, find_server

STAGES = ['featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank']


@pytest.fixture(scope='module')
def server():
    """Return a running PostgreSQL server; without one installed the tests are skipped, or fail where CI demands it."""
    program = find_server()
    if program is None:
        message = 'no PostgreSQL server is installed'
        if os.environ.get('ALPHACRYSTAL_REQUIRE_POSTGRESQL') == '1':
            pytest.fail(f'{message}, but ALPHACRYSTAL_REQUIRE_POSTGRESQL=1 demands one')
        pytest.skip(message)
    with TemporaryPostgreSQL(program) as running:
        yield running


@pytest.fixture
def storage(server, tmp_path):
    """Return the configuration of a storage in a new database of the server."""
    name = f'alphacrystal_{uuid.uuid4().hex}'
    with psycopg.connect(host='localhost', port=server.port, user=server.username, autocommit=True) as connection:
        connection.execute(f"CREATE USER {name} PASSWORD 'aiida'")
        connection.execute(
            f"CREATE DATABASE {name} OWNER {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    return {
        'database_engine': 'postgresql_psycopg',
        'database_name': name,
        'database_username': name,
        'database_password': 'aiida',
        'database_hostname': 'localhost',
        'database_port': server.port,
        'repository_uri': (tmp_path / 'repository').as_uri(),
    }


def run_script(script, directory, *arguments):
    """Run a script with a directory of AiiDA of its own and return the JSON object that it prints."""
    words = [argument if isinstance(argument, str) else json.dumps(argument) for argument in arguments]
    completed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), *words],
        env={**os.environ, 'AIIDA_PATH': str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.splitlines()[-1])


def test_server_does_not_run_as_root(server):
    assert Path(server.cluster).stat().st_uid != 0


def test_predict_on_postgresql(storage, tiny_settings, tmp_path):
    result = run_script('predict_on_postgresql.py', tmp_path, storage, tiny_settings)
    assert result['exit_status'] == 0, result
    assert result['storage'] == 'PsqlDosBackend'
    assert result['stages'] == STAGES
    assert result['rows'][0]['formula_units'] >= 1
    assert result['cells']
    for cell in result['cells']:
        assert cell['reduced_formula'] == 'SrTiO3'
        assert cell['number_of_atoms'] == 5 * cell['formula_units']
    assert result['with_sodium'] == 0
    assert result['origins'] == ['ModelData'] * 3 + ['PotentialData', 'Str']
    assert result['cached'] == [True] * 6
    assert result['same_ranking']


def test_archive_of_a_prediction_is_complete(storage, run_prediction, tmp_path):
    """Exported from SQLite and imported into an empty PostgreSQL profile, everything works as where it was made."""
    weight = 1.0
    overrides = {'templates': {'max_candidates': 4}, 'search': {'max_candidates': 0}}
    node = run_prediction('SrTiO3', overrides=overrides)
    assert node.is_finished_ok, node.exit_message
    archive = tmp_path / 'prediction.aiida'
    create_archive([node], filename=archive)
    result = run_script('import_on_postgresql.py', tmp_path, storage, str(archive), node.uuid, weight)

    assert result['storage'] == 'PsqlDosBackend'
    assert result['found'] == [[node.uuid]] * 6
    assert result['other'] == 0
    report = read_prediction(node)
    assert result['candidates'] == [[row.uuid, row.formation_energy_per_atom, row.cif] for row in report.candidates]
    assert result['distances'] == node.outputs.distances.distances.tolist()
    origin = trace_origins(node.outputs.structures.rank_01)
    assert result['origins'] == sorted(source.uuid for _, source in origin.walk())
    assert result['graph']
    assert result['taken_over']

    here = {row['label']: row for row in node.outputs.ranking['rows']}
    scores = [row['score'] for row in result['ranked']]
    assert scores == sorted(scores)
    assert {row['label'] for row in result['ranked']} >= set(here)
    for row in result['ranked']:
        assert row['score'] == pytest.approx(row['formation_energy_per_atom'] + weight * row['cost'], abs=1e-9)
        if row['label'] in here:
            assert row['formation_energy_per_atom'] == here[row['label']]['formation_energy_per_atom']
