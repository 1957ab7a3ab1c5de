"""The command that predicts many formulas."""

from __future__ import annotations

import csv
import io
import json

import pytest

from .conftest import interrupt

FAST = ('--protocol', 'fast', '--sources', 'templates', '--no-relax')


@pytest.fixture(scope='module')
def salts(tmp_path_factory):
    """Return a list of formulas, one of which cannot be predicted."""
    path = tmp_path_factory.mktemp('lists') / 'salts.csv'
    path.write_text('name,formula\nsalt,NaCl\nagain,ClNa\nsmoke,MgO\n', encoding='utf-8')
    return path


@pytest.fixture(scope='module')
def screened(used_cli, salts):
    """Screen the list once."""
    completed = used_cli('screen', salts, *FAST, '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    return completed


def test_json(screened):
    result = json.loads(screened.stdout)
    assert [row['formula'] for row in result['rows']] == ['NaCl', 'MgO']
    assert (result['finished'], result['failed'], result['group']) == (2, 0, 'alphacrystal/screen/salts')
    assert result['rows'][0]['spacegroup'] == 225
    assert 'Note: 1 of the lines name a compound that is there already.' in screened.stderr


def test_show_prints_the_same(used_cli, screened):
    pk = json.loads(screened.stdout)['pk']
    assert used_cli('show', pk, '--format', 'json').stdout == screened.stdout
    rows = list(csv.DictReader(io.StringIO(used_cli('show', pk, '--format', 'csv').stdout)))
    assert [row['formula'] for row in rows] == ['NaCl', 'MgO']
    table = used_cli('show', pk).stdout
    assert '2 formulas: 2 with a structure' in table
    assert 'Fm-3m (225)' in table


def test_prediction_of_a_row_can_be_shown(used_cli, screened):
    row = json.loads(screened.stdout)['rows'][0]
    shown = json.loads(used_cli('show', row['prediction'], '--format', 'json').stdout)
    assert shown['uuid'] == row['prediction_uuid']
    assert shown['candidates'][0]['formation_energy_per_atom'] == row['formation_energy_per_atom']


def test_again_repeats_nothing(used_cli, salts, screened):
    again = used_cli('screen', salts, *FAST, '--format', 'json')
    first, second = json.loads(screened.stdout), json.loads(again.stdout)
    assert second['pk'] != first['pk']
    assert second['rows'] == first['rows']


def test_list_and_provenance_of_the_group(used_cli, screened):
    listed = used_cli('list', '--group', 'alphacrystal/screen/salts', '--format', 'json')
    found = json.loads(listed.stdout)['predictions']
    assert sorted(row['formula'] for row in found) == ['MgO', 'NaCl']
    assert {row['pk'] for row in found} == {row['prediction'] for row in json.loads(screened.stdout)['rows']}


@pytest.mark.parametrize('option', [('--top', 1), ('--output', 'x')])
def test_show_refuses_what_belongs_to_one_prediction(used_cli, screened, option):
    completed = used_cli('show', json.loads(screened.stdout)['pk'], *option)
    assert completed.returncode == 2
    assert 'A screening has many predictions' in completed.stderr


@pytest.mark.parametrize(
    ('output_format', 'stdout'),
    [
        ('table', 'SrTiO3\nSr2TiO4\n'),
        ('csv', 'formula\nSrTiO3\nSr2TiO4\n'),
        ('json', '{\n  "formulas": [\n    "SrTiO3",\n    "Sr2TiO4"\n  ]\n}\n'),
    ],
)
def test_formats_of_a_dry_run(cli, output_format, stdout):
    completed = cli('screen', 'Sr-Ti-O', '--max-atoms', 7, '--dry-run', '--format', output_format)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == stdout


def test_dry_run(cli):
    completed = cli('screen', 'Sr-Ti-O', '--max-atoms', 7, '--dry-run')
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.split() == ['SrTiO3', 'Sr2TiO4']
    assert not (cli.directory / '.aiida').exists()


def test_bad_lines_are_all_named_before_anything_is_stored(cli, tmp_path):
    path = tmp_path / 'bad.txt'
    path.write_text('NaCl\nnacl\nPoO2\n', encoding='utf-8')
    completed = cli('screen', path)
    assert completed.returncode == 2
    assert completed.stdout == ''
    lines = completed.stderr.splitlines()
    assert lines[0] == 'Error: 2 lines of bad.txt cannot be used:'
    assert lines[1].startswith('  line 2: No element begins with')
    assert lines[2].startswith('  line 3: The element Po')
    assert not (cli.directory / '.aiida').exists()


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('nothing.txt',), "There is no file 'nothing.txt', and it is no chemical system"),
        (('Xx-O',), "'Xx' is not a chemical element"),
        (('Na-O', '--sources', 'random'), 'is a control of `evaluate`'),
        (('Na-O', '--max-atoms', '2'), 'whose charges can balance'),
        (('Na-O', '--concurrent', '0'), 'is not a whole number from 1'),
        (('Na-O', '--daemon', '--cache'), 'do not reach the daemon'),
        (('-', '--max-atoms', '4'), 'belong to a chemical system'),
        (('-',), 'standard input holds no formula'),
    ],
)
def test_bad_input(cli, arguments, sentence):
    completed = cli('screen', *arguments)
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert sentence in completed.stderr
    assert 'Traceback' not in completed.stderr
    assert not (cli.directory / '.aiida').exists()


def test_unknown_family(used_cli, salts, screened):
    completed = used_cli('screen', salts, *FAST, '--models', 'nobody')
    assert completed.returncode == 2
    assert "There is no family of weights 'nobody'" in completed.stderr


ONCE_PREDICTED = """
import time
from aiida import load_profile, orm
load_profile()
predictions = orm.QueryBuilder().append(orm.Str, filters={'attributes.value': {'in': ['KCl', 'KBr']}}, tag='formula')
predictions.append(orm.WorkChainNode, with_incoming='formula')
print('ready', flush=True)
while not predictions.count():
    time.sleep(0.05)
"""

RUNNING = """
from aiida import load_profile, orm
load_profile()
later = orm.QueryBuilder().append(orm.ProcessNode, filters={{'id': {{'>=': {first}}}}}).all(flat=True)
print([node.pk for node in later if not node.is_terminated])
"""


def test_ctrl_c(used_cli, screened, tmp_path):
    """Stopping leaves a sentence and nothing that seems to run; the same command goes on."""
    (tmp_path / 'bromides.txt').write_text('KCl\nKBr\n', encoding='utf-8')
    words = ['screen', tmp_path / 'bromides.txt', '--protocol', 'fast']
    watcher = used_cli.start_script(ONCE_PREDICTED, directory=tmp_path)
    assert watcher.stdout.readline() == 'ready\n'
    process = used_cli.start(*words, directory=tmp_path)
    assert process.stderr.readline() == '1/1 Predicting one formula after the other\n'
    assert watcher.communicate(timeout=600) == ('', '')
    stdout, stderr = interrupt(process)
    assert (process.returncode, stdout) == (130, '')
    assert stderr.startswith('Stopped: Work chain ')
    assert stderr.endswith(' keeps what had finished; run the same command again to go on from there.\n')
    stopped = stderr.split()[3]
    assert used_cli(script=RUNNING.format(first=stopped)).stdout == '[]\n'
    again = used_cli(*words, '--format', 'json')
    assert again.returncode == 0, again.stderr
    assert [row['formula'] for row in json.loads(again.stdout)['rows']] == ['KCl', 'KBr']
