"""Matching the atoms of a crystal with the rows of a distance matrix."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.atom_matching import match_atoms, match_many
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


def test_many_crystals_are_matched_as_well_as_one():
    rng = np.random.default_rng(7)
    species = ('Na',) * 3 + ('Cl',) * 4
    coordinates = rng.random((7, 3))
    target = minimum_image_distances(LATTICE, coordinates)
    shuffles = [np.concatenate([rng.permutation(3), 3 + rng.permutation(4)]) for _ in range(40)]
    matrices = np.array([minimum_image_distances(LATTICE, coordinates[shuffle]) for shuffle in shuffles])
    matrices[:, np.arange(7), np.arange(7)] = 0.0
    generator = torch.Generator().manual_seed(0)
    orders = match_many(torch.from_numpy(matrices), torch.from_numpy(target), species, generator).numpy()
    off_diagonal = ~np.eye(7, dtype=bool)
    solved = 0
    for order, shuffle in zip(orders, shuffles, strict=True):
        assert sorted(order[:3].tolist()) == [0, 1, 2]
        found = shuffle[order]
        solved += np.allclose(target[np.ix_(found, found)][off_diagonal], target[off_diagonal])
    assert solved >= 36


def test_a_known_order_is_kept_where_it_is_the_best():
    rng = np.random.default_rng(5)
    species = ('Na',) * 8 + ('Cl',) * 8
    target = minimum_image_distances(np.array(LATTICE) * 1.6, rng.random((16, 3)))
    np.fill_diagonal(target, 0.0)
    shuffles = np.array([np.concatenate([rng.permutation(8), 8 + rng.permutation(8)]) for _ in range(30)])
    matrices = torch.from_numpy(np.array([target[np.ix_(shuffle, shuffle)] for shuffle in shuffles]))
    known = torch.from_numpy(np.argsort(shuffles, axis=1))
    before = known.clone()
    generator = torch.Generator().manual_seed(0)
    orders = match_many(matrices, torch.from_numpy(target), species, generator, known)
    assert torch.equal(known, before)
    for order, shuffle in zip(orders.numpy(), shuffles, strict=True):
        assert np.allclose(target[np.ix_(shuffle[order], shuffle[order])], target)
