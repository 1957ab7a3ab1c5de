"""Tests of the comparison of a prediction with what DFT makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.refinement import Refined, order_agreement, rank_refined, symmetric_primitive


def rock_salt(a=5.6):
    return Structure.from_spacegroup(225, Lattice.cubic(a), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])


def caesium_chloride(a=3.4):
    return Structure(Lattice.cubic(a), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])


def test_places_by_energy_per_atom():
    predicted = {'a': caesium_chloride(), 'b': rock_salt(5.6)}
    refined = {'a': Refined(caesium_chloride(), -6.0, 0.01), 'b': Refined(rock_salt(5.7), -28.0)}
    first, second = rank_refined(predicted, refined)
    assert (first.rank, first.label, first.energy_per_atom, first.relative_energy) == (1, 'b', -3.5, 0.0)
    assert (second.rank, second.label, second.energy_per_atom, second.relative_energy) == (2, 'a', -3.0, 0.5)
    assert (first.spacegroup, second.spacegroup) == (225, 221)
    assert (first.max_force, second.max_force) == (None, 0.01)
    assert first.volume_per_atom == pytest.approx(5.7**3 / 8)
    assert first.volume_change == pytest.approx((5.7 / 5.6) ** 3 - 1)
    assert first.rms == pytest.approx(0, abs=1e-9)


def test_a_structure_that_has_become_another_one():
    predicted = {'a': rock_salt(), 'b': caesium_chloride()}
    refined = {'a': Refined(rock_salt(), -24.0), 'b': Refined(rock_salt().get_primitive_structure(), -5.998)}
    first, second = rank_refined(predicted, refined)
    assert (first.same_as, second.same_as) == (None, 'a')
    assert second.rms is None  # it is no longer what was predicted


def test_what_failed_has_no_place():
    assert rank_refined({'a': rock_salt()}, {}) == ()


@pytest.mark.parametrize(
    ('before', 'after', 'agreement'),
    [('abc', 'abc', 1.0), ('abc', 'cba', -1.0), ('abc', 'acb', 1 / 3), ('abcd', 'ca', -1.0), ('ab', 'a', None)],
)
def test_agreement_of_two_orders(before, after, agreement):
    found = order_agreement(list(before), list(after))
    assert found == (None if agreement is None else pytest.approx(agreement))


@given(st.permutations(range(6)))
def test_agreement_counts_pairs(order):
    pairs = [(first, second) for second in range(6) for first in range(second)]
    kept = sum(order.index(first) < order.index(second) for first, second in pairs)
    assert order_agreement([*'012345'], [str(place) for place in order]) == pytest.approx(2 * kept / len(pairs) - 1)


@pytest.mark.parametrize('size', [(1, 1, 1), (2, 1, 1)])
def test_the_primitive_cell_has_exact_symmetry(size):
    import spglib

    noisy = rock_salt() * size
    noisy.perturb(0.004)
    reduced = symmetric_primitive(noisy, 0.02)
    assert len(reduced) == 2
    assert reduced.volume == pytest.approx(noisy.volume / len(noisy) * 2)
    cell = (reduced.lattice.matrix, reduced.frac_coords, [site.specie.Z for site in reduced])
    assert spglib.get_symmetry_dataset(cell, symprec=1e-6).number == 225


def test_a_distortion_beyond_the_tolerance_stays():
    distorted = rock_salt()
    distorted.translate_sites([0], [0.02, 0, 0])
    assert len(symmetric_primitive(distorted, 0.02)) == 8
    assert len(symmetric_primitive(distorted, 0.5)) == 2


def test_atoms_of_the_primitive_cell_keep_their_neighbours():
    reduced = symmetric_primitive(rock_salt(), 0.02)
    assert reduced.composition.reduced_formula == 'NaCl'
    assert np.isclose(reduced.get_distance(0, 1), 2.8)
