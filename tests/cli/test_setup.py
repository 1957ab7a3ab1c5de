"""Making the code of the jobs, and predicting with it, as a user does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name('aiida-alphacrystal-engine')


@pytest.fixture(scope='module')
def made(used_cli, prediction):
    """Make the code where a prediction has been made."""
    completed = used_cli('setup', 'code')
    assert completed.returncode == 0, completed.stderr
    return completed


def test_says_what_it_made_and_how_to_use_it(made):
    first, second = made.stdout.splitlines()
    assert first.startswith('Made the code alphacrystal@localhost: aiida-alphacrystal-engine ')
    assert first.endswith(f'at {PROGRAM}.')
    assert second == '  aiida-alphacrystal predict SrTiO3 --code alphacrystal@localhost'


def test_again_changes_nothing(made, used_cli):
    completed = used_cli('setup', 'code')
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.startswith('There is already the code alphacrystal@localhost')


def test_json(made, used_cli):
    completed = used_cli('setup', 'code', '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    values = json.loads(completed.stdout)
    assert (values['code'], values['new'], values['executable']) == ('alphacrystal@localhost', False, str(PROGRAM))
    assert set(values) == {'code', 'pk', 'uuid', 'new', 'executable', 'version'}


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('--computer', 'nowhere'), "There is no computer 'nowhere'"),
        (('--executable', '/bin/nothing'), '/bin/nothing on localhost is no aiida-alphacrystal-engine that runs'),
        (('--executable', '/bin/true'), '/bin/true on localhost is no aiida-alphacrystal-engine that runs'),
        (('--prepend-text', 'export X=1'), 'The code alphacrystal@localhost exists and is another one'),
    ],
)
def test_refuses(made, used_cli, arguments, sentence):
    completed = used_cli('setup', 'code', *arguments)
    assert completed.returncode == 2
    assert sentence in completed.stderr
    assert 'Traceback' not in completed.stderr
    assert completed.stdout == ''


def test_another_label_is_another_code(made, used_cli):
    completed = used_cli('setup', 'code', '--label', 'second', '--prepend-text', 'export X=1')
    assert completed.returncode == 0, completed.stderr
    assert 'Made the code second@localhost' in completed.stdout


def test_predict_with_the_code_gives_the_same(made, used_cli, prediction):
    arguments = ('--protocol', 'fast', '--seed', 3, '--top', 3, '--format', 'json')
    completed = used_cli('predict', 'NaCl', *arguments, '--code', 'alphacrystal@localhost', '--walltime', 600)
    assert completed.returncode == 0, completed.stderr
    here, there = prediction.result, json.loads(completed.stdout)
    for result in (here, there):
        for node in (result, *result['candidates']):
            node.pop('pk')
            node.pop('uuid')
    assert there == here


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('--code', 'nothing@localhost'), "There is no code 'nothing@localhost'"),
        (('--walltime', '60'), 'Options of a job need a job'),
        (('--code', 'alphacrystal', '--walltime', '0'), 'is not a whole number'),
        (('--code', 'alphacrystal', '--device', 'abacus'), "'abacus' is not one of"),
    ],
)
def test_predict_refuses(made, used_cli, arguments, sentence):
    completed = used_cli('predict', 'NaCl', '--protocol', 'fast', *arguments)
    assert completed.returncode == 2
    assert sentence in completed.stderr
    assert completed.stdout == ''
