"""Wyckoff positions in the primitive cell, the ways to fill them, and the crystals they give.

Minimum-image distances do not depend on which primitive cell is taken, and a primitive cell holds the fewest atoms, so
everything here is primitive: multiplicities are those of the conventional cell divided by its centring factor. The
tables are pyxtal's (Fredericks et al., Comput. Phys. Commun. 261, 107810, 2021, https://doi.org/10.1016/j.cpc.2020.107810),
in the standard setting of each group: hexagonal axes, unique axis b, second origin choice.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.errors import SettingsError

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = (
    'Assignment',
    'OrbitMap',
    'SpaceGroup',
    'WyckoffPosition',
    'build_structure',
    'conventional_lattice',
    'enumerate_assignments',
    'fillings',
    'first_of_its_class',
    'normalizer_permutations',
    'orbit_map',
    'primitive_lattice',
    'space_group',
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Primitive lattice vectors in terms of the conventional ones, as rows.
_CENTRING: dict[str, tuple[tuple[float, ...], ...]] = {
    'P': ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    'A': ((1, 0, 0), (0, 0.5, 0.5), (0, -0.5, 0.5)),
    'C': ((0.5, 0.5, 0), (-0.5, 0.5, 0), (0, 0, 1)),
    'I': ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5)),
    'F': ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)),
    'R': ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}
_METRIC_TOLERANCE = 1e-4
_ENUMERATION_EFFORT = 50


@dataclasses.dataclass(frozen=True, eq=False)
class WyckoffPosition:
    """One Wyckoff position of a space group, in the primitive cell.

    Point k of the orbit of free coordinates u lies at ``rotations[k] @ u + translations[k]``. A free coordinate is a
    fractional coordinate of the conventional cell, so it has period 1.

    :param letter: Wyckoff letter.
    :param multiplicity: points of the orbit in the primitive cell.
    :param conventional_multiplicity: points of the orbit in the conventional cell.
    :param freedom: number of free coordinates.
    :param rotations: shape (multiplicity, 3, freedom), primitive fractional coordinates.
    :param translations: shape (multiplicity, 3), primitive fractional coordinates.
    """

    letter: str
    multiplicity: int
    conventional_multiplicity: int
    freedom: int
    rotations: FloatArray
    translations: FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class SpaceGroup:
    """A space group with its Wyckoff positions in the primitive cell.

    :param number: international number.
    :param symbol: Hermann-Mauguin symbol, such as ``Pm-3m``.
    :param system: lattice system as pyxtal names it: triclinic, monoclinic, orthorhombic, tetragonal, trigonal,
        hexagonal or cubic.
    :param basis: primitive lattice vectors in terms of the conventional ones, rows, shape (3, 3).
    :param positions: all Wyckoff positions, letter a first.
    :param normalizer: what the coset representatives of the Euclidean normalizer do: the rotation part in the
        conventional basis, shape (3, 3), and for each position the index of the one that it becomes.
    """

    number: int
    symbol: str
    system: str
    basis: FloatArray
    positions: tuple[WyckoffPosition, ...]
    normalizer: tuple[tuple[FloatArray, tuple[int, ...]], ...]

    @property
    def general_position(self) -> WyckoffPosition:
        """Return the position without site symmetry."""
        return self.positions[-1]

    @property
    def points(self) -> frozenset[int]:
        """Return the indices of the positions without freedom, each of which can be taken once."""
        return frozenset(place for place, position in enumerate(self.positions) if not position.freedom)

    def position(self, letter: str) -> WyckoffPosition:
        """Return the position of one letter.

        :param letter: Wyckoff letter.
        :raises SettingsError: if the group has no such position.
        """
        for position in self.positions:
            if position.letter == letter:
                return position
        letters = ', '.join(position.letter for position in self.positions)
        raise SettingsError(f'Space group {self.symbol} has no Wyckoff position {letter!r}: give one of {letters}.')


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Which Wyckoff positions the elements of a cell occupy.

    :param sites: element and Wyckoff letter of each orbit; equal elements side by side, letters in alphabetic order.
    :param freedom: number of free coordinates of all orbits together.
    """

    sites: tuple[tuple[str, str], ...]
    freedom: int

    def label(self, group: SpaceGroup) -> str:
        """Return the assignment as a reader writes it, such as ``Sr 1a, Ti 1b, O 3c``.

        :param group: the space group whose (conventional) multiplicities are written.
        """
        return ', '.join(
            f'{element} {group.position(letter).conventional_multiplicity}{letter}' for element, letter in self.sites
        )


