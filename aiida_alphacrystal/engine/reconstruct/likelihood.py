"""The likelihood of interatomic distances under the predicted distributions, for many crystals at once."""

from __future__ import annotations

import copy
import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.contacts import CLASH_FRACTION, covalent_radius
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.reconstruct.pair_statistics import PairPrior

__all__ = ('SHARP_TAILS', 'DistanceLikelihood', 'StructureFitness', 'element_blocks')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Share of the probability in the tails by which crystals are judged in the end.
SHARP_TAILS = 0.1

_CLASH_STRENGTH = 50.0
_STEP = 0.02
_LONGEST = 24.0
_TAIL_LENGTH = 0.5
_BACKGROUND = 1e-6


def element_blocks(species: Sequence[Hashable]) -> IntArray:
    """Return which pair of elements each pair of atoms belongs to.

    :param species: element of every atom, or a narrower kind, equal ones side by side.
    :return: index of the pair of elements for the upper triangle of the atoms, row by row, shape (pairs,).
    """
    blocks = {
        block: index for index, block in enumerate(itertools.combinations_with_replacement(dict.fromkeys(species), 2))
    }
    return np.array([blocks[pair] for pair in itertools.combinations(species, 2)], dtype=np.int64)


class DistanceLikelihood:
    """The mean log-likelihood of the distances of a crystal under one prediction.

    Atoms of one element are interchangeable, and no permutation of them is searched for: within each pair of elements
    the distances of a crystal, sorted, are scored under the distributions of the pairs, sorted by their mean. Where the
    atoms have been matched with the rows of the prediction, each distance is scored under its own distribution.

    The density is interpolated between the centres of the bins, so that the score is smooth, and gets exponential
    tails, so that a trial far away from the prediction is led towards it and one outlier does not decide. Atoms that
    come too close are punished, and what known crystals say of the distances of two elements may be added.

    :param prediction: distributions of all pairs of the cell.
    :param tail_weight: share of the probability in the tails; with all of it there the score is coarse and leads from
        far away, with little it is sharp.
    :param device: where the tables live.
    :param prior: what known crystals say of such distances; None leaves it out.
    """

    def __init__(
        self,
        prediction: DistancePrediction,
        tail_weight: float,
        device: torch.device,
        prior: PairPrior | None = None,
    ) -> None:
        species = prediction.species
        atoms = len(species)
        first, second = np.triu_indices(atoms, 1)
        own = np.arange(atoms)
        rows = np.concatenate([own, first]), np.concatenate([own, second])
        density = _density(prediction, rows)
        log_density = np.log((1.0 - tail_weight) * density + tail_weight * _with_tails(density) + _BACKGROUND)
        pairs_of_elements = itertools.combinations_with_replacement(dict.fromkeys(species), 2)
        added = {pair: -_clash_penalty(*pair) for pair in pairs_of_elements}
        if prior is not None:
            added = {pair: values + prior(*pair, _grid()) for pair, values in added.items()}
        largest = max(species, key=covalent_radius)
        table = [log_density[:atoms].mean(axis=0) - _clash_penalty(largest, largest)]
        table += [
            row + added[species[left], species[right]]
            for row, left, right in zip(log_density[atoms:], first, second, strict=True)
        ]
        self.device = device
        self._width = len(table[0])
        self._highest = np.array([row.max() for row in table])
        values = torch.tensor(np.concatenate(table), dtype=torch.float32, device=device)
        # Each value and the step to the next one as one number, which takes half the time to look up that two take.
        self._table = torch.complex(values, values.roll(-1) - values)
        self._row_of_pair = np.zeros((atoms, atoms), dtype=np.int64)
        self._row_of_pair[first, second] = self._row_of_pair[second, first] = np.arange(1, len(table))
        self._expectation = prediction.expectation
        self._tell_apart(species)

    def among(self, rows: IntArray, kinds: Sequence[Hashable], last: int | None = None) -> DistanceLikelihood:
        """Return the likelihood of the distances between some of the atoms.

        :param rows: where these atoms stand in the prediction, shape (some,).
        :param kinds: what each of them is: equal ones, which stand side by side, are interchangeable.
        :param last: only the distances of so many atoms at the end are seen, to one another and to the others.
        """
        some = copy.copy(self)
        some._row_of_pair = self._row_of_pair[np.ix_(rows, rows)]
        some._expectation = self._expectation[np.ix_(rows, rows)]
        some._tell_apart(kinds, last)
        return some

    def _tell_apart(self, kinds: Sequence[Hashable], last: int | None = None) -> None:
        """Find the rows of the table for pairs of atoms that are matched, or sorted within each pair of kinds."""
        self.atoms = len(kinds)
        first, second = np.triu_indices(self.atoms, 1)
        seen = second >= self.atoms - (self.atoms if last is None else last)
        first, second, blocks = first[seen], second[seen], element_blocks(kinds)[seen]
        rows = self._row_of_pair[first, second]
        by_mean = np.lexsort((self._expectation[first, second], blocks))
        own = 0  # the row of the table for the distance of an atom to its own images
        self._starts = {
            matched: torch.tensor(np.append(order, own) * self._width, dtype=torch.int32, device=self.device)
            for matched, order in ((True, rows), (False, rows[by_mean]))
        }
        weights = np.append(np.ones(len(rows)), self.atoms) / (len(rows) + self.atoms)
        self._weights = torch.tensor(weights, dtype=torch.float32, device=self.device)
        #: What no crystal can exceed.
        self.bound = float(self._highest[np.append(rows, own)] @ weights)

    def __call__(
        self, distances: torch.Tensor, shortest: float, scale: torch.Tensor, *, matched: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the likelihood and its derivatives by the unscaled distances and by the scale.

        :param distances: shape (crystals, pairs), A; the upper triangle of the atoms, row by row, where they are
            matched, otherwise sorted within each pair of elements, one pair of elements after the other.
        :param shortest: shortest lattice vector, A.
        :param scale: factor on all lengths, shape (crystals,).
        :param matched: whether the atoms are matched with the rows of the prediction.
        :return: tensors of shape (crystals,), (crystals, pairs) and (crystals,).
        """
        distances = _with_own(distances, shortest)
        values, slopes = self._look_up(distances * scale[:, None], self._starts[matched])
        slopes = slopes * self._weights
        by_scale = (slopes * distances).sum(dim=1)
        return values @ self._weights, slopes[:, :-1] * scale[:, None], by_scale

    def value(self, distances: torch.Tensor, shortest: float, scale: torch.Tensor, *, matched: bool) -> torch.Tensor:
        """Return the likelihood alone, in less time.

        :param distances: as in :meth:`__call__`.
        :param shortest: shortest lattice vector, A.
        :param scale: factor on all lengths, shape (crystals,).
        :param matched: whether the atoms are matched with the rows of the prediction.
        :return: shape (crystals,).
        """
        distances = _with_own(distances, shortest) * scale[:, None]
        return self._look_up(distances, self._starts[matched])[0] @ self._weights

    def _look_up(self, distances: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Interpolate the rows of the table that begin at ``starts``; return values and slopes."""
        place = (distances / _STEP).clamp(max=self._width - 1.001)
        whole = place.int()
        found = self._table.index_select(0, (whole + starts).reshape(-1)).reshape(place.shape)
        left, step = torch.view_as_real(found).unbind(-1)
        return torch.addcmul(left, step, place - whole), step / _STEP


def _with_own(distances: torch.Tensor, own: float) -> torch.Tensor:
    """Return distances, shape (crystals, pairs), with that of an atom to its own nearest image behind them."""
    return torch.nn.functional.pad(distances, (0, 1), value=own)


class StructureFitness:
    """The fitness of a finished crystal: the mean log-likelihood of its distances, the atoms matched with the rows.

    :param prediction: distributions of all pairs of its cell.
    """

    def __init__(self, prediction: DistancePrediction) -> None:
        self._species = prediction.species
        self._expectation = prediction.expectation
        self._likelihood = DistanceLikelihood(prediction, SHARP_TAILS, torch.device('cpu'))

    def __call__(self, structure: Structure) -> float:
        """Return the fitness.

        :param structure: its elements in the order of the prediction.
        """
        distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
        order = match_atoms(distances, self._expectation, self._species)
        matched = distances[np.ix_(order, order)][np.triu_indices(len(order), 1)]
        with one_thread():
            row = torch.tensor(matched, dtype=torch.float32)[None]
            return float(self._likelihood(row, float(distances.diagonal().min()), torch.ones(1), matched=True)[0])


def _density(prediction: DistancePrediction, pairs: tuple[IntArray, IntArray]) -> FloatArray:
    """Return the smoothed probability density of pairs of atoms on the grid, shape (pairs, grid), 1/A."""
    grid = _grid()
    centres = prediction.bin_centres
    after = np.clip(np.searchsorted(centres, grid), 1, len(centres) - 1)
    weight = np.clip((grid - centres[after - 1]) / (centres[after] - centres[after - 1]), 0.0, 1.0)
    per_length = prediction.probabilities[pairs] / np.diff(prediction.bin_edges)
    density = per_length[:, after - 1] * (1.0 - weight) + per_length[:, after] * weight
    return np.asarray(density / np.maximum(density.sum(axis=-1, keepdims=True) * _STEP, 1e-12))


def _with_tails(density: FloatArray) -> FloatArray:
    """Smear densities into two-sided exponentials.

    The sum over all points before each one, weighted by an exponential, is a cumulative sum of what is multiplied by
    its inverse, which over the length of the grid stays far from overflowing.
    """
    growth = np.exp(np.arange(density.shape[-1]) * (_STEP / _TAIL_LENGTH))
    before = np.cumsum(density * growth, axis=-1) / growth
    after = np.cumsum(density[..., ::-1] * growth, axis=-1)[..., ::-1] / growth[::-1]
    return np.asarray((before + after - density) * (_STEP / (2.0 * _TAIL_LENGTH)), dtype=np.float64)


@functools.cache
def _grid() -> FloatArray:
    return np.arange(0.0, _LONGEST + _STEP, _STEP)


@functools.cache
def _clash_penalty(first: str, second: str) -> FloatArray:
    """Return what is taken off the log-likelihood of a pair of two elements at each distance of the grid."""
    limit = 1.05 * CLASH_FRACTION * (covalent_radius(first) + covalent_radius(second))
    return np.asarray(_CLASH_STRENGTH * np.maximum(1.0 - _grid() / limit, 0.0), dtype=np.float64)
