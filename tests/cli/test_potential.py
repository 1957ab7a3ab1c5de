"""The command that tests a potential."""

from __future__ import annotations

import json


def test_chgnet(cli):
    completed = cli('potential', 'check', 'chgnet', '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    facts = json.loads(completed.stdout)
    assert facts['name'] == facts['requested'] == facts['kind'] == 'chgnet'
    assert facts['number_of_elements'] == 89
    assert facts['self_test'] == 'passed'
    assert len(facts['sha256']) == 64


def test_missing_directory(cli):
    completed = cli('potential', 'check', './nothing-here')
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: The potential directory nothing-here does not exist')
    assert completed.stderr.count('\n') == 1
