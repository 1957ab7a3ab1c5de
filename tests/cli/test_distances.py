"""The command that predicts distances, and the one that scores them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure


@pytest.fixture(scope='module')
def rock_salt(tmp_path_factory):
    path = tmp_path_factory.mktemp('cif') / 'rock salt.cif'
    Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]).to(filename=path)
    return path


def test_json_beside_a_structure(cli, rock_salt, tmp_path):
    plot = tmp_path / 'distances.svg'
    options = ('--structure', rock_salt, '--plot', plot, '--format', 'json')
    completed = cli('distances', 'NaCl', *options)
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == f'Wrote {plot}.\n'
    facts = json.loads(completed.stdout)
    assert facts['formula'] == 'NaCl'
    assert facts['atoms'] == ['Na1', 'Cl1']
    np.testing.assert_allclose(facts['true'], [[3.988, 2.82], [2.82, 3.988]], atol=1e-3)
    np.testing.assert_allclose(facts['distances'], facts['true'], atol=0.08)
    assert facts['rms'] == pytest.approx(abs(facts['distances'][0][1] - 2.82), abs=1e-3)
    assert (np.array(facts['lower']) < facts['median']).all()
    assert (np.array(facts['median']) < facts['upper']).all()
    assert 'prototype' in facts['template']
    drawn = plot.read_text(encoding='utf-8')
    for text in ('predicted', 'true: rock salt.cif', 'width of the 90 % interval', 'NaCl: distances between atoms'):
        assert text in drawn


def test_table(cli):
    completed = cli('distances', 'SrTiO3', '--formula-units', 1)
    assert completed.returncode == 0, completed.stderr
    lines = completed.stdout.splitlines()
    assert lines[0].strip() == 'SrTiO3: distances between atoms (Å)'
    assert max(map(len, lines)) <= 100
    assert sum('│ O' in line for line in lines) == 3
    assert any(line.startswith('distances ') and 'prototype' in line for line in lines)
    alone = cli('distances', 'SrTiO3', '--formula-units', 1, '--no-templates')
    assert 'expected values' in alone.stdout


def test_the_number_of_formula_units(cli):
    facts = json.loads(cli('distances', 'Al4O6', '--format', 'json').stdout)
    assert len(facts['distances']) == 10
    assert (facts['true'], facts['rms']) == (None, None)
    predicted = json.loads(cli('distances', 'Al2O3', '--format', 'json').stdout)
    assert len(predicted['atoms']) % 5 == 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['Xx'], "'Xx'"),
        (['NaCl', '--structure', 'nothing.cif'], 'does not exist'),
        (['KBr', '--structure', '{rock_salt}'], 'holds NaCl, not KBr: give a crystal of the formula'),
        (['NaCl', '--structure', '{rock_salt}', '--formula-units', '2'], '2 by --formula-units, 1 by --structure'),
        (['Al4O6', '--formula-units', '1'], '2 by the formula, 1 by --formula-units'),
        (['Al2O3', '--formula-units', '5'], 'would hold 25 atoms, more than 20'),
        (['NaCl', '--plot', 'drawing.txt'], '.txt'),
        (['NaCl', '--plot', '/nowhere/drawing.png'], "There is no directory '/nowhere' for the picture"),
    ],
)
def test_wrong_input_is_one_sentence(cli, rock_salt, arguments, message):
    completed = cli('distances', *(argument.format(rock_salt=rock_salt) for argument in arguments))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1


def test_scores(cli, crystals_file):
    options = ('--data', crystals_file, '--limit', 8, '--jobs', 1)
    completed = cli('models', 'evaluate', 'distances', *options, '--json')
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == '1/2 Predicting distances\n2/2 Asking what we are compared with\n'
    scores = json.loads(completed.stdout)
    wanted = {'rmse_pooled', 'rmse_mean', 'rmse_median', 'under_0.1', 'under_0.3'}
    for name in ('ours', 'reference', 'nearest_template', 'chance'):
        assert wanted <= set(scores[name])
    assert {'n', 'coverage_50', 'coverage_90', 'seconds_per_1000'} <= set(scores)
    assert wanted <= set(scores['file_order']['ours'])
    table = cli('models', 'evaluate', 'distances', *options)
    lines = table.stdout.splitlines()
    assert lines[0].startswith('8 crystals of crystals.jsonl: root mean square errors of distances (Å)')
    assert max(map(len, lines)) <= 100
    assert any('│ network of the paper' in line for line in lines)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--data', '{crystals}', '--reference', '{crystals}'], 'not a whole safetensors file'),
        (['--data', '{crystals}', '--distances', '{crystals}'], 'not a whole safetensors file'),
        (['--data', '{crystals}', '--max-atoms', '1'], 'from 2 to 20'),
    ],
)
def test_scores_of_what_cannot_be_used(cli, crystals_file, arguments, message):
    completed = cli('models', 'evaluate', 'distances', *(text.format(crystals=crystals_file) for text in arguments))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1
