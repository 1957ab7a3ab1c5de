"""Stage 1: the table of elements and the feature matrix."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula
from aiida_alphacrystal.engine.errors import TooManyAtomsError, UnsupportedElementError
from aiida_alphacrystal.engine.features import (
    ELEMENT_COLUMNS,
    element_features,
    element_table,
    featurize,
    site_features,
    supported_elements,
)

#: The 88 elements of the training crystals.
# fmt: off
TRAINING_ELEMENTS = [
    'H', 'He', 'Li', 'Be', 'B', 'C', 'N', 'O', 'F', 'Na', 'Mg', 'Al', 'Si', 'P', 'S', 'Cl', 'Ar', 'K', 'Ca', 'Sc',
    'Ti', 'V', 'Cr', 'Mn', 'Fe', 'Co', 'Ni', 'Cu', 'Zn', 'Ga', 'Ge', 'As', 'Se', 'Br', 'Kr', 'Rb', 'Sr', 'Y', 'Zr',
    'Nb', 'Mo', 'Tc', 'Ru', 'Rh', 'Pd', 'Ag', 'Cd', 'In', 'Sn', 'Sb', 'Te', 'I', 'Xe', 'Cs', 'Ba', 'La', 'Ce',
    'Pr', 'Nd', 'Pm', 'Sm', 'Eu', 'Gd', 'Tb', 'Dy', 'Ho', 'Er', 'Tm', 'Yb', 'Lu', 'Hf', 'Ta', 'W', 'Re', 'Os',
    'Ir', 'Pt', 'Au', 'Hg', 'Tl', 'Pb', 'Bi', 'Ac', 'Th', 'Pa', 'U', 'Np', 'Pu',
]
# fmt: on

OXYGEN = [99, 2, 13.6181, 63, 249.2, 5.3, 1.26, 16, 2, 3.44, 8]
STRONTIUM = [8, 0, 5.6949, 185, 164, 197.2, 1.32, 2, 5, 0.95, 38]
CERIUM = [15, 2, 5.5386, 163, 420.1, 205, 1.08, 3, 6, 1.12, 58]


@pytest.mark.parametrize(('symbol', 'values'), [('O', OXYGEN), ('Sr', STRONTIUM), ('Ce', CERIUM)])
def test_known_elements(symbol, values):
    np.testing.assert_array_equal(element_table()[symbol], values)


def test_every_training_element_has_eleven_finite_descriptors():
    table = element_table()
    assert len(TRAINING_ELEMENTS) == 88
    assert supported_elements() >= set(TRAINING_ELEMENTS)
    assert len(ELEMENT_COLUMNS) == 11
    for symbol, row in table.items():
        assert row.shape == (11,), symbol
        assert np.isfinite(row).all(), symbol


def test_atomic_numbers_tell_all_elements_apart():
    numbers = [row[ELEMENT_COLUMNS.index('atomic_number')] for row in element_table().values()]
    assert len(set(numbers)) == len(numbers)


def test_rows_follow_the_species_and_the_rest_is_zero():
    formula = parse_formula('SrTiO3')
    features = featurize(formula, formula_units=2, max_sites=12)
    assert features.shape == (12, 11)
    np.testing.assert_array_equal(features[:2], [STRONTIUM, STRONTIUM])
    np.testing.assert_array_equal(features[4:10], [OXYGEN] * 6)
    np.testing.assert_array_equal(features[10:], np.zeros((2, 11)))


def test_featurize_is_element_features_then_site_features():
    formula = parse_formula('Al4O6')
    rows = element_features(formula)
    assert rows.shape == (2, 11)
    np.testing.assert_array_equal(site_features(rows, formula, 2, 20), featurize(formula, 2))


def test_cells_above_the_limit_are_refused():
    with pytest.raises(TooManyAtomsError, match='SrTiO3 holds 5 atoms, more than the limit of 4'):
        featurize(parse_formula('SrTiO3'), formula_units=1, max_sites=4)


def test_an_element_without_descriptors_is_refused():
    with pytest.raises(UnsupportedElementError, match='element Po of'):
        featurize(formula_from_counts({'Po': 1, 'O': 2}), formula_units=1)


def test_the_table_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match='read-only'):
        element_table()['O'][0] = 0.0
    element_table().clear()
    assert 'O' in element_table()
