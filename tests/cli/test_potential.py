"""The command that tests a potential."""

from __future__ import annotations

import json
from importlib.metadata import version


def test_chgnet(cli):
    completed = cli('potential', 'check', 'chgnet', '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    facts = json.loads(completed.stdout)
    assert facts['name'] == facts['requested'] == facts['kind'] == 'chgnet'
    assert facts['number_of_elements'] == 89
    assert facts['self_test'] == 'passed'
    assert len(facts['sha256']) == 64


def test_calculator_of_ase(cli, tmp_path):
    path = tmp_path / 'lj.json'
    arguments = {'sigma': 3.4, 'epsilon': 0.0104, 'rc': 8.5}
    document = {
        'calculator': 'ase.calculators.lj:LennardJones',
        'arguments': arguments,
        'elements': ['Ar'],
        'name': 'ar',
    }
    path.write_text(json.dumps(document), encoding='utf-8')
    completed = cli('potential', 'check', path, '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    facts = json.loads(completed.stdout)
    assert (facts['name'], facts['kind'], facts['number_of_elements']) == ('ar', 'ase', 1)
    assert facts['version'] == f'ase {version("ase")}'
    assert (facts['requested'], facts['notice'], facts['self_test']) == (str(path), None, 'passed')


def test_calculator_that_is_none(cli):
    completed = cli('potential', 'check', 'ase:ase.build:bulk')
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ase.build:bulk is no calculator of ASE: give a class derived from')
    assert completed.stderr.count('\n') == 1


def test_missing_directory(cli):
    completed = cli('potential', 'check', './nothing-here')
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: The potential directory nothing-here does not exist')
    assert completed.stderr.count('\n') == 1
