"""Going on after a worker was killed: nothing twice, nothing left behind."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from aiida import orm
from aiida.common import LinkType

from aiida_alphacrystal.workchains import PredictWorkChain
from aiida_alphacrystal.workchains.recovery import called_before, finished_before

BENCHMARK = Path(__file__).parents[2] / 'benchmarks' / 'aiida_kills.py'
STAGES = ['featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank']


@pytest.fixture
def caller(aiida_profile):
    return orm.WorkflowNode().store()


def call(caller, label, state, exit_status=None):
    node = orm.CalcFunctionNode()
    node.base.links.add_incoming(caller, LinkType.CALL_CALC, label)
    node.set_process_state(state)
    if exit_status is not None:
        node.set_exit_status(exit_status)
    node.store()
    if state == 'finished':
        node.seal()
    return node


def test_what_looks_as_if_it_ran_is_marked_as_killed(caller):
    left = call(caller, 'relax', 'running')
    other = call(caller, 'rank', 'running')
    assert finished_before(caller, 'relax') is None
    assert left.is_killed
    assert left.is_sealed
    assert left.process_status == 'The daemon worker that ran it was killed'
    assert not other.is_terminated


def test_what_has_finished_is_found_again(caller):
    left = call(caller, 'relax', 'running')
    done = call(caller, 'relax', 'finished', 0)
    assert finished_before(caller, 'relax').uuid == done.uuid
    assert left.is_killed
    assert [node.uuid for node in called_before(caller, 'relax')] == [left.uuid, done.uuid]
    assert called_before(caller, 'rank') == []


def test_what_has_failed_is_tried_again(caller):
    call(caller, 'relax', 'finished', 310)
    assert finished_before(caller, 'relax') is None


def test_repeated_steps_compute_nothing_twice(run_prediction, prediction, monkeypatch):
    run_stage = PredictWorkChain._run_stage

    def forget(work_chain):
        """Leave a work chain as another process takes it up."""
        work_chain._kept.clear()
        del work_chain._called_earlier

    def repeat(self, stage, **inputs):
        assert run_stage(self, stage, **inputs) is None
        forget(self)
        assert run_stage(self, stage, **inputs) is None
        forget(self)

    monkeypatch.setattr(PredictWorkChain, '_run_stage', repeat)
    node = run_prediction('NaCl')
    assert node.is_finished_ok, node.exit_message
    assert [child.process_label for child in sorted(node.called, key=lambda child: child.pk)] == STAGES
    assert node.outputs.ranking.get_dict() == prediction.outputs.ranking.get_dict()
    assert sorted(node.outputs.structures) == sorted(prediction.outputs.structures)


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.exists(), reason='the benchmarks are not beside the tests')
def test_a_real_worker_is_killed():
    spec = importlib.util.spec_from_file_location('aiida_kills', BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.kill_in_every_stage(stages=('reconstruct',), moments=('begin', 'stored'))
    assert result['killed'] == 2
    assert [trial['passed'] for trial in result['trials']] == [True, True], result
