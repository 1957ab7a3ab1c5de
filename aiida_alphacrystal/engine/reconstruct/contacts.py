"""How close atoms may come."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.reconstruct.minimum_image import shortest_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.reconstruct.minimum_image import ReducedLattice
    from aiida_alphacrystal.engine.reconstruct.wyckoff import WyckoffPosition

__all__ = ('CLASH_FRACTION', 'closest_contact', 'covalent_radius', 'widest_contact')

#: Atoms closer than this share of the sum of their covalent radii clash; known crystals stay above 0.7.
CLASH_FRACTION = 0.6
_GRID_POINTS = (1, 60, 16, 8)


@functools.cache
def covalent_radius(symbol: str) -> float:
    """Return a covalent radius (Cordero et al. 2008, https://doi.org/10.1039/b801115j), A.

    :param symbol: element symbol.
    """
    from ase.data import atomic_numbers, covalent_radii

    return float(covalent_radii[atomic_numbers[symbol]])


def closest_contact(distances: npt.ArrayLike, species: Sequence[str]) -> float:
    """Return the shortest distance in units of the sum of the two covalent radii.

    :param distances: minimum-image distances with the nearest own image on the diagonal, shape (atoms, atoms), A.
    :param species: element of every atom.
    """
    radii = np.array([covalent_radius(symbol) for symbol in species])
    return float((np.asarray(distances) / (radii[:, None] + radii)).min())


def widest_contact(position: WyckoffPosition, lattice: ReducedLattice) -> float:
    """Return how far apart the atoms of one orbit can lie, judged on a grid of its free coordinates.

    :param position: the Wyckoff position.
    :param lattice: the reduced form of the primitive lattice.
    :return: the largest of the shortest distances within the orbit or to its own images, A.
    """
    if position.multiplicity == 1:
        return lattice.shortest
    points = _GRID_POINTS[position.freedom]
    axis = (np.arange(points) + 0.5) / points
    free = np.array(list(itertools.product(axis, repeat=position.freedom))).reshape(
        points**position.freedom, position.freedom
    )
    rotations = (position.rotations - position.rotations[0])[1:]
    translations = (position.translations - position.translations[0])[1:]
    difference = (np.einsum('nif,pf->pni', rotations, free) + translations) @ lattice.transformation
    matrix, images = (torch.from_numpy(array) for array in (lattice.matrix, lattice.images))
    lengths = shortest_lengths(torch.from_numpy(difference).movedim(-1, 0), matrix, images)
    nearest = lengths.amin(dim=1).clamp(max=lattice.shortest)
    return float(nearest.max())
