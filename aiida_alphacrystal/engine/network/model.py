"""The distance network: a deep residual network from the atoms of a cell to the distances between them.

Residual blocks over sites that see the whole composition, an outer merge into pairs, and residual blocks over pairs
that exchange information along rows and around triangles (after the pair updates of J. Jumper et al., Nature 596,
583, 2021, doi:10.1038/s41586-021-03819-2). The idea of going from site to pair features with residual networks is that
of AlphaCrystal-II (doi:10.48550/arXiv.2404.04810). There is no padding: all cells of a batch have as many atoms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS
from aiida_alphacrystal.engine.network.base import DistanceModel, pair_indices

__all__ = ('Architecture', 'DistanceNetwork', 'index_within_element')

#: Counts and indices enter as binary digits, so that cells of up to 63 equal atoms can be told apart.
_DIGITS = 6
_FREQUENCIES = (1.0, 2.0, 4.0)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The size of the network.

    :param site_width: channels of a site.
    :param site_blocks: residual blocks over sites.
    :param pair_width: channels of a pair.
    :param pair_blocks: residual blocks over pairs.
    :param triangle_width: channels that are multiplied around triangles of sites.
    :param dropout: share of the block outputs that is dropped in training.
    """

    site_width: int = 96
    site_blocks: int = 4
    pair_width: int = 64
    pair_blocks: int = 6
    triangle_width: int = 24
    dropout: float = 0.05


def index_within_element(elements: Sequence[object] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the atoms of each element from 0, in their order.

    :param elements: the element of every atom.
    :return: shape (atoms,).
    """
    seen: dict[object, int] = {}
    indices = []
    for element in elements:
        indices.append(seen.get(element, 0))
        seen[element] = indices[-1] + 1
    return np.array(indices, dtype=np.int64)


def _digits(numbers: Tensor) -> Tensor:
    """Return the binary digits of integers as channels, shape (..., _DIGITS)."""
    powers = 2 ** torch.arange(_DIGITS, device=numbers.device)
    return (numbers.unsqueeze(-1) // powers % 2).to(torch.float32)


class _SiteBlock(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(2 * width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sites: Tensor) -> Tensor:
        normed = self.norm(sites)
        context = normed.mean(dim=1, keepdim=True).expand_as(normed)
        inner = nn.functional.silu(self.inner(torch.cat([normed, context], dim=-1)))
        updated: Tensor = sites + self.dropout(self.outer(inner))
        return updated


class _PairBlock(nn.Module):
    def __init__(self, width: int, triangle_width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.edge = nn.Linear(width, triangle_width)
        self.row = nn.Linear(2 * width, width)
        self.inner = nn.Linear(width + triangle_width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pairs: Tensor, first: Tensor, second: Tensor, lookup: Tensor) -> Tensor:
        normed = self.norm(pairs)
        edges = self.edge(normed)[:, lookup].permute(0, 3, 1, 2)
        triangles = (edges @ edges).permute(0, 2, 3, 1)[:, first, second] / lookup.shape[0]
        rows = normed[:, lookup].mean(dim=2)
        rows = self.row(torch.cat([rows, rows.mean(dim=1, keepdim=True).expand_as(rows)], dim=-1))
        merged = torch.cat([normed + rows[:, first] + rows[:, second], triangles], dim=-1)
        updated: Tensor = pairs + self.dropout(self.outer(nn.functional.silu(self.inner(merged))))
        return updated


class DistanceNetwork(DistanceModel):
    """Predict the probabilities of the distance bins of every pair of atoms.

    :param architecture: the size of the network.
    :param bin_edges: edges of the distance bins, shape (bins + 1,), A.
    :param feature_mean: mean of each descriptor, subtracted first, shape (11,).
    :param feature_scale: standard deviation of each descriptor, divided by, shape (11,).
    """

    def __init__(
        self,
        architecture: Architecture,
        bin_edges: npt.ArrayLike,
        feature_mean: npt.ArrayLike,
        feature_scale: npt.ArrayLike,
    ) -> None:
        super().__init__(bin_edges, feature_mean, feature_scale)
        self.architecture = architecture
        descriptors = len(ELEMENT_COLUMNS) * (1 + 2 * len(_FREQUENCIES))
        width = architecture.site_width
        self.embed = nn.Linear(descriptors + 3 * _DIGITS + 2, width)
        self.site_blocks = nn.ModuleList(
            _SiteBlock(width, architecture.dropout) for _ in range(architecture.site_blocks)
        )
        self.site_norm = nn.LayerNorm(width)
        self.merge_sum = nn.Linear(width, architecture.pair_width)
        self.merge_factor = nn.Linear(width, architecture.pair_width)
        self.merge_product = nn.Linear(architecture.pair_width, architecture.pair_width)
        self.merge_relation = nn.Linear(_DIGITS + 3, architecture.pair_width)
        self.pair_blocks = nn.ModuleList(
            _PairBlock(architecture.pair_width, architecture.triangle_width, architecture.dropout)
            for _ in range(architecture.pair_blocks)
        )
        self.pair_norm = nn.LayerNorm(architecture.pair_width)
        self.readout = nn.Linear(architecture.pair_width, len(self.bin_edges) - 1)
        for block in [*self.site_blocks, *self.pair_blocks]:
            nn.init.zeros_(block.outer.weight)

    def forward(self, features: Tensor, index: Tensor) -> Tensor:
        """Return the logits of the distance bins of every unordered pair.

        Rows may come in any order, as long as each keeps its index: the pairs follow.

        :param features: standardised descriptors, shape (cells, atoms, 11).
        :param index: number of each atom within its element, from 0, shape (cells, atoms).
        :return: shape (cells, pairs, bins), pairs as in :func:`pair_indices`.
        """
        natoms = features.shape[1]
        first, second, lookup = (tensor.to(features.device) for tensor in pair_indices(natoms))
        same = (features[:, :, None] == features[:, None]).all(dim=-1)
        sites = self._embed_sites(features, index, same.sum(dim=-1))
        for block in self.site_blocks:
            sites = block(sites)
        sites = self.site_norm(sites)
        relation = torch.stack([same[:, first, second], index[:, first] == index[:, second]], dim=-1)
        diagonal = (first == second)[None, :, None].expand(len(features), -1, -1)
        apart = _digits((index[:, first] - index[:, second]).abs())
        relation = torch.cat([relation.to(torch.float32), diagonal.to(torch.float32), apart], dim=-1)
        summed, factor = self.merge_sum(sites), self.merge_factor(sites)
        pairs = summed[:, first] + summed[:, second] + self.merge_product(factor[:, first] * factor[:, second])
        pairs = pairs + self.merge_relation(relation)
        for block in self.pair_blocks:
            pairs = block(pairs, first, second, lookup)
        logits: Tensor = self.readout(self.pair_norm(pairs))
        return logits

    def _embed_sites(self, features: Tensor, index: Tensor, count: Tensor) -> Tensor:
        natoms = features.shape[1]
        waves = [wave(features * frequency) for frequency in _FREQUENCIES for wave in (torch.sin, torch.cos)]
        shares = torch.stack([index / count, count / natoms], dim=-1)
        size = _digits(torch.full_like(index, natoms))
        embedded: Tensor = self.embed(
            torch.cat([features, *waves, shares, _digits(index), _digits(count), size], dim=-1)
        )
        return embedded
