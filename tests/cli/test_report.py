"""The command that writes a result as a page."""

from __future__ import annotations

import json

import pytest

NODES = """
from aiida import load_profile, orm
load_profile()
nodes = {'other': orm.Int(1).store()}
for state, exit_status in (('running', None), ('killed', None), ('excepted', None), ('finished', 410)):
    for kind in ('predict', 'screen'):
        node = orm.WorkChainNode()
        node.process_type = f'aiida.workflows:alphacrystal.{kind}'
        node.set_process_state(state)
        if state == 'excepted':
            node.set_exception('ValueError: went wrong')
        if exit_status is not None:
            node.set_exit_status(exit_status)
            node.set_exit_message('No candidate is left.')
        nodes[f'{kind} {state}'] = node.store()
import json
print(json.dumps({name: node.pk for name, node in nodes.items()}))
"""


@pytest.fixture(scope='module')
def nodes(used_cli, prediction):
    """Return the primary keys of what cannot be shown on a page."""
    return json.loads(used_cli(script=NODES).stdout)


@pytest.mark.parametrize('identifier', ['pk', 'uuid'])
def test_page(used_cli, prediction, tmp_path, identifier):
    path = tmp_path / 'page.html'
    completed = used_cli('report', prediction.result[identifier], '-o', path)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == ''
    assert completed.stderr == f'Wrote {path}.\n'
    text = path.read_text(encoding='utf-8')
    assert text.startswith('<!DOCTYPE html>')
    assert all(candidate['uuid'] in text for candidate in prediction.result['candidates'])
    used_cli('report', prediction.result['pk'], '-o', path)
    assert path.read_text(encoding='utf-8') == text


def test_default_name_and_top(used_cli, prediction):
    completed = used_cli('report', prediction.result['pk'], '--top', 1)
    name = f'NaCl_{prediction.result["pk"]}.html'
    assert completed.stderr == f'Wrote {name}.\n'
    text = (used_cli.directory / 'work' / name).read_text(encoding='utf-8')
    assert prediction.result['candidates'][0]['uuid'] in text
    assert prediction.result['candidates'][1]['uuid'] not in text


def test_screening(used_cli, prediction, tmp_path):
    (tmp_path / 'list.txt').write_text('NaCl\nMgO\n')
    options = ('--protocol', 'fast', '--no-relax', '--sources', 'templates')
    made = used_cli('screen', tmp_path / 'list.txt', *options, '--format', 'json')
    assert made.returncode == 0, made.stderr
    pk = json.loads(made.stdout)['pk']
    completed = used_cli('report', pk)
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == f'Wrote screening_{pk}.html.\n'
    assert 'MgO' in (used_cli.directory / 'work' / f'screening_{pk}.html').read_text(encoding='utf-8')
    check_refused(used_cli('report', pk, '--top', 3), 2, 'leave --top out')


def check_refused(completed, status, message):
    assert completed.returncode == status
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert completed.stderr.count('\n') == 1
    assert message in completed.stderr


@pytest.mark.parametrize('kind', ['predict', 'screen'])
@pytest.mark.parametrize(
    ('state', 'message'),
    [
        ('running', 'has not finished yet (it is running)'),
        ('killed', 'was stopped before it had finished'),
        ('excepted', 'stopped by an unforeseen error (ValueError: went wrong)'),
        ('finished', 'failed with exit code 410 (No candidate is left)'),
    ],
)
def test_no_result(used_cli, nodes, kind, state, message):
    check_refused(used_cli('report', nodes[f'{kind} {state}']), 1, message)


def test_another_node(used_cli, nodes):
    check_refused(used_cli('report', nodes['other']), 2, 'is a Int, not a prediction or screening')


@pytest.mark.parametrize('identifier', ['99999999', 'not-a-uuid', ' '])
def test_unknown_identifier(used_cli, prediction, identifier):
    check_refused(used_cli('report', identifier), 2, '')


@pytest.mark.parametrize(
    ('output', 'message'),
    [('page.pdf', 'give a name that ends with .html'), ('nowhere/page.html', 'cannot be written')],
)
def test_unusable_file(used_cli, prediction, output, message):
    check_refused(used_cli('report', prediction.result['pk'], '-o', output), 2, message)
    assert not (used_cli.directory / 'work' / output).exists()
