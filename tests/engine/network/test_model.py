"""The network itself: what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.distances import fine_bins
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.network.base import pair_indices
from aiida_alphacrystal.engine.network.model import Architecture, DistanceNetwork, index_within_element


@pytest.fixture(scope='module')
def network():
    """A small network with random weights everywhere, also where training starts from zero."""
    torch.manual_seed(3)
    made = DistanceNetwork(
        Architecture(site_width=16, site_blocks=2, pair_width=16, pair_blocks=2, triangle_width=4),
        fine_bins(),
        np.full(11, 50.0),
        np.full(11, 40.0),
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return made.eval()


def dense(network, features, index):
    """Return the logits as a matrix of atoms."""
    with torch.inference_mode():
        return network(features, index)[:, pair_indices(features.shape[1])[2]]


def test_pairs_are_numbered_once():
    first, second, lookup = pair_indices(4)
    assert len(first) == 10
    assert sorted(lookup[first, second].tolist()) == list(range(10))
    assert torch.equal(lookup, lookup.T)


def test_atoms_are_counted_within_their_element():
    assert index_within_element(['O', 'Ti', 'O', 'O']).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize('seed', range(3))
def test_rows_in_another_order_give_the_same_pairs(network, seed):
    features = network.standardise(featurize(parse_formula('SrTiO3'), 2, max_sites=10))[None]
    index = torch.tensor([[0, 1, 0, 1, 0, 1, 2, 3, 4, 5]])
    order = torch.from_numpy(np.random.default_rng(seed).permutation(10))
    there = dense(network, features, index)[:, order][:, :, order]
    here = dense(network, features[:, order], index[:, order])
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)


def test_crystals_of_a_batch_do_not_see_each_other(network):
    rows = [network.standardise(featurize(parse_formula(text), 1, max_sites=5)) for text in ('SrTiO3', 'LiBO3')]
    index = torch.tensor([[0, 0, 0, 1, 2]])
    together = dense(network, torch.stack(rows), index.repeat(2, 1))
    torch.testing.assert_close(together[:1], dense(network, rows[0][None], index), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('text', 'units'), [('NaCl', 1), ('SrTiO3', 4), ('Cu', 1), ('NaCl', 15)])
def test_probabilities_sum_to_one_and_are_symmetric(network, text, units):
    formula = parse_formula(text)
    species = formula.species(units)
    prediction = predict_distances(network, featurize(formula, units, max_sites=30), species)
    assert prediction.probabilities.shape == (len(species), len(species), 64)
    np.testing.assert_allclose(prediction.probabilities.sum(axis=-1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(prediction.probabilities, prediction.probabilities.swapaxes(0, 1))
    assert prediction.species == species


def test_padding_and_threads_change_no_bit(network):
    formula = parse_formula('SrTiO3')
    threads = torch.get_num_threads()
    first = predict_distances(network, featurize(formula, 2, max_sites=10), formula.species(2))
    torch.set_num_threads(2)
    try:
        second = predict_distances(network, featurize(formula, 2, max_sites=20), formula.species(2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


@pytest.mark.parametrize('shape', [(2, 11), (5, 10), (11,)])
def test_features_of_another_cell_are_refused(network, shape):
    with pytest.raises(ModelError, match='do not describe 5 atoms by 11 descriptors'):
        predict_distances(network, np.zeros(shape), ('Sr', 'Ti', 'O', 'O', 'O'))


def test_the_shipped_network_knows_perovskite():
    formula = parse_formula('SrTiO3')
    prediction = predict_distances(load_network(), featurize(formula, 1), formula.species(1))
    expected = prediction.expectation
    assert expected[0, 0] == pytest.approx(3.905, abs=0.3)
    assert expected[1, 2] == pytest.approx(1.953, abs=0.25)
    assert expected[0, 2] == pytest.approx(2.761, abs=0.25)
