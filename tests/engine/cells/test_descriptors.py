"""Tests of the descriptors of compositions and lattices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.cells.descriptors import (
    COMPOSITION_SIZE,
    centring_factor,
    composition_vector,
    lattice_from_shape,
    shape_of_lattice,
)
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.errors import UnsupportedElementError


def test_composition_vector_depends_on_the_reduced_formula_only():
    vector = composition_vector(parse_formula('Al2O3'))
    assert vector.shape == (COMPOSITION_SIZE,)
    assert (vector == composition_vector(parse_formula('Al4O6'))).all()
    assert vector[-100:].sum() == pytest.approx(1.0)
    assert vector[-100 + 8] == pytest.approx(0.6)
    assert vector[10] == pytest.approx(0.4 * 13 + 0.6 * 8), 'the mean atomic number'


def test_an_element_without_descriptors_is_refused():
    with pytest.raises(UnsupportedElementError, match='Og'):
        composition_vector(parse_formula('OgO2'))


@pytest.mark.parametrize(
    ('spacegroup', 'factor'), [(1, 1), (5, 2), (38, 2), (146, 3), (167, 3), (194, 1), (225, 4), (229, 2)]
)
def test_centring(spacegroup, factor):
    assert centring_factor(spacegroup) == factor


LATTICES = {
    2: (4.1, 5.2, 6.3, 80.0, 95.0, 103.0),
    14: (4.1, 5.2, 6.3, 90.0, 107.0, 90.0),
    62: (4.1, 5.2, 6.3, 90.0, 90.0, 90.0),
    136: (4.6, 4.6, 2.96, 90.0, 90.0, 90.0),
    167: (4.76, 4.76, 12.99, 90.0, 90.0, 120.0),
    225: (5.64, 5.64, 5.64, 90.0, 90.0, 90.0),
}


@pytest.mark.parametrize(('spacegroup', 'lattice'), LATTICES.items())
def test_lattices_survive_a_round_trip(spacegroup, lattice):
    assert lattice_from_shape(shape_of_lattice(lattice, 12), spacegroup, 12) == pytest.approx(lattice)


@given(
    st.lists(st.floats(-0.9, 0.9), min_size=5, max_size=5),
    st.floats(1.5, 4.5),
    st.integers(1, 230),
    st.integers(1, 200),
)
def test_every_shape_gives_a_lattice_that_its_group_allows(rest, log_volume, spacegroup, atoms):
    a, b, c, alpha, beta, gamma = lattice_from_shape([log_volume, *rest], spacegroup, atoms)
    assert min(a, b, c) > 0
    assert np.isfinite([a, b, c]).all()
    if spacegroup >= 75:
        assert a == b
    if spacegroup >= 195:
        assert a == c
    if spacegroup >= 16:
        assert (alpha, beta) == pytest.approx((90, 90))
        assert gamma == pytest.approx(120 if 143 <= spacegroup <= 194 else 90)
    elif spacegroup >= 3:
        assert (alpha, gamma) == pytest.approx((90, 90))
