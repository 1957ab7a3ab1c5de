"""Describe a composition, and a lattice under the constraints of its crystal system, by numbers."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.features import element_features

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.composition import Formula

__all__ = (
    'COMPOSITION_SIZE',
    'LATTICE_SIZE',
    'centring_factor',
    'composition_vector',
    'lattice_from_shape',
    'obeys_crystal_system',
    'shape_of_lattice',
)

FloatArray = npt.NDArray[np.float64]

_MAX_Z = 100
_FRACTIONS = 6

#: Length of ``composition_vector``: five statistics of eleven descriptors, stoichiometry, share of every element.
COMPOSITION_SIZE = 5 * 11 + _FRACTIONS + 3 + _MAX_Z

#: Length of ``shape_of_lattice``.
LATTICE_SIZE = 6

#: A lattice that a user gives obeys a crystal system within this share of the lengths, and so many degrees.
_SAME_LENGTH, _SAME_ANGLE = 0.01, 0.5

#: Lattice points in the conventional cell by the first letter of the Hermann-Mauguin symbol; R on hexagonal axes.
_CENTRING = {'P': 1, 'A': 2, 'B': 2, 'C': 2, 'I': 2, 'R': 3, 'F': 4}


def composition_vector(formula: Formula) -> FloatArray:
    """Describe the reduced composition, shape (COMPOSITION_SIZE,).

    Statistics of the descriptors of Table 1 over the elements, as in Magpie (L. Ward et al., npj Comput. Mater. 2,
    16028, 2016, https://doi.org/10.1038/npjcompumats.2016.28): mean, mean absolute deviation, minimum, maximum and
    the value of the most abundant element; then the sorted shares, and the share of every element by atomic number.

    :param formula: the compound.
    :raises UnsupportedElementError: if an element has no descriptors.
    """
    table = element_features(formula)
    shares = np.array(formula.counts) / formula.atoms_per_unit
    mean = shares @ table
    statistics = [mean, shares @ np.abs(table - mean), table.min(axis=0), table.max(axis=0), table[shares.argmax()]]
    ordered = np.zeros(_FRACTIONS)
    largest = np.sort(shares)[::-1][:_FRACTIONS]
    ordered[: len(largest)] = largest
    sizes = [len(shares), math.log(formula.atoms_per_unit), formula.atoms_per_unit % 2]
    elements = np.zeros(_MAX_Z)
    elements[np.round(table[:, -1]).astype(int)] = shares
    return np.concatenate([*statistics, ordered, sizes, elements])


@functools.lru_cache(maxsize=230)
def centring_factor(spacegroup: int) -> int:
    """Return how many primitive cells the conventional cell of a space group holds.

    :param spacegroup: international number.
    """
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    return _CENTRING[sg_symbol_from_int_number(spacegroup, hexagonal=True)[0]]


def obeys_crystal_system(lattice: npt.ArrayLike, spacegroup: int) -> bool:
    """Return whether a conventional lattice has what the crystal system of a space group asks for.

    :param lattice: a, b, c (A) and alpha, beta, gamma (degrees).
    :param spacegroup: international number.
    """
    given = np.asarray(lattice, dtype=np.float64)
    wanted = np.array(lattice_from_shape(shape_of_lattice(given, 1), spacegroup, 1))
    lengths = np.abs(wanted[:3] / given[:3] - 1).max() <= _SAME_LENGTH
    return bool(lengths and np.abs(wanted[3:] - given[3:]).max() <= _SAME_ANGLE)


def shape_of_lattice(lattice: npt.ArrayLike, atoms: int) -> FloatArray:
    """Describe a conventional lattice, shape (LATTICE_SIZE,).

    :param lattice: a, b, c (A) and alpha, beta, gamma (degrees).
    :param atoms: atoms in the conventional cell.
    :return: logarithms of the volume per atom (cubic angstrom), b/a and c/a; cosines of the angles.
    """
    a, b, c, *angles = np.asarray(lattice, dtype=np.float64)
    cosines = np.cos(np.radians(angles))
    volume = a * b * c * _angular_factor(cosines)
    return np.array([math.log(volume / atoms), math.log(b / a), math.log(c / a), *cosines])


def lattice_from_shape(
    shape: npt.ArrayLike, spacegroup: int, atoms: int
) -> tuple[float, float, float, float, float, float]:
    """Return the conventional lattice of a shape under the constraints of a space group.

    :param shape: as ``shape_of_lattice`` gives it.
    :param spacegroup: international number.
    :param atoms: atoms in the conventional cell.
    :return: a, b, c (A) and alpha, beta, gamma (degrees).
    """
    log_volume, log_ba, log_ca, *raw = (float(value) for value in np.asarray(shape))
    cosines = np.clip(raw, -0.7, 0.7)
    if spacegroup >= 3:
        cosines[[0, 2]] = 0.0
    if spacegroup >= 16:
        cosines[1] = 0.0
    if 143 <= spacegroup <= 194:
        cosines[2] = -0.5
    log_ba = 0.0 if spacegroup >= 75 else log_ba
    log_ca = 0.0 if spacegroup >= 195 else log_ca
    factor = max(_angular_factor(cosines), 0.05)
    a = (math.exp(log_volume) * atoms / (math.exp(log_ba + log_ca) * factor)) ** (1 / 3)
    alpha, beta, gamma = (float(angle) for angle in np.degrees(np.arccos(cosines)))
    return (a, a * math.exp(log_ba), a * math.exp(log_ca), alpha, beta, gamma)


def _angular_factor(cosines: npt.ArrayLike) -> float:
    """Return the volume of a cell with unit edges."""
    x, y, z = np.asarray(cosines, dtype=np.float64)
    return math.sqrt(max(1 - x * x - y * y - z * z + 2 * x * y * z, 0.0))
