"""The command that finds predictions."""

from __future__ import annotations

import csv
import datetime
import io
import json

import pytest

from aiida_alphacrystal.query import FoundPrediction
from aiida_alphacrystal.report.tables import print_found

CONDITIONS = [
    (('--element', 'Na'), True),
    (('-e', 'Na', '-e', 'Cl'), True),
    (('-e', 'O'), False),
    (('--system', 'Cl-Na'), True),
    (('--system', 'Na-Cl-O'), False),
    (('--formula', 'ClNa'), True),
    (('--formula', 'NaCl2'), False),
    (('--space-group', 225), True),
    (('--space-group', 2), False),
    (('--space-group', 225, '--any-rank'), True),
    (('--max-energy', -1), True),
    (('--max-energy', -9), False),
    (('--min-energy', -9, '--max-energy', 0), True),
    (('--max-above-hull', 0.0), True),
    (('--max-above-hull', 0.1, '-e', 'O'), False),
    (('--since', '2000-01-01', '--until', '2999-01-01T12:00'), True),
    (('--until', '2000-01-01'), False),
    (('--potential', 'chgnet'), True),
    (('--potential', 'M3GNet'), False),
]


def pks(completed):
    assert completed.returncode == 0, completed.stderr
    return [row['pk'] for row in json.loads(completed.stdout)['predictions']]


@pytest.mark.parametrize(('conditions', 'there'), CONDITIONS, ids=str)
def test_conditions(used_cli, prediction, conditions, there):
    found = pks(used_cli('list', *conditions, '--format', 'json'))
    assert (prediction.result['pk'] in found) is there


def test_newest_first(used_cli, prediction):
    found = pks(used_cli('list', '--format', 'json'))
    assert found == sorted(found, reverse=True)
    assert pks(used_cli('list', '--limit', 1, '--format', 'json')) == found[:1]


def test_row_is_the_best_structure(used_cli, prediction):
    rows = json.loads(used_cli('list', '--format', 'json').stdout)['predictions']
    row = next(row for row in rows if row['pk'] == prediction.result['pk'])
    best = prediction.result['candidates'][0]
    assert row['uuid'] == prediction.result['uuid']
    for key in ('spacegroup', 'spacegroup_symbol', 'formation_energy_per_atom', 'volume_per_atom', 'source'):
        assert row[key] == best[key]
    assert (row['formula'], row['chemical_system'], row['potential']) == ('NaCl', 'Cl-Na', 'chgnet')


def test_table_and_csv(used_cli, prediction):
    table = used_cli('list', '--formula', 'NaCl').stdout
    assert f' {prediction.result["pk"]} ' in table
    assert 'aiida-alphacrystal provenance NODE' in table
    rows = list(csv.DictReader(io.StringIO(used_cli('list', '--formula', 'NaCl', '--format', 'csv').stdout)))
    assert str(prediction.result['pk']) in {row['pk'] for row in rows}


def test_energy_above_hull(used_cli, prediction):
    row = json.loads(used_cli('list', '--formula', 'NaCl', '--max-above-hull', 0, '--format', 'json').stdout)
    assert {one['energy_above_hull'] for one in row['predictions']} == {0.0}
    assert 'above hull' in used_cli('list', '--formula', 'NaCl', '--max-above-hull', 0).stdout
    row = json.loads(used_cli('list', '--formula', 'NaCl', '--format', 'json').stdout)
    assert {one['energy_above_hull'] for one in row['predictions']} == {None}


def test_long_tables_are_cut(capsys):
    row = FoundPrediction(
        7, 'u', datetime.datetime.now(datetime.UTC), 'NaCl', 'Cl-Na', 2, 225, 'Fm-3m', -2.0, 23.0, 't', 'p'
    )
    print_found([row] * 5, 2)
    printed = capsys.readouterr().out
    assert printed.count('Fm-3m (225)') == 2
    assert '3 more are not shown' in printed
    print_found([row] * 5)
    assert capsys.readouterr().out.count('Fm-3m (225)') == 5


def test_nothing_found(used_cli, prediction):
    assert used_cli('list', '-e', 'Xe').stdout == 'No prediction meets these conditions.\n'
    assert used_cli('list', '-e', 'Xe', '--format', 'csv').stdout.startswith('pk,uuid,made,formula,')
    assert pks(used_cli('list', '-e', 'Xe', '--format', 'json')) == []


@pytest.mark.parametrize(
    ('conditions', 'sentence'),
    [
        (('-e', 'Xx'), "'Xx' is not a chemical element"),
        (('--formula', 'nacl'), 'No element begins with the lower-case'),
        (('--system', 'Na-'), 'is not a chemical element'),
        (('--since', 'yesterday'), "'yesterday' is no date"),
        (('--group', 'nobody'), "There is no group 'nobody'"),
        (('--any-rank',), 'give --space-group as well'),
        (('--max-above-hull', -1), '-1.0 is not in the range x>=0'),
        (('--space-group', 231), 'is not a whole number from 1 to 230'),
    ],
)
def test_bad_conditions(used_cli, prediction, conditions, sentence):
    completed = used_cli('list', *conditions)
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert sentence in completed.stderr
    assert completed.stderr.count('\n') <= 1 or 'Usage' in completed.stderr


def test_without_a_profile(cli):
    completed = cli('list')
    assert completed.returncode == 2
    assert 'There is no AiiDA profile yet' in completed.stderr
