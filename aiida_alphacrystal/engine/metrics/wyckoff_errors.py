"""How far the free coordinates of two crystals of one space group are apart."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import spglib
from pymatgen.core import Structure
from scipy.optimize import linear_sum_assignment

from aiida_alphacrystal.engine.symmetry import SYMMETRY_TOLERANCE, spglib_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ('wyckoff_mse',)

FloatArray = npt.NDArray[np.float64]
Cell = tuple[list[list[float]], list[list[float]], list[int]]

#: Tolerance (A) for what has been made symmetric, and those with which the symmetry of a crystal is tried.
_EXACT = 1e-3
_TOLERANCES = (1e-3, 1e-2, SYMMETRY_TOLERANCE)

#: Cost of a pair of orbits that cannot be the same.
_FORBIDDEN = 1e6


@dataclasses.dataclass(frozen=True)
class _Sites:
    """A crystal in the standard conventional cell of its space group.

    :param spacegroup: international number.
    :param rotations: rotation parts of its operations, shape (operations, 3, 3).
    :param orbits: element and fractional coordinates, shape (multiplicity, 3), of every orbit.
    """

    spacegroup: int
    rotations: FloatArray
    orbits: tuple[tuple[int, FloatArray], ...]


def wyckoff_mse(predicted: Structure, truth: Structure) -> float | None:
    """Return the mean squared error of the coordinates of the Wyckoff sites.

    ``mean over sites of mean over x, y, z of (predicted - known)^2``, in fractional coordinates of the standard
    conventional cell, after Wei et al., Comput. Mater. Sci. 235, 112802, 2024,
    https://doi.org/10.1016/j.commatsci.2024.112802. A site is an orbit of equivalent atoms, and of its points that
    counts which is nearest to the representative of the known one. Where the space group leaves origin and axes open,
    those that give the smallest error are taken.

    Both crystals are given the symmetry exactly that they have within ``SYMMETRY_TOLERANCE``; those that have it only
    roughly come out with an error of the size of that roughness.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    :return: None where the space groups within ``SYMMETRY_TOLERANCE`` differ, or the orbits in element or multiplicity.
    """
    first, second = _sites(predicted), _sites(truth)
    if first is None or second is None:
        return None
    if first.spacegroup != second.spacegroup:  # the mirror image is as good, and may be of the other hand's group
        first = _sites(Structure(predicted.lattice, predicted.species, -predicted.frac_coords))
    if first is None or first.spacegroup != second.spacegroup:
        return None
    if sorted(map(_kind, first.orbits)) != sorted(map(_kind, second.orbits)):
        return None
    return min(_error(orbits, second.orbits) for orbits in _settings(first, second))


def _sites(structure: Structure) -> _Sites | None:
    """Return a crystal in the setting that pyxtal's tables refer to, None where spglib finds no symmetry."""
    from pyxtal.symmetry import Group

    cell = spglib_cell(structure)
    found = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE)
    if found is None:
        return None
    hall_number = Group(int(found.number)).hall_number
    # spglib moves origin and atoms by as much as the tolerance allows, so the tightest one that does is taken
    standards = (_standardize(cell, hall_number, tolerance, int(found.number)) for tolerance in _TOLERANCES)
    ideal = next((standard for standard in standards if standard is not None), None)
    dataset = None if ideal is None else spglib.get_symmetry_dataset(ideal, symprec=_EXACT, hall_number=hall_number)
    if ideal is None or dataset is None:
        return None
    positions, numbers = np.array(ideal[1], dtype=np.float64), ideal[2]
    orbits = dataset.crystallographic_orbits
    groups = [np.flatnonzero(orbits == orbit) for orbit in sorted(set(orbits.tolist()))]
    return _Sites(
        spacegroup=int(found.number),
        rotations=np.array(dataset.rotations, dtype=np.float64),
        orbits=tuple((numbers[rows[0]], positions[rows]) for rows in groups),
    )


def _standardize(cell: Cell, hall_number: int, tolerance: float, spacegroup: int) -> Cell | None:
    """Return the conventional cell in a setting, made symmetric, None where it is of another space group."""
    found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    if found is None or found.number != spacegroup:
        return None
    dataset = spglib.get_symmetry_dataset(cell, symprec=tolerance, hall_number=hall_number)
    if dataset is None:
        return None
    return dataset.std_lattice.tolist(), dataset.std_positions.tolist(), dataset.std_types.tolist()


