"""What all distance networks have in common: their bins, their descriptors and the form of their answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

__all__ = ('DistanceModel', 'pair_indices')


class DistanceModel(nn.Module):
    """A network from the atoms of a cell to the probabilities of their distances.

    :param bin_edges: edges of the distance bins, shape (bins + 1,), A.
    :param feature_mean: mean of each descriptor, subtracted first, shape (11,).
    :param feature_scale: standard deviation of each descriptor, divided by, shape (11,).
    """

    #: The size of the network, a frozen dataclass.
    architecture: Any

    def __init__(self, bin_edges: npt.ArrayLike, feature_mean: npt.ArrayLike, feature_scale: npt.ArrayLike) -> None:
        super().__init__()
        self.bin_edges = np.asarray(bin_edges, dtype=np.float64)
        self.feature_mean = np.asarray(feature_mean, dtype=np.float64)
        self.feature_scale = np.asarray(feature_scale, dtype=np.float64)

    @property
    def max_atoms(self) -> int | None:
        """Return how many atoms a cell may hold; None where there is no limit."""
        return None

    def standardise(self, features: npt.ArrayLike) -> Tensor:
        """Return descriptors with zero mean and unit variance over the training elements.

        :param features: raw descriptors, shape (..., 11).
        """
        scaled = (np.asarray(features, dtype=np.float64) - self.feature_mean) / self.feature_scale
        return torch.from_numpy(scaled.astype(np.float32))

    def forward(self, features: Tensor, index: Tensor) -> Tensor:
        """Return the logits of the distance bins of every unordered pair.

        :param features: standardised descriptors, shape (cells, atoms, 11).
        :param index: number of each atom within its element, from 0, shape (cells, atoms).
        :return: shape (cells, pairs, bins), pairs as in :func:`pair_indices`.
        """
        raise NotImplementedError


def pair_indices(natoms: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give a number to every unordered pair of the atoms of a cell, each atom with itself among them.

    :param natoms: atoms in the cell.
    :return: first and second atom of each pair, shape (pairs,), and the pair of every two atoms, (atoms, atoms).
    """
    first, second = torch.triu_indices(natoms, natoms)
    lookup = torch.empty(natoms, natoms, dtype=torch.int64)
    lookup[first, second] = torch.arange(len(first))
    lookup[second, first] = torch.arange(len(first))
    return first, second, lookup
