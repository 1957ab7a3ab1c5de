"""Which crystals, and which answers, a potential can be trusted with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiida_alphacrystal.engine.relax.base import AtomArrays

__all__ = ('MAX_FORCE', 'MAX_VOLUME_FACTOR', 'MIN_HEIGHT', 'absurd', 'height_of', 'out_of_bounds', 'unsound')

#: A crystal whose volume has grown or shrunk by more than this factor has left the world of its candidate.
MAX_VOLUME_FACTOR = 3.0
#: A force in eV/A beyond any that a crystal can be relaxed from.
MAX_FORCE = 1000.0
#: Distance between two faces of the cell, in A, below which the number of neighbours explodes.
MIN_HEIGHT = 1.0
#: Atoms nearer than this share of the sum of their covalent radii, or than ``_MIN_DISTANCE`` (A), clash.
_MIN_RADII_SHARE = 0.4
_MIN_DISTANCE = 0.5
#: An atom with no other within this distance (A) is beyond the reach of the potentials, which then see no forces.
_MAX_DISTANCE = 6.5


def unsound(crystal: AtomArrays) -> str | None:
    """Say why a crystal should not be given to a potential, None if it may.

    :param crystal: bare arrays.
    """
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.positions).all()):
        return 'a coordinate is not a number'
    height = height_of(crystal.lattice)
    if height < MIN_HEIGHT:
        return f'the cell is only {height:.2f} A thick'
    return _odd_distance(crystal)


def height_of(lattice: NDArray[np.float64]) -> float:
    """Return the smallest distance between two faces of a cell, in A.

    :param lattice: lattice vectors as rows in A, (3, 3).
    """
    normals = np.cross(lattice[[1, 2, 0]], lattice[[2, 0, 1]])
    return float(abs(np.linalg.det(lattice)) / max(np.linalg.norm(normals, axis=1).max(), 1e-12))


def _odd_distance(crystal: AtomArrays) -> str | None:
    """Name two atoms that are too close to each other, or one that is too far from all others, if there are any."""
    from ase.data import chemical_symbols, covalent_radii
    from pymatgen.optimization.neighbors import find_points_in_spheres

    periodic = np.ones(3, dtype=np.int64)
    one, two, _, distance = find_points_in_spheres(
        crystal.positions, crystal.positions, r=_MAX_DISTANCE, pbc=periodic, lattice=crystal.lattice, tol=1e-8
    )
    real = (one != two) | (distance > 1e-8)
    one, two, distance = one[real], two[real], distance[real]
    radii = covalent_radii[crystal.numbers]
    ratio = distance / np.maximum(_MIN_DISTANCE, _MIN_RADII_SHARE * (radii[one] + radii[two]))
    if (ratio < 1).any():
        worst = np.argmin(ratio)
        symbols = '-'.join(chemical_symbols[crystal.numbers[atom]] for atom in (one[worst], two[worst]))
        return f'two atoms ({symbols}) are {distance[worst]:.2f} A apart'
    alone = np.flatnonzero(np.bincount(one, minlength=len(crystal.numbers)) == 0)
    if len(alone):
        return f'an atom ({chemical_symbols[crystal.numbers[alone[0]]]}) has no other within {_MAX_DISTANCE} A'
    return None


def out_of_bounds(lattice: NDArray[np.float64], start: NDArray[np.float64]) -> str | None:
    """Say why a relaxation has gone too far, None if it has not.

    :param lattice: where it is, lattice vectors as rows in A, (3, 3).
    :param start: where it began, (3, 3).
    """
    factor = abs(np.linalg.det(lattice) / np.linalg.det(start))
    if not 1 / MAX_VOLUME_FACTOR <= factor <= MAX_VOLUME_FACTOR:
        return f'its volume changed by a factor of {factor:.2f}'
    return f'its cell became less than {MIN_HEIGHT} A thick' if height_of(lattice) < MIN_HEIGHT else None


def absurd(energy: float, forces: NDArray[np.float64], stress: NDArray[np.float64]) -> str | None:
    """Say what is wrong with the answer of a potential, None if nothing is.

    :param energy: eV.
    :param forces: eV/A, (atoms, 3).
    :param stress: eV/A^3, (3, 3).
    """
    if not (math.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return 'its energy or forces are not numbers'
    largest = float(np.abs(forces).max(initial=0.0))
    return f'a force of {largest:.0f} eV/A is beyond any crystal' if largest > MAX_FORCE else None
