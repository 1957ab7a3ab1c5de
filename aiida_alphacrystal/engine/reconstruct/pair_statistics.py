"""What known crystals say about the distances of two elements: a statistical potential of pairs.

How often the known compounds of a library have two elements at a distance is compared with how often random places in
their cells would (M. J. Sippl, J. Mol. Biol. 213, 859, 1990, https://doi.org/10.1016/S0022-2836(05)80269-4). Pairs of
elements that few compounds hold lean on pairs of alike elements, and these on all pairs.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS, MAX_Z, atomic_numbers, element_table
from aiida_alphacrystal.engine.reconstruct.contacts import covalent_radius

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('PairPrior', 'PairStatistics')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Edges of the bins: distances less the sum of the covalent radii, A.
_EDGES = np.linspace(-2.0, 4.0, 61)
_CENTRES = (_EDGES[1:] + _EDGES[:-1]) / 2.0
#: Width of the smoothing, in bins; it and the strengths are those that tell distances in crystals of ``val`` best from
#: distances of random places.
_SMOOTHING = 0.7
#: Random pairs in a bin that weigh as much as what a pair of elements leans on.
_STRENGTH = 0.6
_CLASS_STRENGTH = 2.0
_LEAST_ODDS = 1e-4
#: Cells, and random places in each, whose distances stand for all.
_CELLS = 64
_PLACES = 500
_GRID_STEP = 0.002
#: Pauling electronegativities that part classes of pairs: differences, and the smaller one of the two.
_DIFFERENCES = (0.3, 0.8, 1.4)
_SMALLER = (1.5, 2.0, 2.4)


class PairStatistics:
    """How much more often two elements lie at a distance in known crystals than at random.

    :param library: the known crystals.
    """

    def __init__(self, library: PrototypeLibrary) -> None:
        self._found = _count_found(library)
        self._random = _count_random(library)
        classes = _classes()
        shape = (int(classes.max()) + 1, len(_EDGES) - 1)
        found, random = (np.zeros(shape) for _ in range(2))
        np.add.at(found, classes, self._found)
        np.add.at(random, classes, self._random)
        everywhere = _ratio(found.sum(axis=0), random.sum(axis=0), np.ones(shape[1]), _CLASS_STRENGTH)
        self._by_class = _ratio(found, random, everywhere, _CLASS_STRENGTH)
        self._curves: dict[int, FloatArray] = {}

    def log_odds(self, first: str, second: str, distances: FloatArray) -> FloatArray:
        """Return the logarithm of how much more often two elements lie at distances than at random.

        :param first: symbol of one element.
        :param second: symbol of the other.
        :param distances: minimum-image distances, any shape, A; beyond those counted nothing is known, and it is 0.
        """
        beyond = distances - (covalent_radius(first) + covalent_radius(second))
        return np.interp(beyond, _CENTRES, self._curve(first, second), right=0.0)

    def _curve(self, first: str, second: str) -> FloatArray:
        """Return the log-odds of two elements by bin."""
        numbers = atomic_numbers()
        row = int(_pair_code(np.array(numbers[first]), np.array(numbers[second])))
        if row not in self._curves:
            expected = self._by_class[_classes()[row]]
            odds = _ratio(self._found[row], self._random[row], expected, _STRENGTH)
            self._curves[row] = np.log(np.maximum(odds, _LEAST_ODDS))
        return self._curves[row]


class PairPrior(NamedTuple):
    """What known crystals add to the log-likelihood of distances.

    :param statistics: of the known crystals.
    :param weight: of their log-odds beside a predicted distance.
    """

    statistics: PairStatistics
    weight: float

    def __call__(self, first: str, second: str, distances: FloatArray) -> FloatArray:
        """Return what is added to the log-likelihood of distances of two elements.

        :param first: symbol of one element.
        :param second: symbol of the other.
        :param distances: minimum-image distances, any shape, A.
        """
        return self.weight * self.statistics.log_odds(first, second, distances)

    def sum(self, distances: FloatArray, species: Sequence[str]) -> float:
        """Return what is added for all pairs of a crystal.

        :param distances: minimum-image distances, shape (atoms, atoms), A.
        :param species: element of every atom, equal elements side by side.
        """
        symbols = np.array(species)
        first, second = np.triu_indices(len(symbols), 1)
        lengths, left, right = distances[first, second], symbols[first], symbols[second]
        pairs = itertools.combinations_with_replacement(dict.fromkeys(species), 2)
        return float(sum(self(*pair, lengths[(left == pair[0]) & (right == pair[1])]).sum() for pair in pairs))


def _pair_code(first: IntArray, second: IntArray) -> IntArray:
    """Return the row of each pair of atomic numbers, whatever their order."""
    return np.minimum(first, second) * MAX_Z + np.maximum(first, second)


def _count_found(library: PrototypeLibrary) -> FloatArray:
    """Count the distances of known compounds by elements and bin, shape (pairs of elements, bins)."""
    bins = len(_EDGES) - 1
    counts = np.zeros(MAX_Z * MAX_Z * bins)
    sums = _sums_of_radii()
    sites = np.diff(library.offsets)[library.member_prototypes]
    for number in np.unique(sites[sites > 1]):
        members = np.flatnonzero(sites == number)
        prototypes = library.member_prototypes[members]
        slots = library.slots[library.offsets[prototypes][:, None] + np.arange(number)]
        elements = np.take_along_axis(library.member_elements[members], slots, axis=1)
        first, second = np.triu_indices(number, 1)
        codes = _pair_code(elements[:, first], elements[:, second])
        scale = library.member_volumes[members] ** (1.0 / 3.0)
        distances = library.distances_of(members.tolist())[:, first, second] * scale[:, None]
        place = np.searchsorted(_EDGES, distances - sums[codes], side='right') - 1
        counted = (place >= 0) & (place < bins)
        counts += np.bincount(codes[counted] * bins + place[counted], minlength=len(counts))
    return counts.reshape(-1, bins)


def _count_random(library: PrototypeLibrary) -> FloatArray:
    """Count what random places in the cells of known compounds would give, shape (pairs of elements, bins).

    What it would give depends on the shape of the cell; the mean over some of them serves for all.
    """
    bins = len(_EDGES) - 1
    counts = np.zeros(MAX_Z * MAX_Z * bins)
    sums, shares = _sums_of_radii(), _shares_within(library)
    sites = np.diff(library.offsets)
    lengths = (library.member_volumes * sites[library.member_prototypes]) ** (1.0 / 3.0)
    for first, second in zip(*np.triu_indices(library.slot_counts.shape[1]), strict=True):
        one, other = library.slot_counts[:, first], library.slot_counts[:, second]
        pairs = (one * (one - 1) // 2 if first == second else one * other)[library.member_prototypes]
        members = np.flatnonzero(pairs)
        codes = _pair_code(library.member_elements[members, first], library.member_elements[members, second])
        scaled = (_EDGES + sums[codes][:, None]) / (lengths[members][:, None] * _GRID_STEP)
        within = shares[np.clip(scaled.astype(np.int64), 0, len(shares) - 1)]
        rows = codes[:, None] * bins + np.arange(bins)
        expected = pairs[members][:, None] * np.diff(within, axis=1)
        counts += np.bincount(rows.ravel(), expected.ravel(), minlength=len(counts))
    return counts.reshape(-1, bins)


def _shares_within(library: PrototypeLibrary) -> FloatArray:
    """Return the share of random pairs of places that are no farther apart than each length of a grid.

    Lengths are in units of the cube root of the volume of the cell.
    """
    from pymatgen.core.lattice import Lattice

    generator = np.random.default_rng(0)
    chosen = np.unique(np.linspace(0, len(library.member_prototypes) - 1, _CELLS).astype(np.int64))
    distances = []
    for matrix in library.lattices[library.member_prototypes[chosen]]:
        lattice = Lattice(matrix)
        lengths = lattice.get_all_distances(np.zeros(3), generator.random((_PLACES, 3)))[0]
        distances.append(lengths / lattice.volume ** (1.0 / 3.0))
    ordered = np.sort(np.concatenate(distances))
    grid = np.arange(0.0, ordered[-1] + 2.0 * _GRID_STEP, _GRID_STEP)
    return np.searchsorted(ordered, grid, side='right') / len(ordered)


def _ratio(found: FloatArray, random: FloatArray, expected: FloatArray, strength: float) -> FloatArray:
    """Return how much more often distances are found than at random, leaning on what is expected; bins last."""
    from scipy.ndimage import gaussian_filter1d

    found, random = (gaussian_filter1d(counts, _SMOOTHING, axis=-1, mode='nearest') for counts in (found, random))
    return np.asarray((found + strength * expected) / (random + strength))


@functools.cache
def _sums_of_radii() -> FloatArray:
    """Return the sum of the covalent radii of each pair of elements, shape (pairs,), A."""
    radii = np.zeros(MAX_Z)
    for symbol, number in atomic_numbers().items():
        radii[number] = covalent_radius(symbol)
    return (radii[:, None] + radii).ravel()


@functools.cache
def _classes() -> IntArray:
    """Return the class of each pair of elements, shape (pairs,)."""
    column = ELEMENT_COLUMNS.index('electronegativity')
    values = np.zeros(MAX_Z)
    for symbol, row in element_table().items():
        values[atomic_numbers()[symbol]] = row[column]
    difference = np.digitize(np.abs(values[:, None] - values), _DIFFERENCES)
    smaller = np.digitize(np.minimum(values[:, None], values), _SMALLER)
    same = np.eye(MAX_Z, dtype=np.int64)
    return np.asarray((difference * (len(_SMALLER) + 1) + smaller) * 2 + same).ravel()
