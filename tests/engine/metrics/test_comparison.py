"""Tests of the eight metrics."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics import ComparisonError, compare
from aiida_alphacrystal.engine.metrics.comparison import (
    distance_map_overlap,
    fingerprint_distance,
    ofm_distance,
    sinkhorn_distance,
)
from aiida_alphacrystal.engine.metrics.superposition import Superposition

ZERO = (
    'superpose_distance',
    'energy_distance',
    'sinkhorn_distance',
    'fingerprint_distance',
    'ofm_distance',
    'wyckoff_mse',
    'wyckoff_rmse',
)


def energy(structure):
    """Return something that depends on the crystal and not on its cell."""
    return structure.volume / len(structure)


@pytest.mark.parametrize('name', ['rock salt', 'rutile', 'wurtzite'])
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_another_description_of_a_crystal_is_the_crystal(made, descriptions, name, data):
    found = compare(data.draw(descriptions(made[name])), made[name], energy)
    assert found.match
    assert found.rms == pytest.approx(0, abs=1e-5)
    assert {key: getattr(found, key) for key in ZERO} == pytest.approx(dict.fromkeys(ZERO, 0.0), abs=1e-4)
    assert found.distance_map_overlap == 1
    assert found.reasons == {}


def test_what_has_no_value_says_why(made):
    found = compare(made['caesium chloride'], made['rock salt'])
    assert not found.match
    assert found.rms is found.energy_distance is found.wyckoff_mse is found.wyckoff_rmse is None
    assert set(found.reasons) == {'energy_distance', 'wyckoff_mse', 'wyckoff_rmse'}
    assert found.superpose_distance > 0
    assert found.fingerprint_distance > 1
    assert found.ofm_distance > 0.1


def test_the_energy_distance_is_a_difference(made):
    scaled = made['rock salt'].copy()
    scaled.scale_lattice(made['rock salt'].volume * 1.1)
    found = compare(scaled, made['rock salt'], energy)
    assert found.energy_distance == pytest.approx(0.1 * energy(made['rock salt']))


def test_crystals_that_cannot_be_compared(made):
    with pytest.raises(ComparisonError, match='NaCl cannot be compared with TiO2'):
        compare(made['rock salt'], made['rutile'])
    partly = Structure(Lattice.cubic(4), [{'Na': 0.5, 'K': 0.5}], [[0] * 3])
    with pytest.raises(ComparisonError, match='The predicted crystal has sites that are partly occupied'):
        compare(partly, made['rock salt'])


def test_carrying_costs_what_the_nearest_places_are_away():
    """Two far pairs, each 0.3 and 0.4 A apart: the plan is the identity and the costs add up, whatever the order."""
    truth = np.array([[0.0, 0, 0], [10, 0, 0]])
    predicted = np.array([[10, 0, 0.4], [0, 0.3, 0]])
    assert sinkhorn_distance(Superposition(truth, predicted)) == pytest.approx(0.7, rel=1e-6)
    assert sinkhorn_distance(Superposition(truth, truth)) == pytest.approx(0, abs=1e-9)


def test_the_plan_beats_pairing_in_order():
    """Atoms of a square shifted along itself: three stay and one goes all the way."""
    truth = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    predicted = truth + np.array([1, 0, 0])
    assert sinkhorn_distance(Superposition(truth, predicted)) == pytest.approx(3.0, abs=0.02)


def test_overlap_by_hand():
    """Three pairs of four atoms within 8 A of each other in one crystal, one of them apart in the other."""
    first = Structure(Lattice.cubic(40), ['H', 'He', 'Li'], [[0] * 3, [0.1, 0, 0], [0, 0.1, 0]])
    second = Structure(Lattice.cubic(40), ['H', 'He', 'Li'], [[0] * 3, [0.1, 0, 0], [0, 0.3, 0]])
    assert distance_map_overlap(first, second) == pytest.approx(2 * 1 / (3 + 1))
    assert distance_map_overlap(first, second, cutoff=1) == 1
    assert distance_map_overlap(second, second) == 1
    assert distance_map_overlap(first.make_supercell([2, 1, 1], in_place=False), second) is None


def test_fingerprints_do_not_depend_on_volume_and_tell_prototypes_apart(made):
    salt = made['rock salt']
    scaled = salt.copy()
    scaled.scale_lattice(salt.volume * 1.3)
    assert fingerprint_distance(scaled, salt) == pytest.approx(0, abs=1e-6)
    assert fingerprint_distance(made['caesium chloride'], salt) == pytest.approx(3.1, abs=0.2)


def test_the_orbital_field_matrix_sees_the_elements(made):
    other = made['rock salt'].copy()
    other.replace_species({'Cl': 'O'})
    assert ofm_distance(other, made['rock salt']) > 0.1
    assert math.isclose(ofm_distance(other, made['rock salt']), ofm_distance(made['rock salt'], other))
