"""What the network learns from: a cross-entropy over distance bins, blind to the order of equal atoms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aiida_alphacrystal.engine.network.base import DistanceModel, pair_indices

__all__ = ('bin_centres', 'cross_entropy', 'match_targets', 'reorder')


def reorder(distances: Tensor, orders: Tensor) -> Tensor:
    """Apply a permutation of the atoms to the matrices of a batch.

    :param distances: shape (crystals, atoms, atoms).
    :param orders: shape (crystals, atoms).
    """
    cells = torch.arange(len(orders), device=orders.device)
    return distances[cells[:, None, None], orders[:, :, None], orders[:, None, :]]


def cross_entropy(network: DistanceModel, logs: Tensor, distances: Tensor, *, one_hot: bool = False) -> Tensor:
    """Return the cross-entropy of every crystal, shape (crystals,).

    A distance is shared between the two bins whose centres it lies between, so that their mean is the distance, or
    counts for its own bin alone.

    :param network: the network, which knows the bins.
    :param logs: logarithms of the probabilities, shape (crystals, pairs, bins).
    :param distances: the true ones, shape (crystals, atoms, atoms), A.
    :param one_hot: whether a distance counts for its own bin alone.
    """
    first, second, _ = pair_indices(distances.shape[1])
    values = distances[:, first, second]
    if one_hot:
        own = torch.searchsorted(_inner_edges(network, values), values.contiguous())
        return -logs.gather(-1, own.unsqueeze(-1)).squeeze(-1).mean(dim=1)
    centres = bin_centres(network, values)
    upper = torch.searchsorted(centres, values.contiguous()).clamp(1, len(centres) - 1)
    low, high = centres[upper - 1], centres[upper]
    share = ((values - low) / (high - low)).clamp(0.0, 1.0)
    above = logs.gather(-1, upper.unsqueeze(-1)).squeeze(-1)
    below = logs.gather(-1, upper.unsqueeze(-1) - 1).squeeze(-1)
    return -(share * above + (1.0 - share) * below).mean(dim=1)


def bin_centres(network: DistanceModel, like: Tensor) -> Tensor:
    """Return the middle of every distance bin, A.

    :param like: what the result is combined with: its type and device are taken.
    """
    centres = torch.from_numpy(0.5 * (network.bin_edges[1:] + network.bin_edges[:-1]))
    return centres.to(device=like.device, dtype=like.dtype)


def _inner_edges(network: DistanceModel, like: Tensor) -> Tensor:
    """Return the edges between the bins, A: what is beyond the outer ones counts for the outer bins."""
    return torch.from_numpy(network.bin_edges[1:-1]).to(device=like.device, dtype=like.dtype)


@torch.no_grad()
def match_targets(
    network: DistanceModel, logs: Tensor, features: Tensor, distances: Tensor, orders: Tensor, *, rounds: int
) -> Tensor:
    """Swap atoms of one element in the targets where that raises the likelihood, one swap per crystal and round.

    :param network: the network, which knows the bins.
    :param logs: logarithms of the probabilities, shape (crystals, pairs, bins).
    :param features: standardised descriptors, which tell the elements apart, shape (crystals, atoms, 11).
    :param distances: in canonical order, shape (crystals, atoms, atoms), A.
    :param orders: the permutation so far, shape (crystals, atoms).
    :param rounds: swaps of each crystal at most.
    :return: the new permutation, shape (crystals, atoms).
    """
    cells, natoms = orders.shape
    same = (features[:, :, None] == features[:, None]).all(dim=-1)
    allowed = same & torch.ones(natoms, natoms, dtype=torch.bool, device=orders.device).triu(1)
    if rounds == 0 or not bool(allowed.any()):
        return orders
    bins = torch.searchsorted(_inner_edges(network, distances), distances.contiguous())
    lookup = pair_indices(natoms)[2].to(orders.device)
    costs = -logs[:, lookup].reshape(cells, natoms, -1)
    atom = torch.arange(natoms, device=orders.device)
    offsets = atom * logs.shape[-1]
    for _ in range(rounds):
        target = reorder(bins, orders)
        # moved[b, i, j, k]: what pair (i, k) costs with the distance of pair (j, k)
        place = (offsets + target).reshape(cells, 1, natoms * natoms).expand(-1, natoms, -1)
        moved = costs.gather(2, place).reshape(cells, natoms, natoms, natoms)
        total = moved.sum(dim=-1)
        at_self = moved[:, atom[:, None], atom[None, :], atom[:, None]]
        at_other = moved[:, atom[:, None], atom[None, :], atom[None, :]]
        own = torch.diagonal(target, dim1=1, dim2=2)
        diagonal = costs.gather(2, offsets[:, None] + own[:, None, :])
        present = costs.gather(2, offsets + target)
        new = total - at_self - at_other + diagonal + present
        now = torch.diagonal(total, dim1=1, dim2=2)
        gain = now[:, :, None] + now[:, None, :] - new - new.transpose(1, 2)
        gain = gain.masked_fill(~allowed, -math.inf).reshape(cells, -1)
        best, where = gain.max(dim=1)
        rows = torch.nonzero(best > 1e-4).squeeze(-1)
        if len(rows) == 0:
            break
        first, second = where[rows] // natoms, where[rows] % natoms
        orders = orders.clone()
        orders[rows, first], orders[rows, second] = orders[rows, second], orders[rows, first]
    return orders
