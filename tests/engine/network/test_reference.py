"""The network of the paper: its size, and what its answer must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.distances import equal_bins
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.network.base import pair_indices
from aiida_alphacrystal.engine.network.checkpoint import save_network
from aiida_alphacrystal.engine.network.inference import predict_many
from aiida_alphacrystal.engine.network.reference import ReferenceArchitecture, ReferenceNetwork

SMALL = ReferenceArchitecture(site_blocks=2, site_filters=8, pair_blocks=2, pair_filters=8, double_every=1)


@pytest.fixture(scope='module')
def network():
    """A small network with random weights everywhere."""
    torch.manual_seed(3)
    made = ReferenceNetwork(SMALL, equal_bins(20), np.full(11, 50.0), np.full(11, 40.0))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return made.eval()


def cell(text, units):
    formula = parse_formula(text)
    return featurize(formula, units, formula.atoms_per_unit * units), formula.species(units)


def test_the_size_of_the_paper():
    network = ReferenceNetwork(ReferenceArchitecture(), equal_bins(20), np.zeros(11), np.ones(11))
    assert [block.second.out_channels for block in network.site_blocks] == [32] * 3 + [64] * 3 + [128] * 3
    assert [block.second.out_channels for block in network.pair_blocks] == [256] * 3 + [512] * 3 + [1024] * 3
    assert network.readout.out_channels == 20
    assert network.max_atoms == 12


def test_pairs_are_symmetric_and_probabilities(network):
    prediction = predict_distances(network, *cell('SrTiO3', 2))
    assert prediction.probabilities.shape == (10, 10, 20)
    np.testing.assert_allclose(prediction.probabilities.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(prediction.probabilities, prediction.probabilities.transpose(1, 0, 2))


def test_padding_says_nothing(network):
    rows, species = cell('SrTiO3', 1)
    features, index = network.standardise(rows)[None], torch.zeros(1, 5, dtype=torch.int64)
    seen = []
    hook = network.pair_blocks[-1].register_forward_hook(lambda *values: seen.append(values[2]))
    with torch.inference_mode():
        network(features, index)
    hook.remove()
    assert seen[0].shape[2:] == (12, 12)
    assert not seen[0][:, :, 5:].any()
    assert not seen[0][:, :, :, 5:].any()
    assert seen[0][:, :, :5, :5].all(dim=1).any()
    assert len(species) == 5


def test_every_atom_counts(network):
    rows, species = cell('SrTiO3', 1)
    there = predict_distances(network, rows, species).probabilities
    rows[0] = cell('BaTiO3', 1)[0][0]
    here = predict_distances(network, rows, species).probabilities
    assert (np.abs(there - here).max(axis=-1) > 1e-6).all()


def test_many_cells_are_as_one(network):
    cells = [cell('NaCl', 1), cell('SrTiO3', 1), cell('CaO', 1), cell('NaCl', 3)]
    for (rows, species), found in zip(cells, predict_many(network, cells), strict=True):
        alone = predict_distances(network, rows, species)
        assert found.species == alone.species
        np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-6)


def test_a_cell_that_is_too_large_is_refused(network):
    with pytest.raises(ModelError, match='at most 12 atoms, not 15'):
        predict_distances(network, *cell('SrTiO3', 3))


def test_the_file_says_which_network_it_holds(network):
    loaded = load_network(save_network(network))
    assert isinstance(loaded, ReferenceNetwork)
    assert loaded.architecture == SMALL
    features, index = network.standardise(cell('NaCl', 1)[0])[None], torch.zeros(1, 2, dtype=torch.int64)
    with torch.inference_mode():
        assert torch.equal(loaded(features, index), network(features, index))
    assert len(pair_indices(2)[0]) == 3
