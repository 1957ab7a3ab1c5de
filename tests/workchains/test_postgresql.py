"""A whole prediction on PostgreSQL, with a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from .postgresql import TemporaryPostgreSQL, find_server

SCRIPT = Path(__file__).with_name('predict_on_postgresql.py')
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


@pytest.fixture(scope='module')
def storage(server, tmp_path_factory):
    """Return the configuration of a storage in a new database of the server."""
    with psycopg.connect(host='localhost', port=server.port, user=server.username, autocommit=True) as connection:
        connection.execute("CREATE USER aiida PASSWORD 'aiida'")
        connection.execute(
            "CREATE DATABASE alphacrystal OWNER aiida ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    return {
        'database_engine': 'postgresql_psycopg',
        'database_name': 'alphacrystal',
        'database_username': 'aiida',
        'database_password': 'aiida',
        'database_hostname': 'localhost',
        'database_port': server.port,
        'repository_uri': tmp_path_factory.mktemp('repository').as_uri(),
    }


def test_server_does_not_run_as_root(server):
    assert Path(server.cluster).stat().st_uid != 0


def test_predict_on_postgresql(storage, tiny_settings, tmp_path):
    completed = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(storage), json.dumps(tiny_settings)],
        env={**os.environ, 'AIIDA_PATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    result = json.loads(completed.stdout.splitlines()[-1])
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
