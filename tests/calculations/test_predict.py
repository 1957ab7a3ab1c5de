"""Predictions as jobs of a computer without a scheduler: the same nodes, in spite of limits."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory, ParserFactory, WorkflowFactory

from aiida_alphacrystal.calculations import PredictCalculation, PredictParser
from aiida_alphacrystal.calculations.predict import job_parameters
from aiida_alphacrystal.data import ModelData, PotentialData
from aiida_alphacrystal.engine.relax import resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings
from aiida_alphacrystal.workchains import PredictBaseWorkChain


@pytest.fixture
def job(engine_code, tiny_settings):
    """Return the inputs of a job for NaCl."""
    return {
        'code': engine_code,
        'compounds': {'f_1': orm.Str('NaCl')},
        'potential': PotentialData.get_or_create(resolve_potential('chgnet').files),
        'parameters': orm.Dict(job_parameters(PredictionSettings.from_dict(tiny_settings))),
    }


def run_job(job, **changes):
    return run_get_node(PredictCalculation, **{**job, **changes})[1]


def run_base(job, **changes):
    return run_get_node(PredictBaseWorkChain, job={**job, **changes})[1]


def rows_of(node):
    return {row['label']: row for row in node.outputs.report['rows']}


def assert_same_arrays(first, second):
    assert first.base.attributes.all == second.base.attributes.all
    assert first.get_arraynames() == second.get_arraynames()
    for name in first.get_arraynames():
        np.testing.assert_array_equal(first.get_array(name), second.get_array(name))


def test_entry_points():
    assert CalculationFactory('alphacrystal.predict') is PredictCalculation
    assert ParserFactory('alphacrystal.predict') is PredictParser
    assert WorkflowFactory('alphacrystal.predict.base') is PredictBaseWorkChain


def test_work_chain_gives_the_same_with_a_code(prediction, run_prediction, engine_code):
    node = run_prediction('NaCl', code=engine_code, options={'max_wallclock_seconds': 600})
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.ranking.get_dict() == prediction.outputs.ranking.get_dict()
    assert node.outputs.candidates.get_dict() == prediction.outputs.candidates.get_dict()
    assert node.outputs.cells.get_dict() == prediction.outputs.cells.get_dict()
    assert_same_arrays(node.outputs.relaxations, prediction.outputs.relaxations)
    assert_same_arrays(node.outputs.distances, prediction.outputs.distances)
    assert sorted(node.outputs.structures) == sorted(prediction.outputs.structures)
    for label, structure in prediction.outputs.structures.items():
        assert node.outputs.structures[label].base.attributes.all == structure.base.attributes.all
    links = node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all_link_labels()
    assert sorted(links) == ['featurize', 'job', 'predict_cells', 'predict_distances', 'rank']
    query = orm.QueryBuilder()
    query.append(orm.StructureData, filters={'uuid': node.outputs.structures['rank_01'].uuid}, tag='structure')
    query.append((orm.Str, orm.Int, ModelData, PotentialData), with_descendants='structure', project='uuid')
    wanted = [node.inputs.formula, node.inputs.seed, node.inputs.potential, *node.inputs.models.values()]
    assert {one.uuid for one in wanted} <= set(query.all(flat=True))


def test_many_formulas_in_one_job(job, prediction):
    compounds = {'f_1': orm.Str('NaCl'), 'f_2': orm.Str('NaXx'), 'f_3': orm.Dict({'K': 1, 'Cl': 1})}
    node = run_job(job, compounds=compounds)
    assert node.is_finished_ok, node.exit_message
    rows = rows_of(node)
    assert [rows[label]['state'] for label in ('f_1', 'f_2', 'f_3')] == ['finished', 'failed', 'finished']
    assert (rows['f_2']['exit_status'], rows['f_2']['stage']) == (201, 'featurize')
    assert 'is not a chemical element' in rows['f_2']['reason']
    found = node.outputs.predictions['f_1']
    assert set(found) == {'cells', 'distances', 'candidates', 'structures', 'relaxations', 'ranking', 'ranked'}
    assert found['ranking'].get_dict() == prediction.outputs.ranking.get_dict()
    assert 'f_2' not in node.outputs.predictions
    assert {row['formula_units'] for row in node.outputs.predictions['f_3']['candidates']['rows']} == {1}
    names = node.base.repository.list_object_names()
    assert not [name for name in names if name.endswith(('.pkl', '.pickle'))]


def test_only_failures(job):
    node = run_job(job, compounds={'f_1': orm.Str('NaXx')})
    assert node.exit_status == 410
    assert 'is not a chemical element' in node.exit_message
    base = run_base(job, compounds={'f_1': orm.Str('NaXx')})
    assert (base.exit_status, len(base.called)) == (410, 1)
    assert base.outputs.reports['iteration_01']['rows'][0]['exit_status'] == 201


def test_walltime_and_checkpoints(job):
    """The engine stops by itself, once before it has begun and later within the work; the numbers stay the same."""
    settings = {'search': {'max_candidates': 0}, 'templates': {'max_candidates': 8}}
    settings |= {'relax': {'max_steps': 60, 'force_tolerance': 1e-4, 'batch_size': 2}}
    parameters = orm.Dict(job_parameters(PredictionSettings.from_dict(settings)))
    compounds = {'f_1': orm.Str('NaCl'), 'f_2': orm.Str('SrTiO3'), 'f_3': orm.Str('KBr')}
    whole = run_job(job, parameters=parameters, compounds=compounds)
    assert whole.is_finished_ok
    seconds = float(whole.outputs.report['facts']['seconds'])
    limit = max(12, round(0.6 * seconds / 0.9))
    options = {'options': {'max_wallclock_seconds': limit}}
    node = run_base(job, parameters=parameters, compounds=compounds, metadata=options)
    assert node.is_finished_ok, node.exit_message
    jobs = sorted(node.called, key=lambda called: called.pk)
    assert len(jobs) > 1
    assert {one.exit_status for one in jobs[:-1]} == {440}
    assert jobs[1].inputs.parent_folder.uuid == jobs[0].outputs.remote_folder.uuid
    found = [label for one in jobs for label in (one.outputs.predictions if 'predictions' in one.outputs else ())]
    assert sorted(found) == ['f_1', 'f_2', 'f_3']
    for label in compounds:
        first, second = node.outputs.predictions[label], whole.outputs.predictions[label]
        assert first['ranking'].get_dict() == second['ranking'].get_dict()
        assert_same_arrays(first['relaxations'], second['relaxations'])


def test_without_a_gpu_the_cpu_is_used(job, monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
    node = run_base(job, device=orm.Str('cuda'))
    assert node.is_finished_ok
    jobs = sorted(node.called, key=lambda called: called.pk)
    assert [one.exit_status for one in jobs] == [442, 0]
    assert [one.inputs.device.value for one in jobs] == ['cuda', 'cpu']


def killed_at_first(directory, engine):
    """Write a program that is killed when it runs for the first time, as the kernel does where memory is short."""
    program = directory / 'engine'
    mark = directory / 'mark'
    lines = ['#!/bin/bash', f'if [ ! -e {mark} ]; then touch {mark}; kill -9 $$; fi', f'exec {engine} "$@"', '']
    program.write_text('\n'.join(lines))
    program.chmod(0o755)
    return program


def test_killed_for_its_memory_smaller_batches_are_taken(job, engine_code, tmp_path):
    program = killed_at_first(tmp_path, engine_code.filepath_executable)
    code = orm.InstalledCode(label='killed', computer=engine_code.computer, filepath_executable=str(program))
    node = run_base(job, code=code.store(), processes=2)
    assert node.is_finished_ok, node.exit_message
    jobs = sorted(node.called, key=lambda called: called.pk)
    assert [one.exit_status for one in jobs] == [441, 0]
    assert [one.inputs.parameters['relax']['batch_size'] for one in jobs] == [0, 4]
    assert 'most probably for its memory' in jobs[0].exit_message


def test_no_smaller_batch(job, engine_code, tmp_path):
    program = tmp_path / 'deadly'
    program.write_text('#!/bin/bash\nkill -9 $$\n')
    program.chmod(0o755)
    code = orm.InstalledCode(label='deadly', computer=engine_code.computer, filepath_executable=str(program))
    parameters = job['parameters'].get_dict()
    parameters['relax']['batch_size'] = 1
    node = run_base(job, code=code.store(), parameters=orm.Dict(parameters), processes=1)
    assert (node.exit_status, len(node.called)) == (441, 1)
    assert 'no smaller batch than one structure' in node.exit_message


def test_program_that_is_no_engine(job, engine_code):
    code = orm.InstalledCode(label='other', computer=engine_code.computer, filepath_executable='/bin/false').store()
    node = run_base(job, code=code)
    assert (node.exit_status, len(node.called)) == (443, 2)
    assert 'ended before its time' in node.exit_message


def test_refused_weights(job):
    import io

    damaged = ModelData(io.BytesIO(ModelData.shipped('cells').get_content(mode='rb')[:-100]), purpose='cells')
    node = run_base(job, models={'cells': damaged})
    assert (node.exit_status, len(node.called)) == (205, 1)
    assert 'damaged' in node.exit_message


def test_no_candidates_in_the_work_chain(run_prediction, engine_code):
    sources = {'templates': {'decorations': False}, 'search': {'max_candidates': 0}}
    node = run_prediction('NaCl19', overrides=sources, code=engine_code)
    assert node.exit_status == 410
    assert 'No known prototype takes the atoms of NaCl19.' in node.exit_message
    assert node.outputs.candidates['rows'] == []


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'compounds': {}}, 'There is no compound to predict'),
        ({'device': orm.Str}, 'The device is'),
        ({'cells': {'f_1': dict}}, 'Cells and distances go together'),
        ({'parameters': {'tea': 1}}, 'Unknown setting tea'),
    ],
)
def test_bad_inputs(job, changes, sentence):
    made = {'compounds': {}, 'device': orm.Str('abacus'), 'cells': {'f_1': orm.Dict({'rows': []})}}
    given = {key: orm.Dict({'tea': 1}) if key == 'parameters' else made[key] for key in changes}
    with pytest.raises(ValueError, match=sentence):
        run_job(job, **given)


def test_files_of_a_job(job, engine_code, tmp_path, monkeypatch):
    """The task says all that the engine needs, and the options of the scheduler give processes and time."""
    options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 4}, 'max_wallclock_seconds': 3600}
    monkeypatch.chdir(tmp_path)  # where a dry run leaves its files
    metadata = {'options': options, 'dry_run': True, 'store_provenance': False}
    node = run_get_node(PredictCalculation, **job, metadata=metadata)[1]
    folder = node.dry_run_info['folder']
    task = json.loads((__import__('pathlib').Path(folder) / 'task.json').read_text())
    assert (task['processes'], task['max_seconds'], task['device']) == (4, 3480.0, 'cpu')
    assert task['compounds'][0]['formula'] == 'NaCl'
    assert task['versions']['relax'] >= 1
    assert dataclasses.asdict(PredictionSettings())['relax'].keys() == task['settings']['relax'].keys()
