"""Minimum-image distance matrices and the bins that probabilities over distances refer to."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

__all__ = ('DistancePrediction', 'fine_bins', 'minimum_image_distances')

FloatArray = npt.NDArray[np.float64]


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
    def spread(self) -> FloatArray:
        """Return the standard deviation of the distance of every pair, shape (atoms, atoms), A."""
        variance = self.probabilities @ self.bin_centres**2 - self.expectation**2
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=np.float64)


def fine_bins() -> FloatArray:
    """Return 64 bins, 0.083 A wide from 1.2 to 5.2 A and widening to 23.3 A, shape (65,), A."""
    fine = np.linspace(1.2, 5.2, 49)
    tail = np.geomspace(5.2, 23.3361, 15)[1:]
    return np.concatenate([[0.0, 0.9488], fine, tail])


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
