"""Tests of the hypotheses about cells."""

import pytest

from aiida_alphacrystal.engine.cells import load_cell_model, predict_cells
from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.settings import CellSettings
from aiida_alphacrystal.engine.symmetry import crystal_system


@pytest.fixture(scope='module')
def model():
    return load_cell_model()


@pytest.mark.parametrize('voting', [True, False])
def test_perovskite_oxide(model, voters, voting):
    templates = voters if voting else None
    hypotheses = predict_cells(model, parse_formula('SrTiO3'), CellSettings(max_hypotheses=8), 20, templates)
    assert len(hypotheses) == 8
    cubic = next(cell for cell in hypotheses if cell.spacegroup == 221)
    assert cubic.formula_units == 1
    assert cubic.lattice[:3] == pytest.approx((3.9, 3.9, 3.9), abs=0.25)
    assert cubic.lattice[3:] == pytest.approx((90, 90, 90))
    assert 0 < cubic.volume_uncertainty < 0.5


def test_known_crystals_vote_only_where_they_may(model, voters):
    formula = parse_formula('SrTiO3')
    alone = predict_cells(model, formula, CellSettings(), 20)
    assert predict_cells(model, formula, CellSettings(votes=False), 20, voters) == alone
    assert predict_cells(model, formula, CellSettings(), 20, voters) != alone


def test_probabilities_fall_and_add_up(model, voters):
    hypotheses = predict_cells(model, parse_formula('LiFeAs'), CellSettings(max_hypotheses=200), 20, voters)
    probabilities = [cell.probability for cell in hypotheses]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.99 < sum(probabilities) <= 1 + 1e-9
    assert len({(cell.spacegroup, cell.formula_units) for cell in hypotheses}) == len(hypotheses)


def test_size_of_the_cell_is_respected(model, voters):
    for cell in predict_cells(model, parse_formula('NaCl'), CellSettings(max_hypotheses=200), 8, voters):
        assert cell.formula_units <= 4
    fixed = formula_from_counts({'Na': 3, 'Cl': 3})
    assert {cell.formula_units for cell in predict_cells(model, fixed, CellSettings(), 20, voters)} == {3}


def test_a_cell_that_no_known_crystal_has_keeps_the_space_groups(model, voters):
    odd = formula_from_counts({'Na': 29, 'Cl': 29}, max_atoms=60)
    hypotheses = predict_cells(model, odd, CellSettings(), 60, voters)
    assert {cell.formula_units for cell in hypotheses} == {29}
    assert sum(cell.probability for cell in hypotheses) <= 1 + 1e-9


def test_the_same_answer_twice(model, voters):
    settings = CellSettings()
    first = predict_cells(model, parse_formula('Al2O3'), settings, 20, voters)
    assert first == predict_cells(load_cell_model(), parse_formula('Al2O3'), settings, 20, voters)


def test_what_the_user_knows_is_kept(model, voters):
    formula = parse_formula('SrTiO3')
    pinned = predict_cells(model, formula, CellSettings(spacegroup=140), 20, voters)
    assert {cell.spacegroup for cell in pinned} == {140}
    cubic = predict_cells(model, formula, CellSettings(max_hypotheses=200, crystal_system='cubic'), 20, voters)
    assert {crystal_system(cell.spacegroup) for cell in cubic} == {'cubic'}
    assert sum(cell.probability for cell in cubic) == pytest.approx(1, abs=1e-6)
    lattice = (5.5, 5.5, 7.8, 90.0, 90.0, 90.0)
    given = predict_cells(model, formula, CellSettings(max_hypotheses=200, lattice=lattice), 20, voters)
    assert {cell.lattice for cell in given} == {lattice}
    systems = {crystal_system(cell.spacegroup) for cell in given}
    assert 'tetragonal' in systems
    assert not systems & {'cubic', 'hexagonal', 'trigonal'}


def test_a_space_group_that_no_known_crystal_has_is_taken_from_the_user(model, voters):
    known = set(model.spacegroups.tolist())
    rare = next(number for number in range(1, 231) if number not in known)
    cells = predict_cells(model, parse_formula('NaCl'), CellSettings(spacegroup=rare), 20, voters)
    assert {cell.spacegroup for cell in cells} == {rare}
    assert sum(cell.probability for cell in cells) == pytest.approx(1, abs=1e-3)  # not all sizes are kept


def test_what_cannot_be_together_is_refused(model, voters):
    for settings in (
        CellSettings(spacegroup=225, crystal_system='hexagonal'),
        CellSettings(spacegroup=225, lattice=(4.0, 5.0, 6.0, 90.0, 90.0, 90.0)),
    ):
        with pytest.raises(SettingsError, match='No cell has the space group'):
            predict_cells(model, parse_formula('NaCl'), settings, 20, voters)
