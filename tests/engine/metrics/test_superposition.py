"""Tests of laying one crystal onto another."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics.superposition import superpose

NAMES = ('rock salt', 'rutile', 'wurtzite', 'quartz', 'triclinic')


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_another_description_of_a_crystal_lies_on_it(made, descriptions, name, data):
    truth = made[name]
    other = data.draw(descriptions(truth))
    assert superpose(other, truth).rms < 1e-5
    assert superpose(truth, other).rms < 1e-5


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_distance_belongs_to_the_crystals(made, descriptions, data):
    truth = made['triclinic']
    moved = truth.copy().perturb(0.2, seed=3)
    distance = superpose(moved, truth).rms
    assert 0.02 < distance < 0.25
    assert superpose(data.draw(descriptions(moved)), truth).rms == pytest.approx(distance, abs=1e-5)


def test_two_atoms_are_as_far_apart_as_their_nearest_distances_differ(made):
    """Two atoms can only be laid on the line between two others: each misses by half of the difference."""
    salt, chloride = made['rock salt'], made['caesium chloride']
    difference = 5.64 / 2 - 3.4 * math.sqrt(3) / 2
    assert superpose(chloride, salt).rms == pytest.approx(abs(difference) / 2, rel=1e-4)


def test_by_hand():
    """One of four atoms in a square moves out of its plane by d; the best plane tilts and is left d / 4 from each."""
    corners = [[0.4, 0.4, 0.5], [0.6, 0.6, 0.5], [0.4, 0.6, 0.5], [0.6, 0.4, 0.5]]
    square = Structure(Lattice.cubic(20), ['Li', 'Na', 'K', 'Rb'], corners)
    other = square.copy()
    other.translate_sites([0], [0, 0, 0.2], frac_coords=False)
    assert superpose(other, square).rms == pytest.approx(0.05, rel=1e-2)


def test_every_atom_lies_on_another_one_of_its_element(made):
    truth = made['quartz']
    found = superpose(truth.copy().perturb(0.4, seed=1), truth)
    assert found.truth.shape == found.predicted.shape == (9, 3)
    gaps = np.linalg.norm(found.predicted[:, None] - found.predicted, axis=-1)[np.triu_indices(9, 1)]
    assert gaps.min() > 0.5
    assert found.rms == pytest.approx(np.sqrt(((found.truth - found.predicted) ** 2).sum() / 9))
