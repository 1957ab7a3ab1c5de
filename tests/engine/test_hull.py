"""Tests of the energy above the convex hull."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.hull import energies_above_hull, hull_point

ENERGIES = st.floats(-3, 3, allow_nan=False)


def test_by_hand():
    compounds = [('NaCl', -2.0), ('Na2Cl', -1.0), ('NaCl3', -0.2), ('NaCl', -1.9), ('Na', 0.1), ('Na2', 0.0)]
    # Na2Cl is two thirds of NaCl and a third of Na, NaCl3 a half of NaCl and a half of Cl, by atoms
    expected = [0.0, 4 / 3 - 1, 1.0 - 0.2, 0.1, 0.1, 0.0]
    assert energies_above_hull(compounds) == pytest.approx(expected, abs=1e-12)


def test_what_competes_counts_and_is_not_returned():
    # SrTiO3 is two fifths of SrO and three fifths of TiO2, by atoms
    assert energies_above_hull([('SrTiO3', -3.0)]) == [0.0]
    above = energies_above_hull([('SrTiO3', -3.0)], [('SrO', -3.0), ('O4Ti2', -3.5), ('NaCl', -9.0)])
    assert above == pytest.approx([0.4 * 3.0 + 0.6 * 3.5 - 3.0])


def test_a_multiple_is_the_same_compound():
    assert energies_above_hull([('Al4O6', -3.0)], [('Al2O3', -3.2)]) == pytest.approx([0.2])


def test_nothing():
    assert energies_above_hull([], [('NaCl', -2.0)]) == []


@given(st.tuples(*[ENERGIES] * 5))
def test_more_that_competes_never_brings_a_compound_down(energies):
    names = ('NaCl', 'Na2O', 'Cl2O', 'NaClO', 'NaClO4')
    compounds = list(zip(names, energies, strict=True))
    alone = [energies_above_hull([compound])[0] for compound in compounds]
    together = energies_above_hull(compounds)
    for one, (_, energy), all_of_them in zip(alone, compounds, together, strict=True):
        assert one == pytest.approx(max(0.0, energy), abs=1e-9)
        assert all_of_them >= one - 1e-9


def test_the_hull_at_a_composition():
    # SrTiO3 is two fifths of SrO and three fifths of TiO2, by atoms
    competing = [('SrO', -3.0), ('O4Ti2', -3.5), ('TiO2', -3.4), ('NaCl', -9.0)]
    point = hull_point('Sr2Ti2O6', competing)
    assert point.energy == pytest.approx(-0.4 * 3.0 - 0.6 * 3.5)
    assert [formula for formula, _ in point.phases] == ['TiO2', 'SrO']
    assert [share for _, share in point.phases] == pytest.approx([0.6, 0.4])
    point = hull_point('SrTiO3', [*competing, ('SrTiO3', -3.6)])
    assert (point.energy, point.phases) == (pytest.approx(-3.6), (('SrTiO3', pytest.approx(1.0)),))


def test_the_hull_of_the_elements_alone():
    point = hull_point('NaCl', [])
    assert point.energy == 0.0
    assert dict(point.phases) == {'Na': pytest.approx(0.5), 'Cl2': pytest.approx(0.5)}
    assert hull_point('Si2', []).phases == (('Si', pytest.approx(1.0)),)