def _kind(orbit: tuple[int, FloatArray]) -> tuple[int, int]:
    """Return element and multiplicity of an orbit."""
    number, positions = orbit
    return number, len(positions)


def _settings(predicted: _Sites, truth: _Sites) -> Iterator[list[tuple[int, FloatArray]]]:
    """Yield the orbits of the predicted crystal in every setting that describes it as well.

    The cosets of the Euclidean normalizer give the discrete choices. Along directions that every operation leaves
    alone the origin is free, and is put where one atom comes to lie on one of the known crystal.
    """
    free = _free_directions(predicted.rotations)
    for rotation, translation in _cosets(predicted.spacegroup):
        orbits = [(number, positions @ rotation.T + translation) for number, positions in predicted.orbits]
        for shift in _shifts(orbits, truth, free):
            yield [(number, positions + shift) for number, positions in orbits]


def _cosets(spacegroup: int) -> list[tuple[FloatArray, FloatArray]]:
    """Return rotation and translation of the coset representatives of the Euclidean normalizer."""
    from pymatgen.core.operations import SymmOp
    from pyxtal.symmetry import Group

    operations = map(SymmOp.from_xyz_str, Group(spacegroup).get_alternatives()['Coset Representative'])
    return [(np.array(one.rotation_matrix), np.array(one.translation_vector)) for one in operations]


def _free_directions(rotations: FloatArray) -> FloatArray:
    """Return the projector onto the directions that every rotation leaves alone, shape (3, 3)."""
    projector = rotations.mean(axis=0)
    return np.where(np.abs(projector) < 1e-9, 0.0, projector)


def _shifts(orbits: list[tuple[int, FloatArray]], truth: _Sites, free: FloatArray) -> Iterator[FloatArray]:
    """Yield the shifts of the origin along the free directions that are worth a try."""
    if not free.any():
        yield np.zeros(3)
        return
    number, positions = min(truth.orbits, key=lambda orbit: (len(orbit[1]), orbit[0]))
    for other, candidates in orbits:
        if _kind((other, candidates)) == (number, len(positions)):
            for start in candidates:
                yield from _centred(free @ (positions[0] - start), orbits, truth, free)


def _centred(
    shift: FloatArray, orbits: list[tuple[int, FloatArray]], truth: _Sites, free: FloatArray
) -> Iterator[FloatArray]:
    """Yield a shift, and the same made better by the mean of what is left of all sites along the free directions."""
    yield shift
    moved = [(number, positions + shift) for number, positions in orbits]
    rows, columns, differences = _pair(moved, truth.orbits)
    left = np.mean([differences[row][column] for row, column in zip(rows, columns, strict=True)], axis=0)
    yield shift - free @ left


def _error(predicted: list[tuple[int, FloatArray]], truth: tuple[tuple[int, FloatArray], ...]) -> float:
    """Return the mean squared error of the best pairs of orbits."""
    rows, columns, differences = _pair(predicted, truth)
    return float(np.mean([(differences[row][column] ** 2).mean() for row, column in zip(rows, columns, strict=True)]))


def _pair(
    predicted: list[tuple[int, FloatArray]], truth: tuple[tuple[int, FloatArray], ...]
) -> tuple[list[int], list[int], list[list[FloatArray]]]:
    """Pair the orbits, and return the smallest difference of each predicted orbit to each known one.

    :return: rows, columns, and the differences by row (predicted) and column (known).
    """
    differences = [[_difference(one[1], other[1]) for other in truth] for one in predicted]
    cost = np.full((len(predicted), len(truth)), _FORBIDDEN)
    for row, column in itertools.product(range(len(predicted)), range(len(truth))):
        if _kind(predicted[row]) == _kind(truth[column]):
            cost[row, column] = (differences[row][column] ** 2).sum()
    rows, columns = linear_sum_assignment(cost)
    return rows.tolist(), columns.tolist(), differences


def _difference(predicted: FloatArray, known: FloatArray) -> FloatArray:
    """Return the smallest difference of the points of an orbit to the representative of the known one."""
    difference = predicted - known[0]
    difference -= np.round(difference)
    return np.asarray(difference[np.argmin((difference**2).sum(axis=1))], dtype=np.float64)
