"""Jobs in directories of their own: the same as the pipeline, in parts, and in spite of what goes wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.jobs import (
    CHECKPOINTS,
    Compound,
    Outcome,
    read_result,
    read_summary,
    result_file,
    runner,
    write_distances,
)
from aiida_alphacrystal.engine.jobs import compounds as compounds_module
from aiida_alphacrystal.engine.jobs.bundle import BundleError, read_bundle, write_bundle
from aiida_alphacrystal.engine.jobs.results import Result, unpack_state
from aiida_alphacrystal.engine.jobs.runner import run_job
from aiida_alphacrystal.engine.pipeline import load_models, predict
from aiida_alphacrystal.engine.relax import load_potential, resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings

from .conftest import TASK, TINY

#: Two steps for each of the three candidates, more for two of them.
NARROW = {'narrow_steps': 2, 'narrow_to': 2, 'force_tolerance': 1e-4}


def result_of(directory, label='f_1'):
    return read_result((directory / result_file(label)).read_bytes(), label)


def content_of(directory, label='f_1'):
    """Return everything that a result holds, to be compared to the last bit."""
    document, arrays = result_of(directory, label).pack()
    return document, {name: array.tolist() for name, array in arrays.items()}


def rows(ranking):
    return [(place.index, place.energy_per_atom, place.spacegroup, place.duplicates) for place in ranking]


@pytest.fixture(scope='module')
def potential():
    return load_potential(resolve_potential('chgnet').files)


def test_finds_what_the_pipeline_finds(make_job, potential):
    directory = make_job()
    summary = run_job(directory)
    assert summary.outcome == Outcome.FINISHED
    assert read_summary((directory / 'summary.json').read_text()) == summary
    assert summary.facts['device'] == 'cpu'
    result = result_of(directory)
    whole = predict(parse_formula('NaCl'), load_models(), potential, PredictionSettings.from_dict(TASK.settings), 3)
    assert result.failure is None
    assert result.formula == whole.formula
    assert result.cells == whole.pool.cells
    assert [one.origin for one in result.candidates] == [one.origin for one in whole.pool.reconstruction.candidates]
    assert result.ranking == whole.ranking


def test_energies_before_the_relaxation(make_job):
    directory = make_job()
    run_job(directory)
    result = result_of(directory)
    assert all(one.initial_energy >= one.energy for one in result.relaxations)
    document, arrays = result.pack()
    for facts in document['relaxations']['finished'].values():
        del facts['initial_energy']  # as an earlier version on the other machine leaves it
    earlier = Result.unpack(document, arrays)
    assert [one.initial_energy for one in earlier.relaxations] == [None] * len(result.relaxations)
    assert [one.energy for one in earlier.relaxations] == [one.energy for one in result.relaxations]


def test_several_compounds_on_several_processes(make_job, importable_tests):
    compounds = (
        Compound('f_1', formula='NaCl'),
        Compound('f_2', formula='NaXx'),
        Compound('f_3', counts={'K': 1, 'Cl': 1}),
        Compound('f_4', formula='PoO2'),
    )
    alone, together = make_job('alone', compounds=compounds), make_job('together', compounds=compounds, processes=2)
    for directory in (alone, together):
        assert run_job(directory).outcome == Outcome.FINISHED
    for label in ('f_1', 'f_3'):
        assert content_of(alone, label) == content_of(together, label)
    assert result_of(alone, 'f_3').formula.formula_units == 1
    failures = [result_of(alone, label).failure for label in ('f_2', 'f_4')]
    assert [failure.kind for failure in failures] == ['FormulaError', 'UnsupportedElementError']
    assert 'is not a chemical element' in failures[0].reason


def test_cells_that_are_known_already(make_job):
    whole = make_job('whole')
    run_job(whole)
    result = result_of(whole)
    parsed = dataclasses.asdict(result.formula)
    compound = Compound('f_1', parsed=parsed, cells=tuple(dataclasses.asdict(cell) for cell in result.cells))
    directory = make_job('later', compounds=(compound,))
    write_distances(directory / 'f_1_distances.npz', result.distances)
    assert run_job(directory).outcome == Outcome.FINISHED
    later = result_of(directory)
    assert later.cells is later.distances is later.ranking is None
    assert dataclasses.replace(result, cells=None, distances=None, ranking=None).pack()[0] == later.pack()[0]
    arrays = result.pack()[1]
    assert all(array.tolist() == arrays[name].tolist() for name, array in later.pack()[1].items())


def test_calculator_of_ase(make_job):
    files = resolve_potential('ase:ase.calculators.emt:EMT').files
    directory = make_job(compounds=(Compound('f_1', formula='CuAu'),), potential={'name': 'emt', 'kind': 'ase'})
    shutil.rmtree(directory / 'potential')
    (directory / 'potential').mkdir()
    (directory / 'potential' / 'calculator.json').write_bytes(files.files['calculator.json'])
    assert run_job(directory).outcome == Outcome.FINISHED
    result = result_of(directory)
    assert result.failure is None
    assert result.potential == load_potential(files).facts
    assert all(relaxation.reason is None for relaxation in result.relaxations)


def test_no_candidates_is_a_result(make_job):
    settings = {'templates': {'decorations': False}, 'search': {'max_candidates': 0}}
    directory = make_job(compounds=(Compound('f_1', formula='NaCl19'),), settings=settings)
    assert run_job(directory).outcome == Outcome.FINISHED
    result = result_of(directory)
    assert (result.failure.kind, result.failure.stage) == ('NoCandidateError', 'reconstruct')
    assert result.candidates == ()
    assert result.cells


def test_a_bug_is_a_result(make_job, monkeypatch, capsys):
    def explode(*args):
        raise RuntimeError('boom')

    monkeypatch.setattr(compounds_module, 'rank_relaxed', explode)
    directory = make_job()
    assert run_job(directory).outcome == Outcome.FINISHED
    failure = result_of(directory).failure
    assert (failure.kind, failure.stage, failure.reason) == ('RuntimeError', 'rank', 'RuntimeError: boom')
    assert result_of(directory).relaxations
    assert 'Traceback' in capsys.readouterr().err


@pytest.mark.parametrize(('steps', 'narrow'), [(0, {}), (2, {}), (4, {}), (4, NARROW), (6, NARROW)])
def test_goes_on_to_the_same_bits(make_job, monkeypatch, steps, narrow):
    settings = {**TINY, 'relax': {**TINY['relax'], **narrow}}
    whole = make_job('whole', settings=settings)
    run_job(whole)
    directory = make_job('cut', settings=settings)
    relax = compounds_module.relax_structures

    def cut(*args, keep, **kwargs):
        seen = []

        def stop(state):
            keep(state)
            seen.append(state)
            if len(seen) > steps:
                os.kill(os.getpid(), signal.SIGTERM)

        return relax(*args, keep=stop, **kwargs)

    monkeypatch.setattr(compounds_module, 'relax_structures', cut)
    summary = run_job(directory)
    assert (summary.outcome, summary.reason) == (Outcome.OUT_OF_TIME, runner._TOLD_TO_END)
    assert not (directory / result_file('f_1')).exists()
    document, arrays = read_bundle((directory / CHECKPOINTS / 'f_1' / 'relaxation.npz').read_bytes(), 'it')
    assert unpack_state(document['content'], arrays).running
    if narrow:
        assert [one.steps > 2 for one in result_of(whole).relaxations].count(False) == 1
    monkeypatch.setattr(compounds_module, 'relax_structures', relax)
    monkeypatch.setattr(compounds_module, 'reconstruct', None)
    assert run_job(directory).outcome == Outcome.FINISHED
    assert content_of(directory) == content_of(whole)


def test_checkpoints_of_another_task_are_not_taken(make_job):
    directory = make_job()
    run_job(directory)
    (directory / result_file('f_1')).unlink()
    make_job(seed=4)
    fresh = make_job('fresh', seed=4)
    for job in (directory, fresh):
        assert run_job(job).outcome == Outcome.FINISHED
    assert content_of(directory) == content_of(fresh)


def test_what_is_finished_is_kept(make_job):
    directory = make_job()
    run_job(directory)
    before = (directory / result_file('f_1')).stat().st_mtime_ns
    assert run_job(directory).outcome == Outcome.FINISHED
    assert (directory / result_file('f_1')).stat().st_mtime_ns == before


def test_time_limit_in_processes_of_their_own(make_job, importable_tests):
    compounds = tuple(Compound(f'f_{number}', formula='SrTiO3') for number in range(3))
    settings = {
        'templates': {'max_candidates': 150},  # minutes of work, or a fast machine is ready before the time is up
        'search': {'max_candidates': 0},
        'relax': {'max_steps': 10_000, 'force_tolerance': 1e-4},
    }
    directory = make_job(compounds=compounds, settings=settings, processes=2, max_seconds=40.0)
    summary = run_job(directory)
    assert (summary.outcome, summary.reason) == (Outcome.OUT_OF_TIME, runner._TIME_IS_UP)
    assert not [label for label in ('f_0', 'f_1', 'f_2') if (directory / result_file(label)).exists()]
    assert (directory / CHECKPOINTS / 'f_0' / 'pool.npz').exists()


def test_no_time_at_all(make_job):
    assert run_job(make_job(max_seconds=0.0)).outcome == Outcome.OUT_OF_TIME


def test_no_gpu(make_job, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert run_job(make_job(device='cuda')).outcome == Outcome.NO_GPU
    summary = run_job(make_job('auto', device='auto'))
    assert (summary.outcome, summary.facts['device']) == (Outcome.FINISHED, 'cpu')


def test_no_memory(make_job, monkeypatch):
    def forget(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(compounds_module, 'relax_structures', forget)
    summary = run_job(make_job())
    assert summary.outcome == Outcome.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ('changes', 'kind', 'sentence'),
    [
        ({'seed': -1}, 'SettingsError', 'The seed is -1'),
        ({'settings': {'tea': 1}}, 'SettingsError', 'Unknown setting tea'),
        ({'device': 'abacus'}, 'SettingsError', "The device is 'abacus'"),
        ({'potential': {'name': 'x', 'kind': 'tea'}}, 'PotentialError', 'unknown kind'),
    ],
)
def test_bad_tasks(make_job, changes, kind, sentence):
    summary = run_job(make_job(**changes))
    assert (summary.outcome, summary.kind) == (Outcome.REFUSED, kind)
    assert sentence in summary.reason


def test_damaged_weights(make_job):
    directory = make_job()
    path = directory / 'models' / 'cells.safetensors'
    path.write_bytes(path.read_bytes()[:-100])
    summary = run_job(directory)
    assert (summary.outcome, summary.kind) == (Outcome.REFUSED, 'ModelError')


def test_damaged_files(tmp_path):
    with pytest.raises(BundleError, match='is damaged'):
        read_summary('{"format": 1, "outcome": "tea"}')
    write_bundle(tmp_path / 'x.npz', {'a': 1}, {})
    content = (tmp_path / 'x.npz').read_bytes()
    for damaged in (b'', b'tea', content[: len(content) // 2]):
        with pytest.raises(BundleError, match='is damaged'):
            read_bundle(damaged, 'x')
    with pytest.raises(BundleError, match='The result of x is damaged'):
        read_result(content, 'x')
    with pytest.raises(SettingsError, match=r'There is no readable task\.json'):
        runner.read_task(tmp_path)


def test_task_of_another_version(make_job):
    directory = make_job()
    document = json.loads((directory / 'task.json').read_text())
    (directory / 'task.json').write_text(json.dumps({**document, 'format': 99}))
    assert 'another version' in run_job(directory).reason


def engine(*arguments, cwd):
    code = 'import sys; sys.modules["aiida"] = None; from aiida_alphacrystal.engine.program import main; main()'
    return subprocess.run(
        [sys.executable, '-c', code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_program_runs_without_aiida(make_job):
    directory = make_job()
    completed = engine(cwd=directory)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.splitlines() == ['f_1: NaCl', 'finished']
    assert result_of(directory).ranking


def test_program_says_what_is_wrong(tmp_path):
    assert 'There is no directory' in engine('nowhere', cwd=tmp_path).stderr
    completed = engine(cwd=tmp_path)
    assert completed.returncode == 1
    assert completed.stdout.startswith('refused: There is no readable task.json')
    assert engine('--version', cwd=tmp_path).stdout.startswith('aiida-alphacrystal-engine ')
