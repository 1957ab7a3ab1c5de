"""The loss: how distances share bins, and how equal atoms are matched."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.distances import fine_bins
from aiida_alphacrystal.engine.network.base import pair_indices
from aiida_alphacrystal.engine.network.loss import bin_centres, cross_entropy, match_targets, reorder
from aiida_alphacrystal.engine.network.model import Architecture, DistanceNetwork


@pytest.fixture(scope='module')
def network():
    architecture = Architecture(site_width=4, site_blocks=0, pair_width=4, pair_blocks=0)
    return DistanceNetwork(architecture, fine_bins(), np.zeros(11), np.ones(11))


def peaked(network, distances):
    """Return logarithms of probabilities that fall off with the distance from the true bins."""
    first, second, _ = pair_indices(distances.shape[1])
    centres = bin_centres(network, distances)
    return torch.log_softmax(-((distances[:, first, second, None] - centres) ** 2) / 0.02, dim=-1)


def random_distances(generator, natoms):
    points = torch.from_numpy(generator.random((1, natoms, 3)) * 4.0)
    return (torch.cdist(points, points) + 2.0 * torch.eye(natoms)).to(torch.float32)


def test_a_distance_is_shared_by_the_two_nearest_bins(network):
    centres = bin_centres(network, torch.zeros(1))
    logs = torch.full((1, 1, 64), -50.0)
    logs[0, 0, 20], logs[0, 0, 21] = -1.0, -3.0
    distance = 0.75 * centres[20] + 0.25 * centres[21]
    loss = cross_entropy(network, logs, distance.reshape(1, 1, 1))
    assert float(loss) == pytest.approx(0.75 * 1.0 + 0.25 * 3.0, rel=1e-4)


def test_a_distance_counts_for_its_own_bin_alone(network):
    logs = torch.full((1, 1, 64), -50.0)
    logs[0, 0, 20], logs[0, 0, 21] = -1.0, -3.0
    low, high = network.bin_edges[21], network.bin_edges[22]
    for distance, loss in ((low - 1e-3, 1.0), (low + 1e-3, 3.0), (high - 1e-3, 3.0), (high + 1e-3, 50.0)):
        found = cross_entropy(network, logs, torch.full((1, 1, 1), distance), one_hot=True)
        assert float(found) == pytest.approx(loss)


@pytest.mark.parametrize('distance', [0.0, 0.2, 23.0, 100.0])
def test_distances_outside_the_bins_belong_to_the_last_ones(network, distance):
    logs = torch.log_softmax(torch.zeros(1, 1, 64), dim=-1)
    assert float(cross_entropy(network, logs, torch.full((1, 1, 1), distance))) == pytest.approx(np.log(64), rel=1e-5)


@pytest.mark.parametrize('seed', range(4))
def test_matching_only_raises_the_likelihood_and_stays_inside_elements(network, seed):
    generator = np.random.default_rng(seed)
    distances = random_distances(generator, 7)
    shuffle = torch.from_numpy(np.concatenate([generator.permutation(3), 3 + generator.permutation(4)]))[None]
    mixed = reorder(distances, shuffle)
    features = torch.zeros(1, 7, 11)
    features[:, 3:] = 1.0
    logs = peaked(network, distances)
    start = torch.arange(7)[None]
    losses = [float(cross_entropy(network, logs, mixed))]
    for rounds in (1, 2, 20):
        orders = match_targets(network, logs, features, mixed, start, rounds=rounds)
        assert sorted(orders[0, :3].tolist()) == [0, 1, 2]
        assert sorted(orders[0, 3:].tolist()) == [3, 4, 5, 6]
        losses.append(float(cross_entropy(network, logs, reorder(mixed, orders))))
    assert losses[3] <= losses[2] <= losses[1] <= losses[0]


def test_one_swap_is_undone(network):
    distances = random_distances(np.random.default_rng(9), 6)
    swapped = reorder(distances, torch.tensor([[0, 3, 2, 1, 4, 5]]))
    orders = match_targets(
        network, peaked(network, distances), torch.zeros(1, 6, 11), swapped, torch.arange(6)[None], rounds=5
    )
    assert orders.tolist() == [[0, 3, 2, 1, 4, 5]]
