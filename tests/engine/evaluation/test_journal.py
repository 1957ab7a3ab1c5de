"""Tests of what an evaluation leaves on the disk."""

import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.evaluation import COLUMNS, EntryResult, Journal, JournalError

PLAN = {'sources': ['templates'], 'settings': {'relax': {'max_steps': 10}}, 'seed': 0}


def entry(index, **values):
    return EntryResult(index, f'entry-{index}', 'NaCl', 2, **values)


def test_results_are_there_after_they_were_added(tmp_path):
    with Journal(tmp_path / 'new' / 'run', PLAN) as journal:
        assert journal.results == []
        journal.add(entry(1, rank=2, rms=0.125, seconds=1.5))
        journal.add(entry(0, reason='No, "really" not.\nNever.'))
        with (tmp_path / 'new' / 'run' / 'entries.jsonl').open() as handle:
            assert len(handle.readlines()) == 2
    with Journal(tmp_path / 'new' / 'run', PLAN) as journal:
        assert journal.results == [
            entry(1, rank=2, rms=0.125, seconds=1.5),
            entry(0, reason='No, "really" not.\nNever.'),
        ]


def test_the_table_is_in_order_and_without_times(tmp_path):
    tables = []
    for name, order in (('one', (0, 1, 2)), ('other', (2, 0, 1))):
        with Journal(tmp_path / name, PLAN) as journal:
            for index in order:
                journal.add(entry(index, rank=index + 1, seconds=len(name), origin='a, "b"'))
            journal.finish({'n': 3})
        tables.append((tmp_path / name / 'entries.csv').read_bytes())
        assert json.loads((tmp_path / name / 'summary.json').read_text()) == {'n': 3}
    assert tables[0] == tables[1]
    rows = list(csv.DictReader(tables[0].decode().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [row['rank'] for row in rows] == ['1', '2', '3']
    assert rows[0]['origin'] == 'a, "b"'
    assert rows[0]['reason'] == ''
    assert 'seconds' not in rows[0]


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_line_that_was_not_written_to_its_end_is_cut_off(tmp_path_factory, cut):
    directory = tmp_path_factory.mktemp('run')
    with Journal(directory, PLAN) as journal:
        for index in range(3):
            journal.add(entry(index, origin='Ångström'))
    path = directory / 'entries.jsonl'
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    whole = content[: max(0, len(content) - cut)].count(b'\n')
    with Journal(directory, PLAN) as journal:
        assert [result.index for result in journal.results] == list(range(whole))
        for index in range(whole, 3):
            journal.add(entry(index, origin='Ångström'))
    assert path.read_bytes() == content


def test_an_evaluation_of_something_else_is_not_touched(tmp_path):
    with Journal(tmp_path, PLAN) as journal:
        journal.add(entry(0))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = {**PLAN, 'settings': {'relax': {'max_steps': 20}}}
    with pytest.raises(JournalError, match=r'settings\.relax\.max_steps: 10, not 20'):
        Journal(tmp_path, other)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with Journal(tmp_path, PLAN) as journal:
        assert len(journal.results) == 1


def test_two_evaluations_do_not_share_a_directory(tmp_path):
    with Journal(tmp_path, PLAN), pytest.raises(JournalError, match='Another evaluation is at work'):
        Journal(tmp_path, PLAN)
    with Journal(tmp_path, PLAN):
        pass


@pytest.mark.parametrize('line', ['nonsense', '{"index": 0}', '[]', '{"a": 1}'])
def test_a_damaged_line_is_named(tmp_path, line):
    with Journal(tmp_path, PLAN) as journal:
        journal.add(entry(0))
    with (tmp_path / 'entries.jsonl').open('a') as handle:
        handle.write(line + '\n')
    with pytest.raises(JournalError, match=r'entries.jsonl:2 is damaged'):
        Journal(tmp_path, PLAN)


def test_a_damaged_plan_is_named(tmp_path):
    (tmp_path / 'plan.json').write_text('{')
    with pytest.raises(JournalError, match=r'plan.json is no JSON'):
        Journal(tmp_path, PLAN)
