"""From the distances inside known compounds of one prototype to those inside another compound of it.

Known compounds with similar elements say what shape the cell has, and fitted atomic volumes say how large it is. How
far that is off follows from the elements that are replaced: a small network, learnt from known compounds with each
other, gives the logarithm of true over expected distance for every pair of atoms.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aiida_alphacrystal.engine.features import standardised_table
from aiida_alphacrystal.engine.reconstruct.learnt import Learnt
from aiida_alphacrystal.engine.reconstruct.shapes import unflatten
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ('DistanceCorrection', 'Evidence')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_HIDDEN = (96, 64)
_DROPOUT = 0.1
_DESCRIPTORS = 12
_INPUTS = 7 * _DESCRIPTORS + 12

#: Standardised inputs are clipped here, so that an unusual one does not lead far away.
_MOST = 5.0

_SMALLEST = 1e-3


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What known compounds of one prototype say about the distances inside a cell.

    :param numbers: atomic number of every atom of the cell, shape (atoms,).
    :param known_numbers: of the atoms that stand there in each known compound, shape (compounds, atoms).
    :param known_distances: inside each, in units of the cube root of its volume per atom,
        shape (compounds, atoms, atoms).
    :param known_volumes: its volume per atom, shape (compounds,), cubic angstrom.
    :param volumes: volume per atom of the cell that each gives, shape (compounds,), cubic angstrom.
    :param weights: how much each says; they add up to one, shape (compounds,).
    :param share: share of all votes for the prototype.
    :param support: logarithm of all votes for the formula.
    """

    numbers: IntArray
    known_numbers: IntArray
    known_distances: FloatArray
    known_volumes: FloatArray
    volumes: FloatArray
    weights: FloatArray
    share: float
    support: float

    @functools.cached_property
    def volume_per_atom(self) -> float:
        """Return the volume per atom on average, cubic angstrom."""
        return float(self.weights @ self.volumes)

    @functools.cached_property
    def shape(self) -> FloatArray:
        """Return the distances on average, shape (atoms, atoms), in units of the cube root of the volume per atom."""
        mean: FloatArray = np.tensordot(self.weights, self.known_distances, 1)
        return np.asarray(np.maximum(mean, _SMALLEST))

    @property
    def distances(self) -> FloatArray:
        """Return the distances that the compounds give on average, shape (atoms, atoms), A."""
        distances: FloatArray = self.shape * self.volume_per_atom ** (1 / 3)
        return distances

    def inputs(self, atomic_volumes: npt.ArrayLike) -> FloatArray:
        """Return what the correction of each pair follows from, pairs as in the upper triangle.

        :param atomic_volumes: fitted volume of each element by atomic number, cubic angstrom.
        :return: shape (pairs, inputs).
        """
        sizes = np.log(np.maximum(np.asarray(atomic_volumes, dtype=np.float64), 1.0))
        table = np.column_stack([standardised_table(), sizes])
        own = table[self.numbers]
        known = np.tensordot(self.weights, table[self.known_numbers], 1)
        replaced = own - known
        first, second = np.triu_indices(len(own))
        shape = self.shape
        spread = np.sqrt(np.tensordot(self.weights, (self.known_distances - shape) ** 2, 1)) / shape
        distances = np.log(shape[first, second] * self.volume_per_atom ** (1 / 3))
        radii = sizes[self.numbers] / 3
        pairs = [
            (own[first] + own[second]) / 2,
            np.abs(own[first] - own[second]),
            (replaced[first] + replaced[second]) / 2,
            np.abs(replaced[first] - replaced[second]),
            distances[:, None],
            shape[first, second][:, None],
            spread[first, second][:, None],
            (distances - radii[first] - radii[second])[:, None],
        ]
        cell = np.concatenate([own.mean(axis=0), known.mean(axis=0), own.std(axis=0), self._numbers_of_cell()])
        return np.column_stack([*pairs, np.broadcast_to(cell, (len(first), len(cell)))])

    def _numbers_of_cell(self) -> FloatArray:
        volume = self.volume_per_atom
        return np.array(
            [
                np.log(volume),
                np.sqrt(self.weights @ np.log(self.volumes / volume) ** 2),
                np.log(len(self.weights)),
                self.share,
                self.support,
                np.log(len(self.numbers)),
                np.log(self.weights @ self.known_volumes / volume),
                (self.weights**2).sum(),
            ]
        )


class DistanceCorrection(Learnt):
    """How far the distances that known compounds give are off."""

    what = 'corrections'
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(_INPUTS))
        self.register_buffer('deviation', torch.ones(_INPUTS))
        wide, narrow = _HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(_INPUTS, wide),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(wide, narrow),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(narrow, 1),
        )
        for parameter in self.layers[-1].parameters():  # what has learnt nothing corrects nothing
            nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logarithm of true over expected distance.

        :param inputs: as :meth:`Evidence.inputs` gives them, shape (pairs, inputs).
        :return: shape (pairs,).
        """
        scaled = ((inputs - self.mean) / self.deviation).clamp(-_MOST, _MOST)
        corrections: Tensor = self.layers(scaled)[:, 0]
        return corrections

    def corrected(self, known: Sequence[Evidence], atomic_volumes: npt.ArrayLike) -> list[FloatArray]:
        """Return the distances of cells as they are expected from known compounds, corrected.

        :param known: what the compounds say of each cell; at least one.
        :param atomic_volumes: fitted volume of each element by atomic number, cubic angstrom.
        :return: for each cell, shape (atoms, atoms), A.
        """
        inputs = [evidence.inputs(atomic_volumes) for evidence in known]
        rows = torch.from_numpy(np.concatenate(inputs)).to(torch.float32)
        with torch.inference_mode(), one_thread():
            found = self(rows).double().numpy()
        ends = np.cumsum([len(one) for one in inputs])[:-1]
        return [
            evidence.distances * np.exp(_as_matrix(own, len(evidence.numbers)))
            for evidence, own in zip(known, np.split(found, ends), strict=True)
        ]


def _as_matrix(corrections: FloatArray, atoms: int) -> FloatArray:
    """Return the corrections of all pairs; every atom is as far from its own image, by the shortest lattice vector."""
    matrix: FloatArray = unflatten(corrections[None], atoms)[0]
    np.fill_diagonal(matrix, np.diag(matrix).mean())
    return matrix
