"""Predict with the default profile on a running SLURM; called by ``slurm.sh`` with a directory for the jobs."""

# ruff: noqa: T201

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from aiida import load_profile, orm
from aiida.engine import run_get_node

SETTINGS: dict[str, Any] = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 4},
    'search': {'max_candidates': 1, 'max_screened': 4, 'evaluations': 500},
    'relax': {'max_steps': 20},
    'rank': {'top': 3},
}


def main(workdir: str) -> None:
    """Predict without and with SLURM, and with a job that is cut.

    :param workdir: where the jobs run.
    """
    load_profile()
    computer = orm.Computer(
        label='slurm',
        hostname='localhost',
        transport_type='core.local',
        scheduler_type='core.slurm',
        workdir=workdir,
    ).store()
    computer.configure(safe_interval=0)
    computer.set_minimum_job_poll_interval(1)
    computer.set_default_mpiprocs_per_machine(1)
    program = str(Path(sys.executable).with_name('aiida-alphacrystal'))
    subprocess.run([program, 'setup', 'code', '--computer', 'slurm'], check=True)
    subprocess.run([program, 'setup', 'code', '--computer', 'slurm'], check=True)
    code = orm.load_code('alphacrystal@slurm')
    _compare(code)
    _cut(code)
    print('SLURM: all passed')


def _compare(code: orm.AbstractCode) -> None:
    """Predict twice, beside the database and in a job."""
    from aiida_alphacrystal.workchains import PredictWorkChain

    here = run_get_node(PredictWorkChain.get_builder_from_protocol('NaCl', 'fast', SETTINGS))[1]
    builder = PredictWorkChain.get_builder_from_protocol('NaCl', 'fast', SETTINGS, code=code)
    builder.options = {'max_wallclock_seconds': 300}
    there = run_get_node(builder)[1]
    assert here.is_finished_ok and there.is_finished_ok, there.exit_message  # noqa: PT018
    job = next(node for node in there.called_descendants if isinstance(node, orm.CalcJobNode))
    print(f'job {job.get_job_id()} on {job.computer.label}, scheduler {job.computer.scheduler_type}')
    assert job.computer.scheduler_type == 'core.slurm'
    assert int(job.get_job_id()) > 0
    same = here.outputs.ranking.get_dict() == there.outputs.ranking.get_dict()
    print(f'the same ranking with and without SLURM: {same}')
    assert same


def _cut(code: orm.AbstractCode) -> None:
    """Let jobs come to their time limit, of which the program leaves a tenth, until all compounds are done."""
    from aiida_alphacrystal.calculations.predict import job_parameters
    from aiida_alphacrystal.data import PotentialData
    from aiida_alphacrystal.engine.relax import resolve_potential
    from aiida_alphacrystal.engine.settings import PredictionSettings
    from aiida_alphacrystal.workchains import PredictBaseWorkChain

    settings = {
        'templates': {'max_candidates': 12},
        'search': {'max_candidates': 0},
        'relax': {'max_steps': 150, 'force_tolerance': 1e-4},
    }
    job = {
        'code': code,
        'compounds': {f'f_{number}': orm.Str(name) for number, name in enumerate(('SrTiO3', 'TiO2', 'Al2O3'))},
        'potential': PotentialData.get_or_create(resolve_potential('chgnet').files),
        'parameters': orm.Dict(job_parameters(PredictionSettings.from_dict(settings))),
        'metadata': {'options': {'max_wallclock_seconds': 30}},
    }
    node = run_get_node(PredictBaseWorkChain, job=job, max_iterations=orm.Int(20))[1]
    jobs = sorted(node.called, key=lambda called: called.pk)
    print(f'cut jobs: exit statuses {[one.exit_status for one in jobs]}, work chain {node.exit_status}')
    assert node.is_finished_ok, node.exit_message
    assert len(jobs) > 1, 'no job was cut'
    assert {one.exit_status for one in jobs[:-1]} <= {440, 120}
    found = sorted(label for one in jobs if 'predictions' in one.outputs for label in one.outputs.predictions)
    assert found == ['f_0', 'f_1', 'f_2'], found


if __name__ == '__main__':
    main(sys.argv[1])
