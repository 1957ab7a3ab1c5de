"""Tests of the node that holds predicted distances."""

from __future__ import annotations

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


def test_entry_point():
    assert DataFactory('alphacrystal.distances') is DistancesData


def test_round_trip(aiida_profile, prediction):
    node = orm.load_node(DistancesData.from_prediction(prediction).store().pk)
    assert isinstance(node, DistancesData)
    again = node.to_prediction()
    assert again.species == prediction.species
    assert np.array_equal(again.probabilities, prediction.probabilities)
    assert np.array_equal(again.bin_edges, prediction.bin_edges)
    assert np.array_equal(node.distances, np.full((2, 2), 2.0))
    assert node.get_description() == 'distances in NaCl, 2 atoms'


def test_equal_content_has_an_equal_hash(aiida_profile, prediction):
    first, second = (DistancesData.from_prediction(prediction).store() for _ in range(2))
    assert first.base.caching.get_hash() == second.base.caching.get_hash()


@pytest.mark.parametrize(('name', 'shape'), [('distances', (2, 3)), ('probabilities', (2, 2, 4))])
def test_arrays_that_do_not_fit_are_not_stored(aiida_profile, prediction, name, shape):
    node = DistancesData.from_prediction(prediction)
    node.set_array(name, np.ones(shape))
    with pytest.raises(StoringNotAllowed):
        node.store()
