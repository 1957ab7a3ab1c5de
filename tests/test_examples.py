"""The examples, run with ``verdi run`` on a fresh profile with a daemon, as a user does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / 'examples'


@pytest.fixture(scope='module')
def verdi(tmp_path_factory):
    """Return a function that runs ``verdi`` on a fresh profile as ``verdi presto`` makes it, its daemon running."""
    directory = tmp_path_factory.mktemp('aiida')
    environment = {key: value for key, value in os.environ.items() if key != 'AIIDA_PROFILE'}
    environment |= {
        'AIIDA_PATH': str(directory),
        'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')]),
    }

    def run(*arguments: object) -> str:
        completed = subprocess.run(
            ['verdi', *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    run('presto', '--use-zeromq', '-n')
    run('config', 'set', 'daemon.timeout', '60')
    run('config', 'set', 'caching.enabled_for', 'aiida.calculations:alphacrystal.*')
    run('daemon', 'start')
    yield run
    run('daemon', 'stop')


def wait_for(verdi, pk: int) -> str:
    """Wait until a process has ended and return what ``verdi process show`` says."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        shown = verdi('process', 'show', pk)
        if re.search(r'^state\s+(Finished|Excepted|Killed)', shown, flags=re.MULTILINE):
            return shown
        time.sleep(5)
    pytest.fail(f'Process {pk} did not end: {verdi("process", "report", pk)}')


@pytest.mark.slow
def test_predict_submit_and_query(verdi):
    predicted = verdi('run', EXAMPLES / 'predict_formula.py', 'NaCl')
    assert re.search(r'Prediction <\d+> of NaCl with the potential chgnet', predicted)
    assert re.search(r'^   1  Fm-3m\s', predicted, flags=re.MULTILINE)

    submitted = verdi('run', EXAMPLES / 'submit_formulas.py', 'NaCl', 'KCl')
    pks = [int(pk) for pk in re.findall(r'^Submitted \w+ as <(\d+)>$', submitted, flags=re.MULTILINE)]
    assert len(pks) == 2
    for pk in pks:
        assert re.search(r'^state\s+Finished \[0\]', wait_for(verdi, pk), flags=re.MULTILINE)

    answers = verdi('run', EXAMPLES / 'query_predictions.py', 'Cl', '2')
    assert '3 predictions of compounds with Cl' in answers
    assert re.search(r'[1-9] distance matrices of cells with 2 atoms\n', answers)
    assert re.search(r'^  <\d+> NaCl: shortest distance \d\.\d\d A$', answers, flags=re.MULTILINE)
    for line in ("str 'KCl'", 'int 1', 'weights for cells', 'weights for templates', 'potential chgnet', 'step relax'):
        assert re.search(rf'^  <\d+> {line}', answers, flags=re.MULTILINE)


@pytest.mark.parametrize('example', sorted(EXAMPLES.glob('*.py')), ids=lambda path: path.name)
def test_every_example_says_how_to_run_it(example):
    assert f'verdi run examples/{example.name}' in example.read_text(encoding='utf-8')
