"""Lay one crystal rigidly onto another.

The superpose distance of CSPBenchMetrics (L. Wei et al., Comput. Mater. Sci. 235, 112802, 2024,
https://doi.org/10.1016/j.commatsci.2024.112802) is the root mean square deviation of the atoms of two cells after the
best rotation and translation. Taken literally it depends on the cell, the origin and the order in which a file lists
the atoms; here the atoms of one primitive cell of the known crystal are laid onto the predicted crystal as it goes on
for ever, so that only the crystals matter.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('Superposition', 'superpose')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Rotations drawn beside those that lay one lattice onto the other, and starts that are followed to the end.
_DRAWN, _FOLLOWED = 60, 40

#: How alike two lattices must be for one to be laid onto the other.
_LENGTHS, _ANGLES = 0.3, 20.0

_MAX_STEPS, _CONVERGED = 50, 1e-10

_IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64)


@dataclasses.dataclass(frozen=True)
class Superposition:
    """Atoms of a known crystal and those of a predicted one that lie on them.

    :param truth: atoms of one primitive cell, shape (atoms, 3), A.
    :param predicted: the atom of the predicted crystal that is laid onto each, shape (atoms, 3), A.
    """

    truth: FloatArray
    predicted: FloatArray

    @property
    def rms(self) -> float:
        """Return the root mean square distance of the pairs, A."""
        return _rms(self.truth, self.predicted)


def superpose(predicted: Structure, truth: Structure) -> Superposition:
    """Lay a predicted crystal rigidly onto a known one so that like atoms come close.

    The rotation, which may be a mirror image since both hands have one energy, the translation and the pairs of atoms
    are found by alternating between the best pairs for a placement and the best placement for the pairs (Kabsch, Acta
    Cryst. A32, 922, 1976, https://doi.org/10.1107/S0567739476001873), from placements that lay one lattice onto the
    other and from random ones. That finds a good superposition, not certainly the best one.

    :param predicted: the predicted crystal.
    :param truth: the known crystal; both hold the same elements.
    """
    known, crystal = _reduced(truth), _reduced(predicted)
    cluster, symbols = _cluster(known)
    images = _Crystal(crystal)
    starts = [
        (rotation, cluster[pivot] - site @ rotation.T)
        for rotation in _rotations(crystal, known)
        for pivot, site in _pivots(symbols, images)
    ]
    roughly = [images.nearest(rotation, shift, cluster, symbols) for rotation, shift in starts]
    order = np.argsort([_rms(cluster, found) for found in roughly], kind='stable')[:_FOLLOWED]
    ends = (_follow(starts[place], cluster, symbols, images) for place in order)
    return Superposition(cluster, min(ends, key=lambda found: _rms(cluster, found)))


class _Crystal:
    """A crystal whose atoms can be asked for anywhere in space.

    :param structure: a reduced primitive cell.
    """

    def __init__(self, structure: Structure) -> None:
        self.lattice = np.array(structure.lattice.matrix, dtype=np.float64)
        self.inverse = np.linalg.inv(self.lattice)
        self.positions = np.array(structure.cart_coords, dtype=np.float64)
        symbols = np.array([site.specie.symbol for site in structure])
        self.rows = {symbol: np.flatnonzero(symbols == symbol) for symbol in dict.fromkeys(symbols.tolist())}

    def nearest(self, rotation: FloatArray, shift: FloatArray, points: FloatArray, symbols: list[str]) -> FloatArray:
        """Return the atom of the right element that is nearest to each point, the crystal rotated and shifted.

        An atom may be the nearest one of several points.

        :param rotation: shape (3, 3).
        :param shift: shape (3,), A.
        :param points: shape (points, 3), A.
        :param symbols: element wanted at each point.
        """
        wanted = (points - shift) @ rotation
        found = np.empty_like(wanted)
        for row, (point, symbol) in enumerate(zip(wanted, symbols, strict=True)):
            around = self._around(point, symbol)
            found[row] = around[np.argmin(((around - point) ** 2).sum(axis=1))]
        return np.asarray(found @ rotation.T + shift, dtype=np.float64)

    def assign(self, rotation: FloatArray, shift: FloatArray, points: FloatArray, symbols: list[str]) -> FloatArray:
        """Return a different atom of the right element for each point, near to it, the crystal rotated and shifted.

        :param rotation: shape (3, 3).
        :param shift: shape (3,), A.
        :param points: shape (points, 3), A.
        :param symbols: element wanted at each point.
        """
        wanted = (points - shift) @ rotation
        found = np.empty_like(wanted)
        for symbol in self.rows:
            rows = [row for row, wish in enumerate(symbols) if wish == symbol]
            around = np.concatenate([self._around(wanted[row], symbol) for row in rows])
            atoms = np.unique(np.round(around, 6), axis=0)
            cost = ((wanted[rows][:, None] - atoms) ** 2).sum(axis=-1)
            found[rows] = atoms[linear_sum_assignment(cost)[1]]
        return np.asarray(found @ rotation.T + shift, dtype=np.float64)

    def _around(self, point: FloatArray, symbol: str) -> FloatArray:
        """Return the atoms of one element in the 27 cells around a point."""
        positions = self.positions[self.rows[symbol]]
        fractional = (positions - point) @ self.inverse
        fractional -= np.round(fractional)
        images = (fractional[:, None] + _IMAGES).reshape(-1, 3)
        return np.asarray(images @ self.lattice + point, dtype=np.float64)


def _reduced(structure: Structure) -> Structure:
    """Return the reduced primitive cell of a crystal."""
    return structure.get_primitive_structure().get_reduced_structure()


def _cluster(structure: Structure) -> tuple[FloatArray, list[str]]:
    """Return the atoms of one cell as close together as they are around any one of them, with their elements."""
    crystal = _Crystal(structure)
    symbols = [site.specie.symbol for site in structure]
    clusters = [_nearest_images(crystal, centre) for centre in crystal.positions]
    spreads = [np.round(((atoms - atoms.mean(axis=0)) ** 2).sum(), 6) for atoms in clusters]
    return clusters[int(np.argmin(spreads))], symbols


def _nearest_images(crystal: _Crystal, centre: FloatArray) -> FloatArray:
    """Return one image of every atom, the nearest to a point."""
    fractional = (crystal.positions - centre) @ crystal.inverse
    fractional -= np.round(fractional)
    images = (fractional[:, None] + _IMAGES) @ crystal.lattice
    nearest = np.argmin(np.round((images**2).sum(axis=-1), 6), axis=1)
    return np.asarray(images[np.arange(len(images)), nearest] + centre, dtype=np.float64)


def _rotations(predicted: Structure, truth: Structure) -> list[FloatArray]:
    """Return rotations, mirror images among them, that are worth a try."""
    found: list[FloatArray] = []
    mappings = predicted.lattice.find_all_mappings(truth.lattice, ltol=_LENGTHS, atol=_ANGLES)
    for _, _, scale in mappings:
        rotation, _ = _kabsch(scale @ predicted.lattice.matrix, truth.lattice.matrix, centred=False)
        found.append(rotation)
    drawn = Rotation.random(_DRAWN, rng=np.random.default_rng(0)).as_matrix()
    found += [sign * rotation for rotation in drawn for sign in (1.0, -1.0)]
    return found


def _pivots(symbols: list[str], crystal: _Crystal) -> list[tuple[int, FloatArray]]:
    """Return pairs of an atom of the cluster and one of the crystal, of the element with the fewest atoms."""
    rarest = min(crystal.rows, key=lambda symbol: (len(crystal.rows[symbol]), symbol))
    pivot = symbols.index(rarest)
    return [(pivot, crystal.positions[row]) for row in crystal.rows[rarest]]


def _follow(
    placement: tuple[FloatArray, FloatArray], cluster: FloatArray, symbols: list[str], crystal: _Crystal
) -> FloatArray:
    """Improve pairs and placement in turn until nothing changes, and return where the predicted atoms come to lie."""
    rotation, shift = placement
    before = np.inf
    for _ in range(_MAX_STEPS):
        found = crystal.assign(rotation, shift, cluster, symbols)
        original = (found - shift) @ rotation
        rotation, shift = _kabsch(original, cluster)
        placed = np.asarray(original @ rotation.T + shift, dtype=np.float64)
        now = _rms(cluster, placed)
        if now > before - _CONVERGED:
            break
        before = now
    return placed


def _kabsch(points: FloatArray, targets: FloatArray, centred: bool = True) -> tuple[FloatArray, FloatArray]:
    """Return the rotation, possibly a mirror image, and the shift, where there may be one, onto the targets."""
    centre, aim = (array.mean(axis=0) if centred else np.zeros(3) for array in (points, targets))
    left, _, right = np.linalg.svd((targets - aim).T @ (points - centre))
    rotation = np.asarray(left @ right, dtype=np.float64)
    return rotation, np.asarray(aim - centre @ rotation.T, dtype=np.float64)


def _rms(first: FloatArray, second: FloatArray) -> float:
    return float(np.sqrt(((first - second) ** 2).sum(axis=1).mean()))
