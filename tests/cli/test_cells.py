"""The command that predicts cells, and the one that scores them."""

from __future__ import annotations

import json

import pytest


def test_json(cli):
    completed = cli('cells', 'SrTiO3', '--format', 'json', '--top', 4)
    assert completed.returncode == 0, completed.stderr
    found = json.loads(completed.stdout)
    assert found['formula'] == 'SrTiO3'
    assert [cell['rank'] for cell in found['cells']] == [1, 2, 3, 4]
    probabilities = [cell['probability'] for cell in found['cells']]
    assert probabilities == sorted(probabilities, reverse=True)
    for cell in found['cells']:
        assert len(cell['lattice']) == 6
        assert len(cell['primitive_lattice']) == 3
        assert cell['number_of_atoms'] == 5 * cell['formula_units']
        assert 8 < cell['volume_per_atom'] < 20


def test_table_and_pins(cli):
    completed = cli('cells', 'LiFePO4', '--crystal-system', 'orthorhombic')
    assert completed.returncode == 0, completed.stderr
    assert 'LiFePO4: the most probable cells' in completed.stdout
    assert 'Cmcm (63)' in completed.stdout
    assert max(len(line) for line in completed.stdout.splitlines()) <= 100
    completed = cli('cells', 'SrTiO3', '--space-group', 140, '--no-templates', '--format', 'json')
    assert {cell['spacegroup'] for cell in json.loads(completed.stdout)['cells']} == {140}
    completed = cli('cells', 'NaCl', '--lattice', '5.6,5.6,5.6,90,90,90', '--format', 'json')
    assert {tuple(cell['lattice']) for cell in json.loads(completed.stdout)['cells']} == {(5.6, 5.6, 5.6, 90, 90, 90)}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['Xx'], "'Xx'"),
        (['NaCl', '--space-group', '231'], 'from 1 to 230'),
        (['NaCl', '--crystal-system', 'round'], 'round'),
        (['NaCl', '--lattice', '1,2,3'], 'is no lattice'),
        (['NaCl', '--lattice', '1,2,3,90,90,200'], 'cells.lattice'),
        (['NaCl', '--space-group', '225', '--crystal-system', 'hexagonal'], 'No cell has the space group'),
    ],
)
def test_wrong_input_is_one_sentence(cli, arguments, message):
    completed = cli('cells', *arguments)
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1


def test_scores(cli, crystals_file):
    completed = cli('models', 'evaluate', 'cells', '--data', crystals_file, '--limit', 6, '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == '1/1 Predicting cells\n'
    scores = json.loads(completed.stdout)
    assert scores['n'] == 6
    keys = ('spacegroup', 'crystal_system', 'volume_mare', 'z', 'ece', 'lattice_r2', 'seconds_per_1000')
    assert set(scores) >= {*keys, 'without_templates', 'nearest_template', 'chance'}
    completed = cli('models', 'evaluate', 'cells', '--data', crystals_file, '--limit', 6)
    assert '6 crystals of crystals.jsonl' in completed.stdout
    for text in ('ours', 'without templates', 'nearest templates', 'chance', 'R² cubic'):
        assert text in completed.stdout
