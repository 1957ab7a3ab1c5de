"""Tests of the node that holds predicted distances."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import StoringNotAllowed
from aiida.plugins import DataFactory

from aiida_alphacrystal.data import DistancesData
from aiida_alphacrystal.engine.distances import DistancePrediction


@pytest.fixture
def prediction():
    probabilities = np.zeros((2, 2, 3))
    probabilities[..., 1] = 1.0
    return DistancePrediction(('Na', 'Cl'), np.array([0.0, 1.0, 3.0, 5.0]), probabilities)


@pytest.fixture
def larger(prediction):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 4))
    return DistancePrediction(('Na', 'Na', 'Cl', 'Cl'), prediction.bin_edges, probabilities)


def test_entry_point():
    assert DataFactory('alphacrystal.distances') is DistancesData


def test_round_trip(aiida_profile, prediction):
    node = orm.load_node(DistancesData.from_predictions({1: prediction}, 1).store().pk)
    assert isinstance(node, DistancesData)
    again = node.to_prediction()
    assert again.species == prediction.species
    assert np.array_equal(again.probabilities, prediction.probabilities)
    assert np.array_equal(again.bin_edges, prediction.bin_edges)
    assert np.array_equal(node.distances, np.full((2, 2), 2.0))
    assert node.get_description() == 'distances in NaCl, 2 atoms'


def test_cells_of_several_sizes(aiida_profile, prediction, larger):
    node = orm.load_node(DistancesData.from_predictions({1: prediction, 2: larger}, 2).store().pk)
    assert node.all_formula_units == (2, 1)
    assert node.species == larger.species == node.to_prediction().species
    assert node.get_species(1) == prediction.species
    assert node.get_description() == 'distances in Na2Cl2, 4 atoms'
    assert node.get_description(1) == 'distances in NaCl, 2 atoms'
    assert np.array_equal(node.get_distances(1), prediction.expectation)
    assert np.array_equal(node.distances, larger.expectation)
    again = node.to_predictions()
    assert list(again) == [1, 2]
    assert np.array_equal(again[1].probabilities, prediction.probabilities)
    assert np.array_equal(again[2].probabilities, larger.probabilities)
    attributes = node.base.attributes.all
    assert (attributes['formula_units'], attributes['number_of_atoms'], attributes['number_of_bins']) == (2, 4, 3)
    assert (attributes['all_formula_units'], attributes['all_numbers_of_atoms']) == ([2, 1], [4, 2])
    with pytest.raises(KeyError, match='4'):
        node.to_prediction(4)


def test_cells_that_do_not_belong_together(aiida_profile, prediction, larger):
    with pytest.raises(ValueError, match='no distances for 3 formula units'):
        DistancesData.from_predictions({1: prediction}, 3)
    other = dataclasses.replace(larger, bin_edges=larger.bin_edges + 0.5)
    with pytest.raises(ValueError, match='share their bins'):
        DistancesData.from_predictions({1: prediction, 2: other}, 1)


def test_equal_content_has_an_equal_hash(aiida_profile, prediction):
    first, second = (DistancesData.from_predictions({1: prediction}, 1).store() for _ in range(2))
    assert first.base.caching.get_hash() == second.base.caching.get_hash()


@pytest.mark.parametrize(
    ('name', 'shape'), [('distances', (2, 3)), ('probabilities', (2, 2, 4)), ('probabilities_z2', (4, 4, 2))]
)
def test_arrays_that_do_not_fit_are_not_stored(aiida_profile, prediction, larger, name, shape):
    node = DistancesData.from_predictions({1: prediction, 2: larger}, 1)
    node.set_array(name, np.ones(shape))
    with pytest.raises(StoringNotAllowed):
        node.store()
