"""The command that places a prediction beside the convex hull."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope='module')
def hull(used_cli, prediction):
    completed = used_cli('hull', prediction.result['pk'], '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    assert 'Relaxing the known compounds' in completed.stderr
    return json.loads(completed.stdout)


def test_energies_above_the_hull(hull, prediction):
    assert (hull['formula'], hull['chemical_system']) == ('NaCl', 'Cl-Na')
    known = {row['formula']: row for row in hull['competing']}
    assert set(known) == {'NaCl', 'NaCl3', 'NaCl7'}
    assert (known['NaCl']['spacegroup'], known['NaCl']['reason']) == (225, None)
    of_the_known = known['NaCl']['formation_energy_per_atom']
    of_predictions = [energy for formula, energy in hull['predictions'] if formula == 'NaCl']
    assert hull['hull_energy_per_atom'] == pytest.approx(min([of_the_known, *of_predictions]), abs=1e-9)
    assert hull['phases'] == [['NaCl', pytest.approx(1.0)]]
    assert [row['pk'] for row in hull['structures']] == [row['pk'] for row in prediction.result['candidates']]
    for row in hull['structures']:
        above = row['formation_energy_per_atom'] - hull['hull_energy_per_atom']
        assert row['energy_above_hull'] == pytest.approx(above)
    rock_salt = next(row for row in hull['structures'] if row['spacegroup'] == 225)
    assert rock_salt['energy_above_hull'] == pytest.approx(0.0, abs=0.002)


def test_what_has_been_relaxed_is_taken_over(used_cli, hull, prediction):
    completed = used_cli('hull', prediction.result['pk'], '--no-predictions', '--format', 'json', '--top', 1)
    again = json.loads(completed.stdout)
    assert again['competing'] == hull['competing']
    assert again['competing_pk'] != hull['competing_pk']  # a copy that AiiDA has made, with its own provenance
    assert again['predictions'] == []
    first = {name: value for name, value in hull['structures'][0].items() if name != 'energy_above_hull'}
    above = first['formation_energy_per_atom'] - again['hull_energy_per_atom']
    assert again['structures'] == [{**first, 'energy_above_hull': pytest.approx(above, abs=1e-9)}]
    script = (
        'from aiida import load_profile, orm; load_profile()\n'
        f'print(orm.load_node({again["competing_pk"]}).creator.base.caching.is_created_from_cache)'
    )
    assert used_cli(script=script).stdout == 'True\n'


def test_table(used_cli, hull, prediction):
    completed = used_cli('hull', prediction.result['pk'])
    assert completed.returncode == 0, completed.stderr
    assert 'NaCl beside the convex hull of Cl-Na' in completed.stdout
    assert '100% NaCl, -2.0' in completed.stdout
    assert 'NaCl, NaCl3, NaCl7' in completed.stdout


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ((99999999,), "There is no node '99999999'"),
        (('STRUCTURE',), 'not a prediction of aiida-alphacrystal'),
        (('PK', '--top', 0), '0'),
        ((' ',), 'The identifier is empty'),
    ],
)
def test_wrong_input(used_cli, prediction, arguments, sentence):
    known = {'PK': prediction.result['pk'], 'STRUCTURE': prediction.result['candidates'][0]['pk']}
    completed = used_cli('hull', *[known.get(argument, argument) for argument in arguments])
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert sentence in ' '.join(completed.stderr.split())
    assert 'Traceback' not in completed.stderr