@dataclasses.dataclass(frozen=True, eq=False)
class OrbitMap:
    """The affine map from the free coordinates of an assignment to the atoms of the primitive cell.

    Atom k lies at ``rotations[k] @ u + translations[k]`` in primitive fractional coordinates.

    :param species: element of every atom.
    :param orbits: index of the orbit (the site of the assignment) of every atom, shape (atoms,).
    :param rotations: shape (atoms, 3, freedom).
    :param translations: shape (atoms, 3).
    """

    species: tuple[str, ...]
    orbits: IntArray
    rotations: FloatArray
    translations: FloatArray

    def coordinates(self, free: npt.ArrayLike) -> FloatArray:
        """Return the primitive fractional coordinates of all atoms.

        :param free: free coordinates, shape (..., freedom).
        :return: coordinates, not wrapped into the cell, shape (..., atoms, 3).
        """
        moved = np.einsum('nif,...f->...ni', self.rotations, np.asarray(free, dtype=np.float64))
        return np.asarray(moved + self.translations, dtype=np.float64)


@functools.lru_cache(maxsize=230)
def space_group(number: int) -> SpaceGroup:
    """Return a space group with its Wyckoff positions in the primitive cell.

    :param number: international number.
    :raises SettingsError: if it is no integer from 1 to 230.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 1 <= number <= 230:
        raise SettingsError(f'The space group is {number!r}: give an international number from 1 to 230.')
    from pyxtal.symmetry import Group

    group = Group(int(number))
    basis = np.array(_CENTRING[group.symbol[0]], dtype=np.float64)
    positions = tuple(_primitive_position(position, basis) for position in reversed(list(group)))
    return SpaceGroup(
        number=int(number),
        symbol=group.symbol,
        system=group.lattice_type,
        basis=basis,
        positions=positions,
        normalizer=_normalizer(group, positions),
    )


def _primitive_position(position: Any, basis: FloatArray) -> WyckoffPosition:
    """Turn one position of pyxtal's table into primitive coordinates and drop points equal but for a centring."""
    to_primitive = np.linalg.inv(basis.T)
    free = [axis for axis in range(3) if np.any(np.abs(position.ops[0].rotation_matrix[:, axis]) > 1e-6)]
    found: dict[tuple[int, ...], tuple[FloatArray, FloatArray]] = {}
    for operation in position.ops:
        rotation = to_primitive @ operation.rotation_matrix[:, free]
        translation = to_primitive @ operation.translation_vector
        translation = np.round((translation - np.floor(translation + 1e-6)) * 144) / 144
        key = tuple(np.round(np.concatenate([rotation.ravel(), translation]) * 144).astype(int).tolist())
        found.setdefault(key, (rotation, translation))
    rotations, translations = zip(*found.values(), strict=True)
    return WyckoffPosition(
        letter=position.letter,
        multiplicity=len(found),
        conventional_multiplicity=len(position.ops),
        freedom=len(free),
        rotations=np.array(rotations, dtype=np.float64).reshape(len(found), 3, len(free)),
        translations=np.array(translations, dtype=np.float64),
    )


def _normalizer(group: Any, positions: Sequence[WyckoffPosition]) -> tuple[tuple[FloatArray, tuple[int, ...]], ...]:
    """Read the coset representatives of the Euclidean normalizer and how they permute the positions."""
    from pymatgen.core.operations import SymmOp

    index = {position.letter: place for place, position in enumerate(positions)}
    alternatives = group.get_alternatives()
    found: dict[tuple[Any, ...], tuple[FloatArray, tuple[int, ...]]] = {}
    for text, letters in zip(alternatives['Coset Representative'], alternatives['Transformed WP'], strict=True):
        rotation = np.array(SymmOp.from_xyz_str(text).rotation_matrix, dtype=np.float64)
        permutation = tuple(index[letter] for letter in letters.split())
        found.setdefault((permutation, *np.round(rotation).astype(int).ravel().tolist()), (rotation, permutation))
    return tuple(found.values())


