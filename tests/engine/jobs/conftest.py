"""Directories of jobs, prepared as the calculation of AiiDA prepares them."""

from __future__ import annotations

import dataclasses

import pytest

from aiida_alphacrystal.engine.checkpoint import read_shipped
from aiida_alphacrystal.engine.jobs import Compound, Task, write_task
from aiida_alphacrystal.engine.relax import resolve_potential

#: Settings with which the six stages take seconds.
TINY = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 3},
    'search': {'max_candidates': 1, 'max_screened': 4, 'evaluations': 500},
    'relax': {'max_steps': 5, 'batch_size': 2},
    'rank': {'top': 3},
}

TASK = Task(
    compounds=(Compound('f_1', formula='NaCl'),),
    settings=TINY,
    seed=3,
    versions={'relax': 1},
    potential={'name': 'chgnet', 'kind': 'chgnet'},
)


@pytest.fixture
def make_job(tmp_path):
    """Return a function that writes the directory of a job with a task that differs in what is given."""

    def make(name='job', **changes):
        directory = tmp_path / name
        for folder in ('models', 'potential'):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        for purpose in ('distances', 'cells', 'templates'):
            (directory / 'models' / f'{purpose}.safetensors').write_bytes(read_shipped(f'{purpose}.safetensors'))
        for file, content in resolve_potential('chgnet').files.files.items():
            (directory / 'potential' / file).write_bytes(content)
        write_task(directory, dataclasses.replace(TASK, **changes))
        return directory

    return make
