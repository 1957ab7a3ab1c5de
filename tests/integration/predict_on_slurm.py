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
    """Predict without and with SLURM, and with jobs that are cut.

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
    _end_for_time(code)
    _end_for_memory(code)
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


def _run(
    code: orm.AbstractCode, formulas: tuple[str, ...], settings: dict[str, Any], options: dict[str, Any]
) -> tuple[orm.WorkChainNode, list[orm.CalcJobNode]]:
    """Predict in jobs with CHGNet, templates only, and return the work chain and its jobs."""
    from aiida_alphacrystal.calculations.predict import job_parameters
    from aiida_alphacrystal.data import PotentialData
    from aiida_alphacrystal.engine.relax import resolve_potential
    from aiida_alphacrystal.engine.settings import PredictionSettings
    from aiida_alphacrystal.workchains import PredictBaseWorkChain

    parameters = PredictionSettings.from_dict({'search': {'max_candidates': 0}, **settings})
    job = {
        'code': code,
        'compounds': {f'f_{number}': orm.Str(formula) for number, formula in enumerate(formulas)},
        'potential': PotentialData.get_or_create(resolve_potential('chgnet').files),
        'parameters': orm.Dict(job_parameters(parameters)),
        'metadata': {'options': options},
    }
    node = run_get_node(PredictBaseWorkChain, job=job, max_iterations=orm.Int(20))[1]
    return node, sorted(node.called, key=lambda called: called.pk)


def _check_all_found(node: orm.WorkChainNode, jobs: list[orm.CalcJobNode], number: int) -> None:
    """Check that every compound was finished in one of several jobs, and in one only."""
    assert node.is_finished_ok, node.exit_message
    assert len(jobs) > 1, 'no job was cut'
    found = sorted(label for one in jobs if 'predictions' in one.outputs for label in one.outputs.predictions)
    assert found == [f'f_{place}' for place in range(number)], found


def _cut(code: orm.AbstractCode) -> None:
    """Let jobs come to their time limit, of which the program leaves a tenth, until all compounds are done."""
    settings = {'templates': {'max_candidates': 12}, 'relax': {'max_steps': 150, 'force_tolerance': 1e-4}}
    node, jobs = _run(code, ('SrTiO3', 'TiO2', 'Al2O3'), settings, {'max_wallclock_seconds': 30})
    print(f'cut jobs: exit statuses {[one.exit_status for one in jobs]}, work chain {node.exit_status}')
    assert {one.exit_status for one in jobs[:-1]} <= {440, 120}
    _check_all_found(node, jobs, 3)


def _end_for_time(code: orm.AbstractCode) -> None:
    """Let SLURM end a job after a minute of which the program does not know."""
    settings = {'templates': {'max_candidates': 40}, 'relax': {'max_steps': 500, 'force_tolerance': 1e-4}}
    options = {'custom_scheduler_commands': '#SBATCH --time=1'}
    node, jobs = _run(code, ('Al2O3', 'TiO2', 'SiO2'), settings, options)
    print(f'jobs ended for time: exit statuses {[one.exit_status for one in jobs]}, work chain {node.exit_status}')
    assert {one.exit_status for one in jobs[:-1]} <= {440, 120}
    assert any('TIME LIMIT' in (one.get_scheduler_stderr() or '') for one in jobs[:-1]), 'SLURM has ended no job'
    _check_all_found(node, jobs, 3)


def _end_for_memory(code: orm.AbstractCode) -> None:
    """Let SLURM end jobs that need more memory than they asked for, until there is no smaller batch."""
    settings = {'templates': {'max_candidates': 4}, 'relax': {'batch_size': 2}}
    node, jobs = _run(code, ('NaCl',), settings, {'custom_scheduler_commands': '#SBATCH --mem=200'})
    print(f'jobs ended for memory: exit statuses {[one.exit_status for one in jobs]}, work chain {node.exit_status}')
    assert [one.exit_status for one in jobs] in ([441, 441], [110, 110])
    assert node.exit_status == 441
    assert 'ask for more memory' in node.exit_message


if __name__ == '__main__':
    main(sys.argv[1])