def conventional_lattice(number: int, parameters: Sequence[float]) -> FloatArray:
    """Return the conventional lattice vectors, made to obey the lattice system of the space group.

    Lengths and angles that the group holds equal are averaged, angles that it fixes are set.

    :param number: international number of the space group.
    :param parameters: conventional a, b, c (A) and alpha, beta, gamma (degrees) in the standard setting.
    :return: lattice vectors as rows, shape (3, 3), A.
    """
    from pymatgen.core.lattice import Lattice

    a, b, c, alpha, beta, gamma = (float(value) for value in parameters)
    system = space_group(number).system
    if system != 'triclinic':
        alpha, beta, gamma = 90.0, beta if system == 'monoclinic' else 90.0, 90.0
    if system in ('tetragonal', 'trigonal', 'hexagonal'):
        a = b = float(np.sqrt(a * b))
        gamma = gamma if system == 'tetragonal' else 120.0
    if system == 'cubic':
        a = b = c = float(np.cbrt(a * b * c))
    return np.array(Lattice.from_parameters(a, b, c, alpha, beta, gamma).matrix, dtype=np.float64)


def primitive_lattice(number: int, parameters: Sequence[float]) -> FloatArray:
    """Return the primitive lattice vectors that the primitive positions of the group refer to.

    :param number: international number of the space group.
    :param parameters: conventional a, b, c (A) and alpha, beta, gamma (degrees) in the standard setting.
    :return: lattice vectors as rows, shape (3, 3), A.
    """
    return np.asarray(space_group(number).basis @ conventional_lattice(number, parameters), dtype=np.float64)


def orbit_map(group: SpaceGroup, assignment: Assignment) -> OrbitMap:
    """Return the map from the free coordinates of an assignment to its atoms.

    :param group: the space group.
    :param assignment: which positions the elements occupy; its free coordinates are those of its sites in turn.
    """
    positions = [group.position(letter) for _, letter in assignment.sites]
    atoms = sum(position.multiplicity for position in positions)
    rotations = np.zeros((atoms, 3, assignment.freedom))
    row = column = 0
    for position in positions:
        rows = slice(row, row + position.multiplicity)
        rotations[rows, :, column : column + position.freedom] = position.rotations
        row, column = row + position.multiplicity, column + position.freedom
    multiplicities = [position.multiplicity for position in positions]
    return OrbitMap(
        species=tuple(np.repeat([element for element, _ in assignment.sites], multiplicities).tolist()),
        orbits=np.repeat(np.arange(len(positions)), multiplicities),
        rotations=rotations,
        translations=np.concatenate([position.translations for position in positions]),
    )


def build_structure(
    number: int, parameters: Sequence[float], assignment: Assignment, free: npt.ArrayLike, scale: float = 1.0
) -> Structure:
    """Return the primitive cell of a crystal.

    :param number: international number of the space group.
    :param parameters: conventional a, b, c (A) and alpha, beta, gamma (degrees) in the standard setting.
    :param assignment: which Wyckoff positions the elements occupy.
    :param free: free coordinates of all sites in turn, shape (freedom,).
    :param scale: factor on all lattice vectors.
    """
    from pymatgen.core import Structure

    atoms = orbit_map(space_group(number), assignment)
    coordinates = atoms.coordinates(free)
    return Structure(
        primitive_lattice(number, parameters) * scale, list(atoms.species), coordinates - np.floor(coordinates)
    )


