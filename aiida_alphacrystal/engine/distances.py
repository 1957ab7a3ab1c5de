"""Minimum-image distance matrices and the bins that probabilities over distances refer to."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

__all__ = ('DistancePrediction', 'equal_bins', 'fine_bins', 'minimum_image_distances')

FloatArray = npt.NDArray[np.float64]

#: Shortest and longest distance that the paper tells apart, A.
_PAPER_RANGE = (0.9488, 23.3361)


@dataclasses.dataclass(frozen=True)
class DistancePrediction:
    """What stage 2 says of one cell.

    :param species: element symbol of every atom, equal elements side by side, as ``Formula.species`` gives them.
    :param bin_edges: edges of the distance bins, shape (bins + 1,), A.
    :param probabilities: probability of each bin for each pair, shape (atoms, atoms, bins), symmetric in the atoms;
        the diagonal is the distance of an atom to its nearest periodic image.
    """

    species: tuple[str, ...]
    bin_edges: FloatArray
    probabilities: FloatArray

    @property
    def bin_centres(self) -> FloatArray:
        """Return the middle of every bin, shape (bins,), A."""
        return 0.5 * (self.bin_edges[1:] + self.bin_edges[:-1])

    @property
    def expectation(self) -> FloatArray:
        """Return the expected distance of every pair, shape (atoms, atoms), A."""
        return np.asarray(self.probabilities @ self.bin_centres, dtype=np.float64)

    @property
    def median(self) -> FloatArray:
        """Return the distance of every pair that is too large as often as too small, shape (atoms, atoms), A."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> FloatArray:
        """Return the distances below which the true one lies with some probability, shape (atoms, atoms), A.

        :param share: the probability, from 0 to 1; within a bin it rises evenly.
        """
        cumulative = np.cumsum(self.probabilities, axis=-1)
        place = np.minimum((cumulative < share).sum(axis=-1), len(self.bin_edges) - 2)
        inside = np.take_along_axis(self.probabilities, place[..., None], axis=-1)[..., 0]
        below = np.take_along_axis(cumulative, place[..., None], axis=-1)[..., 0] - inside
        part = np.clip((share - below) / np.where(inside > 0.0, inside, 1.0), 0.0, 1.0)
        low, high = self.bin_edges[place], self.bin_edges[place + 1]
        return np.asarray(low + part * (high - low), dtype=np.float64)

    def interval(self, share: float) -> tuple[FloatArray, FloatArray]:
        """Return the middle range that holds the true distance with some probability, each (atoms, atoms), A.

        :param share: the probability; as much is left below as above.
        """
        return self.quantile(0.5 - 0.5 * share), self.quantile(0.5 + 0.5 * share)

    @property
    def spread(self) -> FloatArray:
        """Return the standard deviation of the distance of every pair, shape (atoms, atoms), A."""
        variance = self.probabilities @ self.bin_centres**2 - self.expectation**2
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=np.float64)


def fine_bins() -> FloatArray:
    """Return 64 bins, 0.083 A wide from 1.2 to 5.2 A and widening to 23.3 A, shape (65,), A."""
    fine = np.linspace(1.2, 5.2, 49)
    tail = np.geomspace(5.2, _PAPER_RANGE[1], 15)[1:]
    return np.concatenate([[0.0, _PAPER_RANGE[0]], fine, tail])


def equal_bins(number: int) -> FloatArray:
    """Return bins of equal width over the distances of the paper, 0.9488 to 23.3361 A, shape (bins + 1,), A.

    :param number: how many.
    """
    return np.linspace(*_PAPER_RANGE, number + 1)


def minimum_image_distances(lattice: npt.ArrayLike, frac_coords: npt.ArrayLike) -> FloatArray:
    """Return the shortest distance between every two atoms under periodic boundary conditions.

    The diagonal holds the distance of each atom to its own nearest image. The result does not depend on which
    primitive cell describes the crystal.

    :param lattice: lattice vectors as rows, shape (3, 3), A.
    :param frac_coords: fractional coordinates, shape (atoms, 3).
    :return: distances, shape (atoms, atoms), A.
    """
    from pymatgen.core.lattice import Lattice

    matrix = np.asarray(lattice, dtype=np.float64)
    # With an LLL-reduced cell and differences wrapped into it, the nearest image is among the 27 around the origin.
    reduced = Lattice(matrix).get_lll_reduced_lattice().matrix
    fractional = np.asarray(frac_coords, dtype=np.float64) @ matrix @ np.linalg.inv(reduced)
    difference = fractional[None, :, :] - fractional[:, None, :]
    difference -= np.round(difference)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64)
    squared = (((difference[:, :, None, :] + images) @ reduced) ** 2).sum(axis=-1)
    atoms = np.arange(len(fractional))
    squared[atoms, atoms, len(images) // 2] = np.inf
    return np.asarray(np.sqrt(squared.min(axis=-1)), dtype=np.float64)
