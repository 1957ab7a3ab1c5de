"""Matching the atoms of a crystal with the rows of a distance matrix."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.distances import minimum_image_distances

LATTICE = [[5.1, 0, 0], [0.7, 6.3, 0], [0.2, 0.9, 7.4]]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), first=st.integers(1, 5), second=st.integers(1, 5))
def test_a_shuffled_crystal_is_put_back_in_order(seed, first, second):
    rng = np.random.default_rng(seed)
    species = ('Na',) * first + ('Cl',) * second
    coordinates = rng.random((first + second, 3))
    shuffle = np.concatenate([rng.permutation(first), first + rng.permutation(second)])
    target = minimum_image_distances(LATTICE, coordinates)
    order = match_atoms(minimum_image_distances(LATTICE, coordinates[shuffle]), target, species)
    assert np.allclose(target[np.ix_(shuffle[order], shuffle[order])], target, atol=1e-9)


def test_elements_are_never_mixed():
    rng = np.random.default_rng(1)
    species = ('Sr', 'Ti', 'O', 'O', 'O')
    order = match_atoms(rng.random((5, 5)) * 9, rng.random((5, 5)) * 9, species)
    assert [species[atom] for atom in order] == list(species)
    assert sorted(order.tolist()) == list(range(5))
