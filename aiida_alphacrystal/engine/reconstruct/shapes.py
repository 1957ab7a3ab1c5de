"""The distances inside every known compound, scaled to one cubic angstrom per atom.

A prototype keeps the sites of the crystal that founded it. The others that share it have somewhat other axial ratios
and free coordinates; their distances keep those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.distances import minimum_image_distances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.reconstruct.prototypes import Prototype

__all__ = ('flatten', 'scaled_distances', 'unflatten')

FloatArray = npt.NDArray[np.float64]


def scaled_distances(crystal: Crystal, prototype: Prototype, elements: Sequence[str]) -> FloatArray:
    """Return the distances of a crystal, its atoms in the order of the sites of its prototype.

    :param crystal: the crystal.
    :param prototype: the prototype that it has.
    :param elements: its elements in the order of the slots.
    :return: minimum-image distances, shape (sites, sites), in units of the cube root of the volume per atom.
    """
    species = np.array(crystal.species)
    by_slot = np.concatenate([np.flatnonzero(species == symbol) for symbol in elements])
    scale = (crystal.volume / crystal.natoms) ** (-1 / 3)
    own = scale * minimum_image_distances(crystal.lattice, crystal.frac_coords)[np.ix_(by_slot, by_slot)]
    sites = np.argsort(prototype.slots, kind='stable')
    founder = minimum_image_distances(prototype.lattice, prototype.frac_coords)[np.ix_(sites, sites)]
    order = match_atoms(own, founder, prototype.slots[sites].tolist())[np.argsort(sites)]
    return np.asarray(own[np.ix_(order, order)])


def flatten(matrix: FloatArray) -> FloatArray:
    """Return the upper triangle of a symmetric matrix with its diagonal, row by row.

    :param matrix: shape (sites, sites).
    """
    return matrix[np.triu_indices(len(matrix))]


def unflatten(triangles: npt.NDArray[np.floating], sites: int) -> FloatArray:
    """Return symmetric matrices from their upper triangles.

    :param triangles: as :func:`flatten` gives them, shape (matrices, sites * (sites + 1) / 2).
    :param sites: rows of each matrix.
    :return: shape (matrices, sites, sites).
    """
    first, second = np.triu_indices(sites)
    matrices = np.empty((len(triangles), sites, sites))
    matrices[:, first, second] = matrices[:, second, first] = triangles
    return matrices
