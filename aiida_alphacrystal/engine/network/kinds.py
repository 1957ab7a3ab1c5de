"""The networks that there are, by the name that a file of weights and a file of settings call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aiida_alphacrystal.engine.network.model import Architecture, DistanceNetwork
from aiida_alphacrystal.engine.network.reference import ReferenceArchitecture, ReferenceNetwork

if TYPE_CHECKING:
    import numpy.typing as npt

    from aiida_alphacrystal.engine.network.base import DistanceModel

__all__ = ('ARCHITECTURES', 'build_network', 'kind_of')

#: The sizes of a network by the name of its kind.
ARCHITECTURES: dict[str, type[Architecture] | type[ReferenceArchitecture]] = {
    'pairs': Architecture,
    'reference': ReferenceArchitecture,
}


def kind_of(architecture: Architecture | ReferenceArchitecture) -> str:
    """Return the name of a kind of network.

    :param architecture: the size of a network.
    """
    return next(kind for kind, sizes in ARCHITECTURES.items() if isinstance(architecture, sizes))


def build_network(
    architecture: Architecture | ReferenceArchitecture,
    bin_edges: npt.ArrayLike,
    feature_mean: npt.ArrayLike,
    feature_scale: npt.ArrayLike,
    seed: int = 0,
) -> DistanceModel:
    """Return an untrained network.

    :param architecture: its size, which says of which kind it is.
    :param bin_edges: edges of the distance bins, shape (bins + 1,), A.
    :param feature_mean: mean of each descriptor, shape (11,).
    :param feature_scale: standard deviation of each descriptor, shape (11,).
    :param seed: fixes its first weights.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        if isinstance(architecture, ReferenceArchitecture):
            return ReferenceNetwork(architecture, bin_edges, feature_mean, feature_scale)
        return DistanceNetwork(architecture, bin_edges, feature_mean, feature_scale)
