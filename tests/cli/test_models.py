"""The commands that judge trained weights."""

from __future__ import annotations

import json

import pytest

A = 2.8
FCC = [[0, A, A], [A, 0, A], [A, A, 0]]
CUBIC = [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]]
BINARY = [[0, 0, 0], [0.5, 0.5, 0.5]]
PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
CRYSTALS = (
    ('rock salt', 225, FCC, ['Na', 'Cl'], BINARY),
    ('caesium chloride', 221, CUBIC, ['Cs', 'Cl'], BINARY),
    ('perovskite', 221, CUBIC, ['Sr', 'Ti', 'O', 'O', 'O'], PEROVSKITE),
)


@pytest.fixture
def data(tmp_path):
    """Write a few crystals as the commands read them."""
    keys = ('material_id', 'spacegroup', 'lattice', 'species', 'frac_coords')
    path = tmp_path / 'known.jsonl'
    path.write_text(''.join(json.dumps(dict(zip(keys, row, strict=True))) + '\n' for row in CRYSTALS), encoding='utf-8')
    return path


def evaluate(cli, *arguments):
    """Score templates and return what was printed."""
    completed = cli('models', 'evaluate', 'templates', *arguments)
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == '1/2 Generating candidates\n2/2 Comparing them with the known crystals\n'
    return completed.stdout


def test_json_of_the_shipped_templates(cli, data):
    scores = json.loads(evaluate(cli, '--data', data, '--jobs', 1, '--json'))
    assert set(scores) >= {'le12', 'le20', 'new_prototypes', 'ece', 'seconds_per_1000'}
    assert scores['le12'] == scores['le20']
    assert set(scores['le12']) == {'n', '1', '5', '20'}
    assert scores['le12']['n'] == 3
    assert scores['le12']['20'] == 1
    assert scores['new_prototypes']['n'] == 0
    assert scores['failures'] == []
    assert scores['jobs'] == 1


def test_own_templates_and_several_processes(cli, data, tmp_path):
    completed = cli('train', 'templates', '--data', data, '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    options = ('--data', data, '--templates', tmp_path / 'weights' / 'templates.safetensors', '--json')
    alone, shared = (json.loads(evaluate(cli, *options, '--jobs', jobs)) for jobs in (1, 2))
    assert alone['le20']['20'] == 1
    assert (alone['jobs'], shared['jobs']) == (1, 2)
    for times in ('seconds_per_1000', 'seconds_to_start', 'jobs'):
        del alone[times], shared[times]
    assert alone == shared


def test_choice_of_crystals(cli, data):
    small = json.loads(evaluate(cli, '--data', data, '--max-atoms', 2, '--jobs', 1, '--json'))
    assert small['le20']['n'] == 2
    options = ('--limit', 1, '--seed', 4, '--jobs', 1, '--format', 'json')
    drawn = json.loads(evaluate(cli, '--data', data, *options))
    assert drawn['le20']['n'] == 1


def test_table(cli, data):
    stdout = evaluate(cli, '--data', data, '--jobs', 1)
    lines = stdout.splitlines()
    assert lines[0].startswith('3 crystals of known.jsonl')
    assert max(map(len, lines)) <= 100
    assert '\x1b' not in stdout
    for row in ('up to 12 atoms', 'up to 20 atoms'):
        line = next(line for line in lines if row in line)
        assert line.split('│')[2].strip() == '3'
        assert line.count(' %') == 6
    assert next(line for line in lines if '│ new prototypes' in line).split('│')[2].strip() == '0'
    for name in ('calibration error', 'RMS displacement', 'time', 'without a candidate'):
        assert any(line.startswith(f'{name}  ') for line in lines)
    assert lines[-1].endswith('none')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], "Missing option '--data'"),
        (['--data', 'nothing.jsonl'], 'does not exist'),
        (['--data', '{damaged}'], 'damaged.jsonl:1 is not a JSON object'),
        (['--data', '{empty}'], 'holds no crystal'),
        (['--data', '{known}', '--max-atoms', '1'], 'holds no crystal'),
        (['--data', '{known}', '--max-atoms', '21'], 'from 1 to 20'),
        (['--data', '{known}', '--limit', '0'], 'from 1 to'),
        (['--data', '{known}', '--limit', 'few'], "'few' is not a whole number"),
        (['--data', '{known}', '--jobs', '0'], 'from 1 to'),
        (['--data', '{known}', '--seed', '-1'], 'from 0 to'),
        (['--data', '{known}', '--templates', 'nothing.safetensors'], 'does not exist'),
        (['--data', '{known}', '--templates', '{known}'], 'is not a whole safetensors file'),
    ],
)
def test_bad_input(cli, data, tmp_path, arguments, message):
    files = {'known': data, 'empty': tmp_path / 'empty.jsonl', 'damaged': tmp_path / 'damaged.jsonl'}
    files['empty'].touch()
    files['damaged'].write_text('{"species": ["Na"\n', encoding='utf-8')
    completed = cli('models', 'evaluate', 'templates', *(argument.format(**files) for argument in arguments))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1


@pytest.mark.parametrize('path', [('models',), ('models', 'evaluate')])
def test_a_group_alone_prints_its_help(cli, path):
    completed = cli(*path)
    assert completed.returncode == 0
    assert completed.stdout == cli(*path, '--help').stdout
