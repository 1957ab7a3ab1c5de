"""How well the distances of trial crystals agree with the predicted distributions, for many crystals at once.

Atoms of one element are interchangeable, and no permutation of them is searched for: within each pair of elements
the distances of a trial, sorted, are scored under the predicted distributions of the pairs, sorted by their mean.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.reconstruct.wyckoff import OrbitMap, WyckoffPosition

__all__ = (
    'CLASH_FRACTION',
    'DistanceScore',
    'OrbitDistances',
    'ReducedLattice',
    'closest_contact',
    'covalent_radius',
    'reduced_lattice',
    'widest_contact',
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Atoms closer than this share of the sum of their covalent radii clash; known crystals stay above 0.7.
CLASH_FRACTION = 0.6
_CLASH_STRENGTH = 50.0
_STEP = 0.02
_LONGEST = 24.0
_TAIL_LENGTH = 0.5
_BACKGROUND = 1e-6
_IMAGE_TOLERANCE = 1e-6
_SHORTEST = 1e-3
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


@dataclasses.dataclass(frozen=True, eq=False)
class ReducedLattice:
    """A lattice made ready for minimum-image distances.

    :param matrix: LLL-reduced lattice vectors as rows, shape (3, 3), A.
    :param transformation: turns fractional coordinates (as rows) of the given lattice into those of the reduced one,
        shape (3, 3).
    :param images: lattice vectors that can lead to the nearest image of a difference wrapped into the reduced cell,
        Cartesian, shape (images, 3), A.
    :param shortest: length of the shortest lattice vector, A.
    """

    matrix: FloatArray
    transformation: FloatArray
    images: FloatArray
    shortest: float

    def vectors(self, difference: FloatArray) -> FloatArray:
        """Return the shortest images of differences of positions.

        :param difference: fractional coordinates of the reduced lattice, shape (..., 3).
        :return: Cartesian vectors, shape (..., 3), A.
        """
        cartesian = (difference - np.round(difference)) @ self.matrix
        if len(self.images) > 1:
            shifted = cartesian @ (2.0 * self.images.T)
            shifted += np.einsum('ni,ni->n', self.images, self.images)
            cartesian += self.images[shifted.argmin(axis=-1)]
        return np.asarray(cartesian, dtype=np.float64)


def reduced_lattice(lattice: npt.ArrayLike) -> ReducedLattice:
    """Reduce a lattice and find the few images that a minimum-image distance has to look at.

    :param lattice: lattice vectors as rows, shape (3, 3), A.
    """
    from pymatgen.core.lattice import Lattice

    given = np.asarray(lattice, dtype=np.float64)
    matrix = np.array(Lattice(given).get_lll_reduced_lattice().matrix, dtype=np.float64)
    grid = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64)
    lengths = np.linalg.norm(grid @ matrix, axis=1)
    return ReducedLattice(
        matrix=matrix,
        transformation=np.asarray(np.round(given @ np.linalg.inv(matrix)), dtype=np.float64),
        images=_needed_images(grid, matrix) @ matrix,
        shortest=float(lengths[lengths > _IMAGE_TOLERANCE].min()),
    )


def _needed_images(grid: FloatArray, matrix: FloatArray) -> FloatArray:
    """Keep the images that are the nearest one for some difference in the cell around the origin.

    Each is a linear program: is there a difference for which the image beats all others?
    """
    from scipy.optimize import linprog

    metric = matrix @ matrix.T
    squared = np.einsum('ni,ij,nj->n', grid, metric, grid)
    kept = []
    for image, length in zip(grid, squared, strict=True):
        others = np.any(grid != image, axis=1)
        slopes = 2.0 * (image - grid[others]) @ metric
        answer = linprog(
            [0.0, 0.0, 0.0, -1.0],
            A_ub=np.column_stack([slopes, np.ones(len(slopes))]),
            b_ub=squared[others] - length,
            bounds=[(-0.5, 0.5)] * 3 + [(None, None)],
        )
        if not answer.success or -answer.fun > _IMAGE_TOLERANCE:
            kept.append(image)
    return np.array(kept)


@dataclasses.dataclass(frozen=True, eq=False)
class OrbitDistances:
    """The minimum-image distances of all crystals of one Wyckoff assignment in one lattice.

    By symmetry the distances from one atom of each orbit hold all others; only those are computed.

    :param lattice: the reduced lattice.
    :param rotations: differences of position per free coordinate, shape (freedom, pairs * 3).
    :param translations: differences of position at the origin of the free coordinates, shape (pairs * 3,).
    :param repeats: which computed pair stands for each pair of atoms, block after block; shape (slots,), or with the
        blocks of one element twice as long.
    :param halves: which of the sorted distances are kept, shape (slots,).
    :param offsets: a number per entry of ``repeats`` that keeps the blocks apart while sorting.
    """

    lattice: ReducedLattice
    rotations: FloatArray
    translations: FloatArray
    repeats: IntArray
    halves: IntArray
    offsets: FloatArray

    @classmethod
    def of(cls, atoms: OrbitMap, lattice: ReducedLattice) -> OrbitDistances:
        """Prepare the distances of one assignment.

        :param atoms: the map from free coordinates to atoms.
        :param lattice: the reduced form of the lattice that the map refers to.
        """
        pairs: list[tuple[int, int]] = []
        repeats: list[int] = []
        halves: list[int] = []
        offsets: list[float] = []
        for number, (first, second) in enumerate(_blocks(atoms.species)):
            chosen, weights = _representative_pairs(atoms, first, second)
            start = len(repeats)
            repeats += np.repeat(np.arange(len(pairs), len(pairs) + len(chosen)), weights).tolist()
            halves += list(range(start, len(repeats), 2 if first == second else 1))
            offsets += [number * 10.0 * _LONGEST] * (len(repeats) - start)
            pairs += chosen
        return cls._from_pairs(atoms, lattice, pairs, repeats, halves, offsets)

    @classmethod
    def matched(cls, atoms: OrbitMap, lattice: ReducedLattice, order: Sequence[int]) -> OrbitDistances:
        """Prepare the distances of one assignment whose atoms have been matched with rows of a matrix.

        Each slot is a block of its own, so that nothing is sorted: the slots are the upper triangle, row by row.

        :param atoms: the map from free coordinates to atoms.
        :param lattice: the reduced form of the lattice that the map refers to.
        :param order: the atom that stands in each row of the matrix.
        """
        pairs = list(itertools.combinations((int(atom) for atom in order), 2))
        slots = list(range(len(pairs)))
        return cls._from_pairs(atoms, lattice, pairs, slots, slots, [slot * 10.0 * _LONGEST for slot in slots])

    @classmethod
    def _from_pairs(
        cls,
        atoms: OrbitMap,
        lattice: ReducedLattice,
        pairs: Sequence[tuple[int, int]],
        repeats: Sequence[int],
        halves: Sequence[int],
        offsets: Sequence[float],
    ) -> OrbitDistances:
        """Precompute how the differences of position depend on the free coordinates."""
        begin, end = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
        to_reduced = lattice.transformation
        rotations = np.einsum('pif,ij->fpj', atoms.rotations[end] - atoms.rotations[begin], to_reduced)
        translations = (atoms.translations[end] - atoms.translations[begin]) @ to_reduced
        return cls(
            lattice=lattice,
            rotations=rotations.reshape(atoms.rotations.shape[2], 3 * len(pairs)),
            translations=translations.reshape(3 * len(pairs)),
            repeats=np.array(repeats, dtype=np.int64),
            halves=np.array(halves, dtype=np.int64),
            offsets=np.array(offsets),
        )

    def sorted_distances(self, free: FloatArray) -> FloatArray:
        """Return the distances of many crystals, sorted within each pair of elements.

        :param free: free coordinates, shape (crystals, freedom).
        :return: distances, shape (crystals, slots), A; a slot is an unordered pair of atoms.
        """
        distances = _lengths(self._vectors(free))[:, self.repeats]
        distances += self.offsets
        distances.sort(axis=1)
        distances -= self.offsets
        return np.asarray(distances[:, self.halves], dtype=np.float64)

    def with_gradient(self, free: FloatArray) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
        """Return the sorted distances and the function that carries slopes back to the free coordinates.

        :param free: free coordinates, shape (crystals, freedom).
        :return: distances, shape (crystals, slots), A, and a function from the derivatives of a quantity by these
            distances, shape (crystals, slots), to its derivatives by the free coordinates, shape (crystals, freedom).
        """
        vectors = self._vectors(free)
        lengths = _lengths(vectors)
        distances = lengths[:, self.repeats]
        order = np.argsort(distances + self.offsets, axis=1, kind='stable')[:, self.halves]

        def carry_back(slopes: FloatArray) -> FloatArray:
            by_repeat = np.zeros_like(distances)
            np.put_along_axis(by_repeat, order, slopes, axis=1)
            by_pair = np.add.reduceat(by_repeat, self._first_repeats, axis=1) / np.maximum(lengths, _SHORTEST)
            by_difference = (by_pair[..., None] * vectors) @ self.lattice.matrix.T
            return np.asarray(by_difference.reshape(len(free), -1) @ self.rotations.T, dtype=np.float64)

        return np.take_along_axis(distances, order, axis=1), carry_back

    @property
    def _first_repeats(self) -> IntArray:
        """Return where the repeats of each computed pair begin."""
        return np.flatnonzero(np.diff(self.repeats, prepend=-1))

    def _vectors(self, free: FloatArray) -> FloatArray:
        """Return the computed pairs of many crystals as vectors, shape (crystals, pairs, 3), A."""
        difference = (free @ self.rotations + self.translations).reshape(len(free), -1, 3)
        return self.lattice.vectors(difference)


def _lengths(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum('...i,...i->...', vectors, vectors)), dtype=np.float64)


def widest_contact(position: WyckoffPosition, lattice: ReducedLattice) -> float:
    """Return how far apart the atoms of one orbit can lie, judged on a grid of its free coordinates.

    :param position: the Wyckoff position.
    :param lattice: the reduced form of the primitive lattice.
    :return: the largest of the shortest distances within the orbit or to its own images, A.
    """
    points = _GRID_POINTS[position.freedom]
    axis = (np.arange(points) + 0.5) / points
    free = np.array(list(itertools.product(axis, repeat=position.freedom))).reshape(
        points**position.freedom, position.freedom
    )
    rotations = (position.rotations - position.rotations[0])[1:]
    translations = (position.translations - position.translations[0])[1:]
    difference = (np.einsum('nif,pf->pni', rotations, free) + translations) @ lattice.transformation
    nearest = _lengths(lattice.vectors(difference)).min(axis=1, initial=lattice.shortest)
    return float(nearest.max())


def _blocks(species: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of elements in the order of the blocks."""
    return list(itertools.combinations_with_replacement(dict.fromkeys(species), 2))