def enumerate_assignments(
    number: int,
    counts: Mapping[str, int],
    limit: int | None = None,
    parameters: Sequence[float] | None = None,
    allowed: Mapping[str, Collection[str]] | None = None,
) -> tuple[Assignment, ...]:
    """Return the ways in which a composition can fill the Wyckoff positions of a space group.

    A position without freedom is used at most once. Assignments that the Euclidean normalizer carries into one another
    describe the same crystals, so one of each class is kept. Those with few sites, then with few free coordinates,
    come first; the order does not depend on the limit.

    :param number: international number of the space group.
    :param counts: atoms of each element in the primitive cell, in the order the sites shall have.
    :param limit: most assignments to return, None for all of them.
    :param parameters: conventional lattice; where its metric is higher than the group asks for (an orthorhombic cell
        with a = b), more assignments are equivalent. None keeps what a general metric tells apart.
    :param allowed: the letters that each element may occupy; None or an element left out allows all.
    """
    group = space_group(number)
    choices = _Choices(group, counts, allowed or {}, None if limit is None else limit * _ENUMERATION_EFFORT)
    found = itertools.islice(choices.distinct(normalizer_permutations(group, parameters)), limit)
    return tuple(_assignment(group, tuple(counts), choice) for choice in found)


def normalizer_permutations(
    group: SpaceGroup, parameters: Sequence[float] | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the permutations of positions by those normalizer operations that leave the lattice as it is.

    :param group: the space group.
    :param parameters: conventional lattice; None takes one that is as general as the group allows.
    """
    lattice = conventional_lattice(group.number, parameters or (5.1, 6.7, 8.3, 81.0, 97.0, 106.0))
    metric = lattice @ lattice.T
    identity = tuple(range(len(group.positions)))
    kept = {identity: None}
    for rotation, permutation in group.normalizer:
        if np.allclose(rotation.T @ metric @ rotation, metric, atol=_METRIC_TOLERANCE * np.trace(metric)):
            kept.setdefault(permutation)
    return tuple(kept)


def first_of_its_class(
    places: tuple[int, ...], permutations: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], ...] | None:
    """Return the permutations that keep a multiset of positions, or None if one makes it an earlier multiset.

    :param places: indices of the positions in ascending order.
    :param permutations: of the positions.
    """
    images = [tuple(sorted(permutation[place] for place in places)) for permutation in permutations]
    if min(images) < places:
        return None
    return tuple(swap for swap, image in zip(permutations, images, strict=True) if image == places)


def fillings(group: SpaceGroup, count: int, most_orbits: int, limit: int) -> tuple[tuple[int, ...], ...]:
    """Return the multisets of positions that hold a number of atoms, those of few orbits first.

    :param group: the space group.
    :param count: atoms.
    :param most_orbits: over which they may be divided.
    :param limit: most multisets to return.
    """
    pool = _Pool(group, count, {position.letter for position in group.positions})
    choices = (
        part for sites in range(1, most_orbits + 1) for parts in pool.with_sites(sites).values() for part in parts
    )
    return tuple(itertools.islice(choices, limit))


def _assignment(group: SpaceGroup, elements: Sequence[str], choice: Sequence[tuple[int, ...]]) -> Assignment:
    """Name the positions of one choice."""
    sites = tuple(
        (element, group.positions[place].letter)
        for element, part in zip(elements, choice, strict=True)
        for place in part
    )
    return Assignment(sites, sum(group.positions[place].freedom for part in choice for place in part))


class _Choices:
    """The ways to give each element a multiset of positions such that no position without freedom is shared.

    Equivalent ways are told apart while they are made: an element takes, of all multisets that the permutations carry
    into one another, the first one only, and the next element has the permutations left that keep it.

    :param group: the space group.
    :param counts: atoms of each element.
    :param allowed: the letters that each element may occupy; an element left out may occupy all.
    :param effort: most multisets to look at, None for all.
    """

    def __init__(
        self, group: SpaceGroup, counts: Mapping[str, int], allowed: Mapping[str, Collection[str]], effort: int | None
    ) -> None:
        letters = {position.letter for position in group.positions}
        self._fixed = group.points
        self._pools = [_Pool(group, count, allowed.get(element, letters)) for element, count in counts.items()]
        self._atoms = sum(counts.values())
        self._effort = math.inf if effort is None else effort
        self._known: dict[tuple[int, int, int], bool] = {}

    def distinct(self, permutations: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], ...]]:
        """Yield one choice of each class, by number of sites, then free coordinates.

        :param permutations: of the positions, a group.
        """
        for sites in range(len(self._pools), self._atoms + 1):
            for freedom in range(3 * sites + 1):
                yield from self._extend((), sites, freedom, permutations)

    def _extend(
        self, choice: tuple[tuple[int, ...], ...], sites: int, freedom: int, permutations: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[tuple[int, ...], ...]]:
        """Yield the completions of a choice with exactly so many further sites and free coordinates."""
        element = len(choice)
        if element == len(self._pools):
            yield choice
            return
        taken = self._fixed.intersection(itertools.chain.from_iterable(choice))
        for part, further_sites, further_freedom in self._parts(element, sites, freedom):
            if self._effort <= 0:
                return
            self._effort -= 1
            if not taken.isdisjoint(part):
                continue
            kept = first_of_its_class(part, permutations)
            if kept is None:
                continue
            yield from self._extend((*choice, part), further_sites, further_freedom, kept)

    def _parts(self, element: int, sites: int, freedom: int) -> Iterator[tuple[tuple[int, ...], int, int]]:
        """Yield the multisets of one element and the sites and free coordinates that they leave to the others."""
        for own_sites, own_freedom in self._splits(element, sites, freedom):
            for part in self._pools[element].with_sites(own_sites)[own_freedom]:
                yield part, sites - own_sites, freedom - own_freedom

    def _splits(self, element: int, sites: int, freedom: int) -> Iterator[tuple[int, int]]:
        """Yield what one element can take of so many sites and free coordinates and leave a rest that fits."""
        others = len(self._pools) - element - 1
        for own_sites in range(1, sites - others + 1) if others else (sites,):
            for own_freedom in self._pools[element].with_sites(own_sites):
                if own_freedom <= freedom and self._fits(element + 1, sites - own_sites, freedom - own_freedom):
                    yield own_sites, own_freedom

    def _fits(self, element: int, sites: int, freedom: int) -> bool:
        """Tell whether the elements from one on can take exactly so many sites and free coordinates, shared or not."""
        if element == len(self._pools):
            return sites == 0 and freedom == 0
        key = (element, sites, freedom)
        if key not in self._known:
            self._known[key] = next(self._splits(element, sites, freedom), None) is not None
        return self._known[key]


class _Pool:
    """The multisets of positions that hold a number of atoms, made only as far as they are asked for.

    :param group: the space group.
    :param count: atoms that the multisets hold.
    :param letters: positions that may be used.
    """

    def __init__(self, group: SpaceGroup, count: int, letters: Collection[str]) -> None:
        self._positions = group.positions
        self._count = count
        self._places = [place for place, position in enumerate(group.positions) if position.letter in letters]
        self._found: dict[int, dict[int, list[tuple[int, ...]]]] = {}

    def with_sites(self, sites: int) -> dict[int, list[tuple[int, ...]]]:
        """Return the multisets of so many sites by their number of free coordinates.

        :param sites: number of positions.
        """
        if sites not in self._found:
            by_freedom = {
                freedom: list(_fill(self._positions, self._places, self._count, sites, freedom))
                for freedom in (range(3 * sites + 1) if sites <= self._count else ())
            }
            self._found[sites] = {freedom: parts for freedom, parts in by_freedom.items() if parts}
        return self._found[sites]


def _fill(
    positions: Sequence[WyckoffPosition], places: Sequence[int], count: int, sites: int, freedom: int
) -> Iterator[tuple[int, ...]]:
    """Yield the multisets of exactly so many sites, atoms and free coordinates, drawn from ``places``."""
    if sites == 0:
        if count == 0 and freedom == 0:
            yield ()
        return
    if count < sites or freedom > 3 * sites:
        return
    for index, place in enumerate(places):
        position = positions[place]
        if position.multiplicity > count or position.freedom > freedom:
            continue
        following = places[index if position.freedom else index + 1 :]
        for rest in _fill(positions, following, count - position.multiplicity, sites - 1, freedom - position.freedom):
            yield (place, *rest)
