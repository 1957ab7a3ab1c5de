"""What known crystals say about the distances of two elements."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.features import MAX_Z, supported_elements
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
from aiida_alphacrystal.engine.reconstruct.matched import Likelihoods
from aiida_alphacrystal.engine.reconstruct.pair_statistics import (
    _GRID_STEP,
    PairPrior,
    PairStatistics,
    _count_found,
    _count_random,
    _shares_within,
)

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def shipped():
    """Return what the library of the package says."""
    return load_library().pair_statistics


def test_bonds_are_likely_and_close_contacts_of_anions_are_not(shipped):
    bond, gap = shipped.log_odds('Ti', 'O', np.array([1.95, 2.7]))
    assert bond > 1.0
    assert gap < -2.0
    anions = shipped.log_odds('O', 'O', np.array([1.0, 2.0, 2.8]))
    assert anions[0] < -5.0
    assert anions[1] < -2.0 < 0.0 < anions[2]


def test_order_of_the_elements_does_not_matter_and_nothing_is_known_far_away(shipped):
    distances = np.linspace(1.0, 9.0, 33)
    assert shipped.log_odds('Ti', 'O', distances).tolist() == shipped.log_odds('O', 'Ti', distances).tolist()
    assert shipped.log_odds('Na', 'Cl', np.array([6.8, 20.0])).tolist() == [0.0, 0.0]


def test_elements_that_no_compound_holds_together_lean_on_alike_ones(shipped):
    """No known compound holds argon beside xenon; they are spared close contacts all the same."""
    assert _count_found(load_library())[18 * MAX_Z + 54].sum() == 0.0
    near, far = shipped.log_odds('Ar', 'Xe', np.array([0.5, 5.0]))
    assert near < -3.0
    assert abs(far) < 1.0


def test_every_pair_is_counted_once(library, crystals):
    """Short distances only: those beyond the bins are not counted."""
    found = _count_found(library)
    pairs = sum(
        int((distances[np.triu_indices(len(distances), 1)] < 4.0).sum())
        for distances in (minimum_image_distances(crystal.lattice, crystal.frac_coords) for crystal in crystals)
    )
    assert found.sum() == pairs == sum(crystal.natoms * (crystal.natoms - 1) // 2 for crystal in crystals)


def test_random_places_fill_a_sphere_evenly_as_long_as_it_fits_into_the_cell(library):
    shares = _shares_within(library)
    for radius in (0.2, 0.3, 0.4, 0.5):
        assert shares[round(radius / _GRID_STEP)] == pytest.approx(4.0 / 3.0 * np.pi * radius**3, abs=0.01)
    assert shares[-1] == 1.0


def test_random_pairs_are_those_of_the_crystals(library):
    random = _count_random(library)
    pairs = _count_found(library).sum(axis=1)
    assert (random >= 0.0).all()
    assert ((random.sum(axis=1) > 0.0) == (pairs > 0.0)).all()
    assert (random.sum(axis=1) <= pairs + 1e-9).all()  # places closer than any bond are not counted


def test_one_crystal_says_little():
    library = load_library()
    fields = ('member_prototypes', 'member_elements', 'member_volumes', 'member_hulls')
    one = dataclasses.replace(library, **{name: getattr(library, name)[:1] for name in fields})
    symbols = sorted(supported_elements())
    assert np.abs(PairStatistics(one).log_odds(symbols[3], symbols[7], np.linspace(0.5, 8.0, 76))).max() < 1.0


def test_a_prior_is_added_to_every_pair(rutile, certain, shipped):
    prediction = certain(rutile)
    prior = PairPrior(shipped, 0.7)
    distances = minimum_image_distances(rutile.lattice.matrix, rutile.frac_coords)
    first, second = np.triu_indices(len(rutile), 1)
    row = torch.tensor(distances[first, second], dtype=torch.float32)[None]
    values = [
        float(DistanceLikelihood(prediction, 0.1, CPU, added).value(row, 2.959, torch.ones(1), matched=True)[0])
        for added in (None, prior)
    ]
    species = [site.specie.symbol for site in rutile]
    expected = 0.7 * sum(
        float(shipped.log_odds(species[one], species[other], distances[one, other]))
        for one, other in itertools.combinations(range(len(species)), 2)
    )
    assert prior.sum(distances, species) == pytest.approx(expected, abs=1e-9)
    assert values[1] - values[0] == pytest.approx(expected / (15 + 6), abs=2e-3)
    assert Likelihoods.of(prediction, CPU, prior).prior_of(distances) == pytest.approx(expected, abs=1e-9)
    assert Likelihoods.of(prediction, CPU).prior_of(distances) == 0.0
