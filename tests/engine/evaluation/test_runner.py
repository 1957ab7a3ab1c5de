"""Tests of working through the entries."""

import dataclasses
import os
import signal

import pytest

from aiida_alphacrystal.engine.datasets import DatasetError
from aiida_alphacrystal.engine.errors import PotentialError, SettingsError
from aiida_alphacrystal.engine.evaluation import COLUMNS, evaluate, runner
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.relax import PotentialFiles
from aiida_alphacrystal.engine.workers import shared

pytestmark = pytest.mark.usefixtures('importable_tests')


class KilledError(Exception):
    """Stands in for the end of the process that collects the results."""


def table(results):
    return [[getattr(result, name) for name in COLUMNS] for result in results]


def die_on_the_third(index, crystal):
    """Do as the runner does, unless it is the third entry."""
    if index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return _work(index, crystal)


def die_once(index, crystal):
    """Die on the third entry unless another process has done so."""
    mark = os.environ['DIE_ONCE']
    if index == 2 and not os.path.exists(mark):
        with open(mark, 'w', encoding='utf-8'):
            os.kill(os.getpid(), signal.SIGKILL)
    return _work(index, crystal)


def fail(index, crystal):
    """Fail in scoring, for lack of templates."""
    shared().models = dataclasses.replace(shared().load(), templates=None)
    return _work(index, crystal)


_work = runner._work


@pytest.fixture(scope='module')
def whole(known, plan):
    """Return the results of an evaluation that was not disturbed."""
    return evaluate(known, plan, 1)


def test_the_results_do_not_depend_on_the_number_of_processes(known, plan):
    seen = []
    with reporting(lambda stage, done, total: seen.append((stage, done, total))):
        one = evaluate(known, plan, 1)
    assert seen == [('evaluate', done, 5) for done in range(6)]
    assert [result.index for result in one] == [0, 1, 2, 3, 4]
    assert [result.material_id for result in one] == [crystal.material_id for crystal in known]
    assert table(evaluate(known, plan, 2)) == table(one)


@pytest.mark.parametrize('stop', [1, 4])
def test_a_stopped_evaluation_repeats_and_loses_nothing(known, plan, whole, stop):
    kept = []

    def keep(result):
        if len(kept) == stop:
            raise KilledError
        kept.append(result)

    with pytest.raises(KilledError):
        evaluate(known, plan, 2, keep)
    assert len(kept) == stop
    added = []
    results = evaluate(known, plan, 2, added.append, kept)
    assert table(results) == table(whole)
    assert sorted(result.index for result in kept + added) == [0, 1, 2, 3, 4]


def test_nothing_is_left_to_do(known, plan, whole):
    assert evaluate(known, plan, 1, pytest.fail, whole) == whole


def test_an_entry_that_kills_its_process_is_a_miss_and_the_others_are_not(known, plan, whole, monkeypatch):
    monkeypatch.setattr(runner, '_work', die_on_the_third)
    results = evaluate(known, plan, 2)
    assert results[2].reason.startswith('The process that worked on this entry was ended')
    assert results[2].rank is None
    assert table(results[:2] + results[3:]) == table(whole[:2] + whole[3:])


def test_an_entry_whose_process_was_killed_by_chance_is_tried_again(known, plan, whole, monkeypatch, tmp_path):
    monkeypatch.setenv('DIE_ONCE', str(tmp_path / 'mark'))
    monkeypatch.setattr(runner, '_work', die_once)
    assert table(evaluate(known, plan, 2)) == table(whole)
    assert (tmp_path / 'mark').exists()


def test_what_goes_wrong_in_scoring_is_a_miss(known, plan, monkeypatch):
    monkeypatch.setattr(runner, '_work', fail)
    (result,) = evaluate(known[:1], plan, 1)
    assert result.reason.startswith('It could not be scored (AttributeError')


def test_a_potential_that_cannot_be_used_ends_the_evaluation(known, plan):
    broken = dataclasses.replace(plan, potential=PotentialFiles('broken', 'chgnet', {'bad': b''}))
    with pytest.raises(PotentialError):
        evaluate(known, broken, 1)


def test_what_cannot_be_evaluated(known, plan):
    with pytest.raises(DatasetError, match='no crystal'):
        evaluate((), plan, 1)
    with pytest.raises(SettingsError, match='processes is 0'):
        evaluate(known, plan, 0)
