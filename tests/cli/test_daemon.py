"""Handing a prediction to the daemon, from the command line to the result."""

from __future__ import annotations

import json
import time

import pytest


@pytest.fixture(scope='module')
def submitted(prediction, used_cli):
    """Submit the prediction that has been run before."""
    completed = used_cli('predict', 'NaCl', '--protocol', 'fast', '--seed', 3, '--top', 3, '--daemon')
    assert completed.returncode == 0, completed.stderr
    return completed


def test_predict_says_how_to_follow(submitted):
    first, *commands = submitted.stdout.splitlines()
    pk = first.removeprefix('Submitted work chain ').split('.')[0]
    assert commands == [f'  verdi process status {pk}', f'  aiida-alphacrystal show {pk}']
    assert 'Starting the AiiDA daemon' in submitted.stderr


def test_the_daemon_finds_the_same(submitted, used_cli, prediction):
    pk = submitted.stdout.split()[3].rstrip('.')
    for _ in range(300):
        shown = used_cli('show', pk, '--format', 'json')
        if shown.returncode != 1 or 'has not finished yet' not in shown.stderr:
            break
        assert shown.stdout == ''
        time.sleep(1)
    assert shown.returncode == 0, shown.stderr
    run, daemon = prediction.result, json.loads(shown.stdout)
    for result in (run, daemon):
        for node in (result, *result['candidates']):
            node.pop('pk')
            node.pop('uuid')
    assert daemon == run
