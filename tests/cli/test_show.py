"""The command that prints a prediction again."""

from __future__ import annotations

import json

import pytest

NODES = """
from aiida import load_profile, orm
load_profile()
nodes = {'other': orm.Int(1).store()}
for state, exit_status in (('running', None), ('killed', None), ('excepted', None), ('finished', 410)):
    node = orm.WorkChainNode()
    node.process_type = 'aiida.workflows:alphacrystal.predict'
    node.set_process_state(state)
    if state == 'excepted':
        node.set_exception('ValueError: went wrong')
    if exit_status is not None:
        node.set_exit_status(exit_status)
        node.set_exit_message('No candidate is left.')
    nodes[state] = node.store()
import json
print(json.dumps({name: node.pk for name, node in nodes.items()}))
"""


@pytest.fixture(scope='module')
def nodes(used_cli, prediction):
    """Return the primary keys of processes in every state that `show` may meet."""
    return json.loads(used_cli(script=NODES).stdout)


@pytest.mark.parametrize('identifier', ['pk', 'uuid'])
def test_json_is_that_of_predict(used_cli, prediction, identifier):
    completed = used_cli('show', prediction.result[identifier], '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == prediction.completed.stdout
    assert completed.stderr == ''


def test_top(used_cli, prediction):
    completed = used_cli('show', prediction.result['pk'], '--format', 'json', '--top', 1)
    assert json.loads(completed.stdout)['candidates'] == prediction.result['candidates'][:1]


def test_table(used_cli, prediction):
    completed = used_cli('show', prediction.result['pk'])
    assert completed.returncode == 0, completed.stderr
    best = prediction.result['candidates'][0]
    row = next(line for line in completed.stdout.splitlines() if best['spacegroup_symbol'] in line)
    assert f'{best["formation_energy_per_atom"]:.3f}' in row
    assert f'{best["volume_per_atom"]:.2f}' in row
    assert best['source'] in row
    assert str(best['pk']) in row
    assert '\x1b' not in completed.stdout


def test_output(used_cli, prediction, tmp_path):
    completed = used_cli('show', prediction.result['pk'], '--output', tmp_path / 'cifs')
    assert completed.returncode == 0, completed.stderr
    assert [path.read_text(encoding='utf-8') for path in sorted((tmp_path / 'cifs').iterdir())] == [
        candidate['cif'] for candidate in prediction.result['candidates']
    ]


@pytest.mark.parametrize(
    ('state', 'status', 'message'),
    [
        ('running', 1, 'has not finished yet (it is running)'),
        ('killed', 1, 'was stopped before it had finished'),
        ('excepted', 1, 'stopped by an unforeseen error (ValueError: went wrong)'),
        ('finished', 1, 'failed with exit code 410 (No candidate is left)'),
        ('other', 2, 'is a Int, not a prediction, screening or refinement'),
    ],
)
def test_no_result(used_cli, nodes, state, status, message):
    completed = used_cli('show', nodes[state])
    assert completed.returncode == status
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert completed.stderr.count('\n') == 1
    assert message in completed.stderr


@pytest.mark.parametrize('identifier', ['99999999', '-- -1', 'not-a-uuid', '0' * 40, ' '])
def test_unknown_identifier(used_cli, prediction, identifier):
    completed = used_cli('show', *(identifier.split() if identifier.strip() else [identifier]))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert completed.stderr.count('\n') == 1


def test_without_a_profile(cli):
    completed = cli('show', 1)
    assert completed.returncode == 2
    assert 'There is no AiiDA profile yet' in completed.stderr


def test_unknown_profile(used_cli, prediction):
    completed = used_cli('show', prediction.result['pk'], '-p', 'nobody')
    assert completed.returncode == 2
    assert completed.stderr == "Error: There is no AiiDA profile named 'nobody': the profiles here are presto.\n"