def _representative_pairs(atoms: OrbitMap, first: str, second: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the pairs of atoms to compute for one block, and for how many pairs each stands."""
    if first == second:
        return _pairs_from(atoms, first, second)
    return min(_pairs_from(atoms, first, second), _pairs_from(atoms, second, first), key=lambda found: len(found[0]))


def _pairs_from(atoms: OrbitMap, first: str, second: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Pair the first atom of each orbit of one element with all atoms of another."""
    species = np.array(atoms.species)
    targets = np.flatnonzero(species == second).tolist()
    pairs, weights = [], []
    for orbit in dict.fromkeys(atoms.orbits[species == first].tolist()):
        members = np.flatnonzero(atoms.orbits == orbit)
        found = [(int(members[0]), target) for target in targets if target != members[0]]
        pairs += found
        weights += [len(members)] * len(found)
    return pairs, weights


class DistanceScore:
    """The log-likelihood of sorted distances under one prediction.

    The probability density is interpolated between the centres of the bins, so that the score is smooth, and gets
    exponential tails, so that a trial far away from the prediction is led towards it and one outlier does not decide.

    :param prediction: distributions of all pairs of the cell.
    :param tail_weight: share of the probability in the tails; with all of it there the score is coarse and leads from
        far away, with little it is sharp.
    """

    def __init__(self, prediction: DistancePrediction, tail_weight: float = 0.1, matched: bool = False) -> None:
        self.species = prediction.species
        self.expectation = prediction.expectation
        self.slots = len(self.species) * (len(self.species) - 1) // 2
        log_density = np.log(_density(prediction, tail_weight))
        atoms = np.arange(len(self.species))
        largest = max(self.species, key=covalent_radius)
        own = log_density[atoms, atoms].mean(axis=0) - _clash_penalty(largest, largest)
        rows = [own, *self._rows(log_density, matched)]
        self._width = len(own)
        self._table = np.concatenate(rows)
        self._starts = np.arange(1, self.slots + 1) * self._width

    def _rows(self, log_density: FloatArray, matched: bool) -> Iterator[FloatArray]:
        """Yield the log-density of each slot less the penalty for clashes."""
        for first, second in self._ordered_pairs(matched):
            yield log_density[first, second] - _clash_penalty(self.species[first], self.species[second])

    def _ordered_pairs(self, matched: bool) -> Iterator[tuple[int, int]]:
        """Yield the pairs of atoms in the order of the slots."""
        pairs = list(itertools.combinations(range(len(self.species)), 2))
        if matched:
            yield from pairs
            return
        for block in _blocks(self.species):
            inside = [pair for pair in pairs if (self.species[pair[0]], self.species[pair[1]]) == block]
            yield from sorted(inside, key=lambda pair: float(self.expectation[pair]))

    def __call__(self, distances: FloatArray, shortest: float, scale: FloatArray) -> FloatArray:
        """Return the mean log-likelihood per pair of atoms, the nearest own images included, less clash penalties.

        :param distances: sorted distances, shape (crystals, slots), A.
        :param shortest: shortest lattice vector, A.
        :param scale: factor on all lengths, shape (crystals,).
        """
        return self.with_gradient(distances, shortest, scale)[0]

    def with_gradient(
        self, distances: FloatArray, shortest: float, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the score and its derivatives by the unscaled distances and by the scale.

        :param distances: sorted distances, shape (crystals, slots), A.
        :param shortest: shortest lattice vector, A.
        :param scale: factor on all lengths, shape (crystals,).
        :return: arrays of shape (crystals,), (crystals, slots) and (crystals,).
        """
        pairs, slopes = self._look_up(distances * scale[:, None], self._starts)
        own, own_slopes = self._look_up(shortest * scale, np.zeros(1, dtype=np.int64))
        number = self.slots + len(self.species)
        by_scale = (slopes * distances).sum(axis=1) + len(self.species) * shortest * own_slopes
        value = pairs.sum(axis=1) + len(self.species) * own
        return value / number, slopes * (scale[:, None] / number), by_scale / number

    def _look_up(self, distances: FloatArray, starts: IntArray) -> tuple[FloatArray, FloatArray]:
        """Interpolate the rows of the table that begin at ``starts``; return values and slopes."""
        place = np.minimum(distances / _STEP, self._width - 1.001)
        whole = place.astype(np.int64)
        place -= whole
        whole += starts
        left = self._table.take(whole)
        whole += 1
        step = self._table.take(whole) - left
        return left + step * place, step / _STEP


def _density(prediction: DistancePrediction, tail_weight: float) -> FloatArray:
    """Return the smoothed probability density of every pair on the grid, shape (atoms, atoms, grid), 1/A."""
    grid = np.arange(0.0, _LONGEST + _STEP, _STEP)
    centres = prediction.bin_centres
    after = np.clip(np.searchsorted(centres, grid), 1, len(centres) - 1)
    weight = np.clip((grid - centres[after - 1]) / (centres[after] - centres[after - 1]), 0.0, 1.0)
    per_length = prediction.probabilities / np.diff(prediction.bin_edges)
    density = per_length[..., after - 1] * (1.0 - weight) + per_length[..., after] * weight
    density /= np.maximum(density.sum(axis=-1, keepdims=True) * _STEP, 1e-12)
    spread = np.exp(-np.abs(grid[:, None] - grid) / _TAIL_LENGTH) * (_STEP / (2.0 * _TAIL_LENGTH))
    mixed: FloatArray = (1.0 - tail_weight) * density + tail_weight * (density @ spread)
    return mixed + _BACKGROUND


@functools.cache
def _clash_penalty(first: str, second: str) -> FloatArray:
    """Return what is taken off the log-likelihood of a pair of two elements at each distance of the grid."""
    grid = np.arange(0.0, _LONGEST + _STEP, _STEP)
    limit = 1.05 * CLASH_FRACTION * (covalent_radius(first) + covalent_radius(second))
    return np.asarray(_CLASH_STRENGTH * np.maximum(1.0 - grid / limit, 0.0), dtype=np.float64)
