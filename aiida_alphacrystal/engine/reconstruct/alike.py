"""Which rows of a prediction its distances cannot tell apart.

The atoms of one orbit are at the same distances from all others. So atoms whose distances surely differ belong to
different orbits, and where distances are sure, that says much about the crystal before anything is searched.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import csgraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.distances import DistancePrediction

__all__ = ('AlikeRows', 'alike_rows', 'is_sure')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Mean standard deviation of the distances up to which they are sure, A: predictions of the networks are far above it.
_SURE = 0.1
#: Standard deviations that the distances of alike rows may differ by.
_TOLERANCE = 3.0


@dataclasses.dataclass(frozen=True)
class AlikeRows:
    """Sets of rows that the distances do not tell apart.

    :param species: element of every row.
    :param kinds: number of the set of each row, shape (atoms,).
    :param distances: expected distances, shape (atoms, atoms), A.
    """

    species: tuple[str, ...]
    kinds: IntArray
    distances: FloatArray

    def divided(self, orbits: Sequence[int]) -> tuple[int, ...]:
        """Return numbers of orbits that a set may be divided over, those beyond the size of all sets left out.

        :param orbits: the numbers.
        """
        largest = int(np.bincount(self.kinds).max())
        return tuple(dict.fromkeys(min(number, largest) for number in orbits))

    def apart(self) -> AlikeRows:
        """Return the same rows, each a set of its own."""
        return dataclasses.replace(self, kinds=np.arange(len(self.kinds)))

    @property
    def in_turn(self) -> list[int]:
        """Return the sets in the order in which crystals grow: large ones first, equal ones by what is nearest.

        The atoms of a large set have most to do with one another, and near ones pin each other down best.
        """
        left, turn = list(range(int(self.kinds.max()) + 1)), list[int]()
        nearness = np.zeros(len(self.kinds))
        while left:
            turn.append(min(left, key=lambda kind: (-self.size(kind), nearness[self.members(kind)].mean(), kind)))
            left.remove(turn[-1])
            nearness += self.distances[:, self.members(turn[-1])].sum(axis=1)
        return turn

    def size(self, kind: int) -> int:
        """Return how many rows a set has.

        :param kind: number of the set.
        """
        return len(self.members(kind))

    def members(self, kind: int) -> IntArray:
        """Return the rows of a set.

        :param kind: number of the set.
        """
        return np.flatnonzero(self.kinds == kind)

    def element(self, kind: int) -> str:
        """Return the element of a set.

        :param kind: number of the set.
        """
        return self.species[int(self.members(kind)[0])]


def is_sure(prediction: DistancePrediction) -> bool:
    """Tell whether distances are known, as good as measured ones, rather than guessed.

    :param prediction: distributions of all pairs of the cell.
    """
    first, second = np.triu_indices(len(prediction.species), 1)
    return float(prediction.spread[first, second].mean()) < _SURE if first.size else True


def alike_rows(prediction: DistancePrediction) -> AlikeRows:
    """Return which rows have the same distances to all others, as far as these are known.

    Rows of one element are alike if their sorted distances agree, to the rows of each element first, and then again and
    again to each set of alike rows, until no set is divided any more.

    :param prediction: distributions of all pairs of the cell.
    """
    within_bins = prediction.probabilities @ (np.diff(prediction.bin_edges) ** 2 / 12.0)
    distances, variances = prediction.expectation.copy(), prediction.spread**2 + within_bins
    np.fill_diagonal(distances, 0.0)
    np.fill_diagonal(variances, 0.0)
    elements = list(dict.fromkeys(prediction.species))
    kinds = np.array([elements.index(element) for element in prediction.species], dtype=np.int64)
    while True:
        values, errors = _by_kind(distances, variances, kinds)
        apart = np.abs(values[:, None] - values) > _TOLERANCE * np.sqrt(errors[:, None] + errors)
        same = ~apart.any(axis=-1) & (kinds[:, None] == kinds)
        number, divided = csgraph.connected_components(same, directed=False)
        if number == kinds.max() + 1:
            return AlikeRows(prediction.species, kinds, distances)
        kinds = divided.astype(np.int64)


def _by_kind(distances: FloatArray, variances: FloatArray, kinds: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the distances of each row, sorted within each kind of others, and their variances in the same order."""
    order = np.lexsort((distances, np.broadcast_to(kinds, distances.shape)), axis=-1)
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(variances, order, axis=1)
