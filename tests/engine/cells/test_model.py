"""Tests of the shipped cell predictor."""

import pytest

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.cells import load_cell_model, predict_cells
from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.settings import CellSettings


@pytest.fixture(scope='module')
def model():
    return load_cell_model()


def test_perovskite_oxide(model):
    hypotheses = predict_cells(model, parse_formula('SrTiO3'), CellSettings(max_hypotheses=5), 20)
    assert len(hypotheses) == 5
    cubic = next(cell for cell in hypotheses if cell.spacegroup == 221)
    assert cubic.formula_units == 1
    assert cubic.lattice[:3] == pytest.approx((3.9, 3.9, 3.9), abs=0.25)
    assert cubic.lattice[3:] == pytest.approx((90, 90, 90))


def test_probabilities_fall_and_add_up(model):
    hypotheses = predict_cells(model, parse_formula('LiFeAs'), CellSettings(max_hypotheses=200), 20)
    probabilities = [cell.probability for cell in hypotheses]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.99 < sum(probabilities) <= 1 + 1e-9
    assert len({(cell.spacegroup, cell.formula_units) for cell in hypotheses}) == len(hypotheses)


def test_size_of_the_cell_is_respected(model):
    for cell in predict_cells(model, parse_formula('NaCl'), CellSettings(max_hypotheses=200), 8):
        assert cell.formula_units <= 4
    fixed = formula_from_counts({'Na': 3, 'Cl': 3})
    assert {cell.formula_units for cell in predict_cells(model, fixed, CellSettings(), 20)} == {3}


def test_a_cell_that_no_known_crystal_has_keeps_the_space_groups(model):
    odd = formula_from_counts({'Na': 29, 'Cl': 29}, max_atoms=60)
    hypotheses = predict_cells(model, odd, CellSettings(), 60)
    assert {cell.formula_units for cell in hypotheses} == {29}
    assert sum(cell.probability for cell in hypotheses) <= 1 + 1e-9


def test_the_same_answer_twice(model):
    settings = CellSettings()
    first = predict_cells(model, parse_formula('Al2O3'), settings, 20)
    assert first == predict_cells(load_cell_model(), parse_formula('Al2O3'), settings, 20)


def test_foreign_and_incomplete_weights_are_refused():
    content = checkpoint.pack('aiida-alphacrystal cells', 1, {}, {'network': {'classes': 3}})
    with pytest.raises(ModelError, match='does not fit the cell predictor'):
        load_cell_model(content)
    with pytest.raises(ModelError, match='does not have the format'):
        load_cell_model(checkpoint.read_shipped('templates.safetensors'))
