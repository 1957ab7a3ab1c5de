"""Tests of the scores of the cell predictor."""

import math

import pytest

from aiida_alphacrystal.engine.cells import load_cell_model
from aiida_alphacrystal.engine.cells.scoring import score_cells
from aiida_alphacrystal.engine.datasets import read_crystals


@pytest.fixture(scope='module')
def scores(crystals_file, library):
    return score_cells(load_cell_model(), read_crystals(crystals_file), library)


def test_textbook_crystals(scores):
    assert scores['n'] == 19
    assert set(scores['spacegroup']) == {'1', '5', '10'}
    assert scores['spacegroup']['10'] >= 0.9
    assert scores['spacegroup']['1'] <= scores['spacegroup']['5'] <= scores['spacegroup']['10']
    assert scores['crystal_system']['1'] >= scores['spacegroup']['1']
    assert scores['volume_mare'] < 0.1
    assert scores['z']['3'] >= 0.9
    assert 0 <= scores['ece'] <= 1
    assert scores['seconds_per_1000'] > 0


def test_only_cubic_crystals_have_lattices_to_explain(scores):
    assert scores['lattice_r2']['cubic']['a'] > 0.9
    assert scores['lattice_r2']['triclinic'] == {'a': None, 'b': None, 'c': None}
    assert set(scores['lattice_r2']['hexagonal']) == {'a', 'c'}


def test_the_controls_stand_beside(scores):
    for control in ('without_templates', 'nearest_template', 'chance'):
        assert set(scores[control]['spacegroup']) == {'1', '5', '10'}
    assert scores['chance']['spacegroup']['1'] < scores['spacegroup']['1']
    assert math.isfinite(scores['without_templates']['volume_mare'])
    assert scores['chance']['volume_mare'] > scores['volume_mare']
