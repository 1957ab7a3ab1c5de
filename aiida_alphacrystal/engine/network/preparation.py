"""Turn a file of crystals into the one array file that training reads with numpy alone."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.datasets import Crystal, DatasetError, file_sha256, read_crystals
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS, featurize

__all__ = ('PreparedData', 'canonical_order', 'draw', 'prepare', 'prepare_crystals')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FORMAT = 'aiida-alphacrystal prepared distances'
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class PreparedData:
    """Crystals as arrays, one after the other.

    :param natoms: atoms of each crystal, shape (crystals,).
    :param elements: atomic number of every atom of every crystal, atoms in canonical order, shape (all atoms,).
    :param features: raw descriptors of every atom, shape (all atoms, 11).
    :param distances: minimum-image distance matrices, flattened, A, shape (sum of atoms squared,).
    :param card: where the crystals come from: file name, SHA-256 and counts.
    """

    natoms: IntArray
    elements: IntArray
    features: FloatArray
    distances: npt.NDArray[np.float32]
    card: dict[str, Any]

    def __len__(self) -> int:
        return len(self.natoms)

    def crystals(self) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield the elements, features and distance matrix of one crystal after the other."""
        atoms, pairs = 0, 0
        for size in self.natoms.tolist():
            matrix = self.distances[pairs : pairs + size * size].reshape(size, size).astype(np.float64)
            yield self.elements[atoms : atoms + size], self.features[atoms : atoms + size], matrix
            atoms, pairs = atoms + size, pairs + size * size

    def pair_distances(self) -> npt.NDArray[np.float64]:
        """Return the distances of all different atoms, each pair once, shape (pairs,), A."""
        return np.concatenate([matrix[np.triu_indices(len(matrix), 1)] for _, _, matrix in self.crystals()])

    def save(self, path: Path) -> None:
        """Write the arrays as one file.

        :param path: an ``.npz`` file, replaced if it exists.
        """
        buffer = io.BytesIO()
        card = np.array(json.dumps({'format': _FORMAT, 'version': _VERSION, **self.card}, sort_keys=True))
        np.savez_compressed(
            buffer,
            natoms=self.natoms,
            elements=self.elements,
            features=self.features,
            distances=self.distances,
            card=card,
            allow_pickle=False,
        )
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> PreparedData:
        """Read what :meth:`save` wrote.

        :param path: an ``.npz`` file.
        :raises DatasetError: if the file is missing, damaged or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                card = json.loads(str(arrays['card']))
                if card.pop('format') != _FORMAT or card.pop('version') != _VERSION:
                    raise ValueError
                names = ('natoms', 'elements', 'features', 'distances')
                data = cls(**{name: arrays[name] for name in names}, card=card)
        except FileNotFoundError as error:
            raise DatasetError(f'There is no file {path}: give the path of prepared crystals.') from error
        except Exception as error:
            raise DatasetError(f'{path} does not hold prepared crystals: make it again from a JSONL file.') from error
        return data


def draw(data: PreparedData, number: int, seed: int) -> PreparedData:
    """Return so many crystals drawn at random, in the order in which they are.

    :param data: all crystals.
    :param number: how many to draw; all of them where it is 0 or there are not more.
    :param seed: of the draw.
    """
    if not 0 < number < len(data):
        return data
    chosen = np.zeros(len(data), dtype=bool)
    chosen[np.random.default_rng(seed).choice(len(data), size=number, replace=False)] = True
    atoms, squares = np.repeat(chosen, data.natoms), np.repeat(chosen, data.natoms**2)
    return PreparedData(
        natoms=data.natoms[chosen],
        elements=data.elements[atoms],
        features=data.features[atoms],
        distances=data.distances[squares],
        card={**data.card, 'crystals': number, 'drawn_from': len(data), 'draw_seed': seed},
    )


def prepare(
    source: Path,
    target: Path | None = None,
    max_atoms: int = DEFAULT_MAX_ATOMS,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedData:
    """Compute features and distance matrices of all crystals of a file.

    :param source: a JSONL file of crystals, or an ``.npz`` file prepared before, which is read as it is.
    :param target: where to keep the result; read instead of computed if it fits the source already.
    :param max_atoms: leave larger cells out.
    :param progress: called with the crystals done and their total.
    :raises DatasetError: if a file cannot be read.
    :raises UnsupportedElementError: if an element has no descriptors.
    """
    if source.suffix == '.npz':
        return PreparedData.load(source)
    if not source.exists():
        raise DatasetError(f'There is no file {source}: give the path of a JSONL file of crystals.')
    card = {'file': source.name, 'sha256': file_sha256(source), 'max_atoms': max_atoms}
    if target is not None and target.exists():
        known = PreparedData.load(target)
        if all(known.card.get(key) == value for key, value in card.items()):
            return known
    data = prepare_crystals(read_crystals(source, max_atoms), card, progress)
    if target is not None:
        data.save(target)
    return data


def prepare_crystals(
    crystals: tuple[Crystal, ...],
    card: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedData:
    """Compute features and distance matrices of crystals.

    :param crystals: at least one.
    :param card: what to note about their source.
    :param progress: called with the crystals done and their total.
    :raises UnsupportedElementError: if an element has no descriptors.
    """
    elements, features, distances = [], [], []
    for number, crystal in enumerate(crystals, start=1):
        rows, matrix = _prepare_one(crystal)
        elements.append(rows[:, ELEMENT_COLUMNS.index('atomic_number')].astype(np.int64))
        features.append(rows)
        distances.append(matrix.astype(np.float32).ravel())
        if progress is not None:
            progress(number, len(crystals))
    natoms = np.array([len(rows) for rows in features], dtype=np.int64)
    return PreparedData(
        natoms=natoms,
        elements=np.concatenate(elements),
        features=np.concatenate(features),
        distances=np.concatenate(distances),
        card={**(card or {}), 'crystals': len(crystals)},
    )


def _prepare_one(crystal: Crystal) -> tuple[FloatArray, FloatArray]:
    """Return the features and the distances of one crystal, atoms in canonical order."""
    formula = crystal.formula
    units = formula.formula_units or 1
    rank = {symbol: place for place, symbol in enumerate(formula.elements)}
    by_element = np.argsort([rank[symbol] for symbol in crystal.species], kind='stable')
    matrix = minimum_image_distances(crystal.lattice, crystal.frac_coords)[np.ix_(by_element, by_element)]
    groups = np.sort([rank[symbol] for symbol in crystal.species])
    order = canonical_order(matrix, groups)
    return featurize(formula, units, max_sites=crystal.natoms), matrix[np.ix_(order, order)]


def canonical_order(distances: FloatArray, groups: npt.NDArray[np.int64]) -> IntArray:
    """Order the atoms of each element by their surroundings, so that like crystals give like matrices.

    Atoms with the same sorted distances stay together; among them, and step by step, the next atom is the one
    nearest to the atoms that have been placed before, the first of them first.

    :param distances: distance matrix, equal elements side by side, shape (atoms, atoms), A.
    :param groups: element of every atom, ascending, shape (atoms,).
    :return: indices of the atoms in their new order, shape (atoms,).
    """
    rounded = np.round(distances / 0.05).astype(np.int64)
    surroundings = np.concatenate([np.sort(rounded[:, groups == group], axis=1) for group in np.unique(groups)], axis=1)
    placed: list[int] = []
    for group in np.unique(groups):
        left = np.flatnonzero(groups == group).tolist()
        while left:
            keys = [(*surroundings[atom], *rounded[atom, placed], atom) for atom in left]
            placed.append(left.pop(keys.index(min(keys))))
    return np.array(placed, dtype=np.int64)
