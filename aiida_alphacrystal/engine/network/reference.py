"""The network of AlphaCrystal-II, to compare ours with.

Song, Dong, Wei, Li, Hu (2024, doi:10.48550/arXiv.2404.04810): a residual network along the sequence of atoms, an outer
product of its features that is merged with them into features of pairs, and a residual network over the matrix of
pairs, padded with zeros to 12 atoms. The paper does not say how activations are normalised; here it is by groups of
channels, which does not depend on what else is in the batch.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS
from aiida_alphacrystal.engine.network.base import DistanceModel, pair_indices

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ('ReferenceArchitecture', 'ReferenceNetwork')

_CHANNELS_PER_GROUP = 8


@dataclasses.dataclass(frozen=True)
class ReferenceArchitecture:
    """The size of the network; the defaults are those of the paper.

    :param sites: atoms that a cell is padded to.
    :param site_blocks: residual blocks along the sequence, of two convolutions each.
    :param site_filters: their channels in the first blocks, a multiple of 8.
    :param pair_blocks: residual blocks over the matrix, of two convolutions each.
    :param pair_filters: their channels in the first blocks, a multiple of 8.
    :param double_every: after so many blocks the channels are doubled.
    """

    sites: int = 12
    site_blocks: int = 9
    site_filters: int = 32
    pair_blocks: int = 9
    pair_filters: int = 256
    double_every: int = 3


class _Block(nn.Module):
    """Two convolutions beside a shortcut; what is padded stays zero."""

    def __init__(self, convolution: type[nn.Conv1d] | type[nn.Conv2d], inside: int, outside: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(inside // _CHANNELS_PER_GROUP, inside)
        self.first = convolution(inside, outside, 3, padding=1)
        self.second_norm = nn.GroupNorm(outside // _CHANNELS_PER_GROUP, outside)
        self.second = convolution(outside, outside, 3, padding=1)
        self.shortcut = nn.Identity() if inside == outside else convolution(inside, outside, 1)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        inner = self.first(torch.relu(self.first_norm(values)) * mask)
        inner = self.second(torch.relu(self.second_norm(inner)) * mask)
        updated: Tensor = (self.shortcut(values) + inner) * mask
        return updated


def _blocks(
    convolution: type[nn.Conv1d] | type[nn.Conv2d], number: int, filters: int, double_every: int
) -> nn.ModuleList:
    widths = [filters * 2 ** (place // double_every) for place in range(number)]
    return nn.ModuleList(
        _Block(convolution, inside, outside) for inside, outside in zip([filters, *widths], widths, strict=False)
    )


def _width(filters: int, blocks: int, double_every: int) -> int:
    return int(filters * 2 ** ((blocks - 1) // double_every)) if blocks else filters


class ReferenceNetwork(DistanceModel):
    """Predict the probabilities of the distance bins of every pair of atoms as the paper does.

    :param architecture: the size of the network.
    :param bin_edges: edges of the distance bins, shape (bins + 1,), A.
    :param feature_mean: mean of each descriptor, subtracted first, shape (11,).
    :param feature_scale: standard deviation of each descriptor, divided by, shape (11,).
    """

    def __init__(
        self,
        architecture: ReferenceArchitecture,
        bin_edges: npt.ArrayLike,
        feature_mean: npt.ArrayLike,
        feature_scale: npt.ArrayLike,
    ) -> None:
        super().__init__(bin_edges, feature_mean, feature_scale)
        self.architecture: ReferenceArchitecture = architecture
        size = architecture
        self.embed = nn.Conv1d(len(ELEMENT_COLUMNS), size.site_filters, 1)
        self.site_blocks = _blocks(nn.Conv1d, size.site_blocks, size.site_filters, size.double_every)
        site_width = _width(size.site_filters, size.site_blocks, size.double_every)
        self.merge = nn.Conv2d(3 * site_width, size.pair_filters, 1)
        self.pair_blocks = _blocks(nn.Conv2d, size.pair_blocks, size.pair_filters, size.double_every)
        pair_width = _width(size.pair_filters, size.pair_blocks, size.double_every)
        self.readout = nn.Conv2d(pair_width, len(self.bin_edges) - 1, 1)
        for block in [*self.site_blocks, *self.pair_blocks]:
            nn.init.zeros_(block.second.weight)

    @property
    def max_atoms(self) -> int:
        """Return how many atoms a cell may hold."""
        return self.architecture.sites

    def forward(self, features: Tensor, index: Tensor) -> Tensor:  # noqa: ARG002 - that of all distance networks
        """Return the logits of the distance bins of every unordered pair.

        :param features: standardised descriptors, shape (cells, atoms, 11).
        :param index: not used: equal atoms are told apart by their places in the sequence alone.
        :return: shape (cells, pairs, bins), pairs as in :func:`pair_indices`.
        :raises ModelError: if a cell holds more atoms than the network takes.
        """
        natoms, sites = features.shape[1], self.architecture.sites
        if natoms > sites:
            raise ModelError(
                f'The reference network takes cells of at most {sites} atoms, not {natoms}: choose a smaller cell or '
                'other weights.'
            )
        padded = nn.functional.pad(features, (0, 0, 0, sites - natoms)).transpose(1, 2)
        site_mask = (torch.arange(sites, device=features.device) < natoms).to(features.dtype)
        pair_mask = site_mask[:, None] * site_mask
        sequence = self.embed(padded) * site_mask
        for block in self.site_blocks:
            sequence = block(sequence, site_mask)
        rows = sequence[:, :, :, None].expand(-1, -1, -1, sites)
        columns = sequence[:, :, None, :].expand(-1, -1, sites, -1)
        pairs = self.merge(torch.cat([rows, columns, rows * columns], dim=1)) * pair_mask
        for block in self.pair_blocks:
            pairs = block(pairs, pair_mask)
        logits = self.readout(torch.relu(pairs))
        first, second, _ = (tensor.to(features.device) for tensor in pair_indices(natoms))
        symmetric: Tensor = 0.5 * (logits[:, :, first, second] + logits[:, :, second, first])
        return symmetric.transpose(1, 2)
