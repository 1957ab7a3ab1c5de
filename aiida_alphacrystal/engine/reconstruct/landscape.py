"""The fitness of all crystals that a cell can hold, many at a time, with its slopes.

A crystal is a Wyckoff assignment and a row of genes: the free coordinates of the assignment, zeros up to the number
that the freest assignment has, and one gene from -1 to 1 for the volume. Crystals of different assignments are computed
together, on a CPU or a GPU.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from aiida_alphacrystal.engine.reconstruct.likelihood import element_blocks
from aiida_alphacrystal.engine.reconstruct.minimum_image import shortest_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
    from aiida_alphacrystal.engine.reconstruct.minimum_image import ReducedLattice
    from aiida_alphacrystal.engine.reconstruct.wyckoff import Assignment, SpaceGroup

__all__ = ('FIRST_STEP', 'Crystals', 'Landscape', 'length_scale')

#: First step of a climb, in fractional coordinates.
FIRST_STEP = 0.02

_VOLUME_RANGE = 0.1
_SHORTEST = 1e-3
_BLOCK_OFFSET = 1000.0
_NUMBERS_AT_ONCE = 4_000_000


def length_scale(gene: torch.Tensor) -> torch.Tensor:
    """Return the factor on all lengths that a volume gene stands for.

    :param gene: from -1 to 1, any shape.
    """
    return (1.0 + _VOLUME_RANGE * gene).pow(1.0 / 3.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Crystals:
    """Crystals of one cell.

    :param assignments: index of the Wyckoff assignment of each, shape (crystals,).
    :param genes: shape (crystals, freedom + 1).
    :param fitness: shape (crystals,).
    """

    assignments: torch.Tensor
    genes: torch.Tensor
    fitness: torch.Tensor

    def __len__(self) -> int:
        return len(self.fitness)

    def take(self, chosen: torch.Tensor) -> Crystals:
        """Return some of the crystals.

        :param chosen: their indices, shape (chosen,).
        """
        return Crystals(self.assignments[chosen], self.genes[chosen], self.fitness[chosen])

    def best(self, number: int, per_assignment: int) -> Crystals:
        """Return the best crystals, best first, not too many of one assignment.

        :param number: most crystals in all.
        :param per_assignment: most crystals of one assignment.
        """
        order = torch.argsort(self.fitness, descending=True, stable=True)
        owners = self.assignments[order]
        grouped = torch.argsort(owners, stable=True)
        _, counts = torch.unique_consecutive(owners[grouped], return_counts=True)
        places = torch.arange(len(order), device=order.device)
        places = places - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        rank = torch.empty_like(places)
        rank[grouped] = places
        return self.take(order[rank < per_assignment][:number])

    def better_of(self, other: Crystals) -> Crystals:
        """Return the better one of each pair of crystals of the same assignment.

        :param other: as many crystals, of the same assignments in turn.
        """
        better = other.fitness > self.fitness
        return Crystals(
            self.assignments,
            torch.where(better[:, None], other.genes, self.genes),
            torch.where(better, other.fitness, self.fitness),
        )

    @staticmethod
    def together(parts: Sequence[Crystals]) -> Crystals:
        """Return all crystals of several lots.

        :param parts: at least one.
        """
        return Crystals(
            torch.cat([part.assignments for part in parts]),
            torch.cat([part.genes for part in parts]),
            torch.cat([part.fitness for part in parts]),
        )


class Landscape:
    """The distances and the fitness of all crystals of one cell.

    :param group: the space group.
    :param assignments: the Wyckoff assignments, at least one, all with the same content.
    :param lattice: the reduced form of the primitive lattice.
    :param device: where to compute.
    """

    def __init__(
        self, group: SpaceGroup, assignments: Sequence[Assignment], lattice: ReducedLattice, device: torch.device
    ) -> None:
        maps = _AtomMaps.of(group, assignments, lattice)
        atoms = maps.rotations.shape[1]
        blocks = element_blocks(maps.species)
        self.lattice = lattice
        self.device = device
        self.evaluations = 0
        self.pairs = len(blocks)
        self.freedoms = torch.tensor([assignment.freedom for assignment in assignments], device=device)
        self.sites = torch.from_numpy(maps.sites).to(device)
        self.site_counts = torch.tensor([len(set(row) - {-1}) for row in maps.sites.tolist()], device=device)
        self.freedom = maps.rotations.shape[-1]
        self._rotations = torch.tensor(maps.rotations, dtype=torch.float32, device=device)
        self._translations = torch.tensor(maps.translations, dtype=torch.float32, device=device)
        self._matrix = torch.tensor(lattice.matrix, dtype=torch.float32, device=device)
        self._images = torch.tensor(lattice.images, dtype=torch.float32, device=device)
        triangle = np.stack(np.triu_indices(atoms, 1))
        by_block = np.argsort(blocks, kind='stable')
        self._pairs = {matched: torch.from_numpy(triangle[:, order]).to(device) for matched, order in (
            (True, np.arange(len(blocks))), (False, by_block),
        )}  # fmt: skip
        self._incidence = {matched: _incidence(pairs, atoms) for matched, pairs in self._pairs.items()}
        self._offsets = torch.tensor(_BLOCK_OFFSET * blocks[by_block], dtype=torch.float32, device=device)
        self._chunk = max(1, _NUMBERS_AT_ONCE // (max(1, len(blocks)) * (4 + len(lattice.images))))

    def evaluate(self, likelihood: DistanceLikelihood, assignments: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        """Return the fitness of several crystals of each of many assignments.

        :param likelihood: of the distances.
        :param assignments: indices of assignments, shape (lots,).
        :param genes: shape (lots, crystals, freedom + 1).
        :return: shape (lots, crystals).
        """
        lots = max(1, self._chunk // genes.shape[1])
        parts = [
            self._compute(likelihood, assignments[part], genes[part], None, gradient=False)[0]
            for part in _slices(len(assignments), lots)
        ]
        return torch.cat(parts)

    def with_gradient(
        self, likelihood: DistanceLikelihood, crystals: Crystals, order: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the fitness of crystals and its derivatives by their genes.

        :param likelihood: of the distances.
        :param crystals: their fitness is not looked at.
        :param order: the atom that stands in each row of the prediction, shape (crystals, atoms); without it, the
            distances are sorted within each pair of elements.
        :return: tensors of shape (crystals,) and (crystals, freedom + 1).
        """
        parts = [
            self._compute(
                likelihood, crystals.assignments[part], crystals.genes[part, None],
                None if order is None else order[part], gradient=True,
            )
            for part in _slices(len(crystals), self._chunk)
        ]  # fmt: skip
        return torch.cat([part[0][:, 0] for part in parts]), torch.cat([part[1][:, 0] for part in parts])

    def climb(
        self,
        likelihood: DistanceLikelihood,
        crystals: Crystals,
        steps: int,
        width: float = FIRST_STEP,
        order: torch.Tensor | None = None,
    ) -> Crystals:
        """Improve crystals by resilient gradient ascent (iRprop-, Igel and Huesken 2003).

        Every gene has its own step, which grows while the sign of its derivative stays and shrinks when it turns.

        :param likelihood: of the distances.
        :param crystals: where the climb begins.
        :param steps: number of steps.
        :param width: first step, fractional.
        :param order: as in :meth:`with_gradient`.
        :return: the best crystals on the way.
        """
        genes = crystals.genes
        best = Crystals(crystals.assignments, genes, torch.full_like(crystals.fitness, -torch.inf))
        size, before = torch.full_like(genes, width), torch.zeros_like(genes)
        for step in range(steps + 1):
            here = Crystals(crystals.assignments, genes, crystals.fitness)
            fitness, slope = self.with_gradient(likelihood, here, order)
            best = best.better_of(Crystals(crystals.assignments, genes, fitness))
            if step == steps:
                break
            turned = slope * before
            factor = torch.where(turned > 0, 1.2, torch.where(turned < 0, 0.5, 1.0))
            size = (size * factor).clamp(1e-5, 0.1)
            before = torch.where(turned < 0, 0.0, slope)
            genes = genes + before.sign() * size
            genes[:, -1].clamp_(-1.0, 1.0)
        return Crystals(best.assignments, _wrapped(best.genes), best.fitness)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """Return random genes: any coordinates, a volume within half of its range.

        :param shape: of the result but for its last axis.
        :param generator: draws on the CPU, so that all devices see the same numbers.
        :return: shape ``(*shape, freedom + 1)``.
        """
        genes = torch.rand((*shape, self.freedom + 1), generator=generator)
        genes[..., -1] -= 0.5
        return genes.to(self.device)

    def matrices(self, crystals: Crystals) -> torch.Tensor:
        """Return the distance matrices of crystals, without the distances of atoms to their own images.

        :param crystals: the crystals.
        :return: shape (crystals, atoms, atoms), A.
        """
        parts = []
        for part in _slices(len(crystals), max(1, self._chunk // 2)):
            positions = self._positions(crystals.assignments[part], crystals.genes[part, None], None)[:, 0]
            difference = positions[:, None] - positions[:, :, None]
            vectors = shortest_images(difference, self._matrix, self._images)
            parts.append(torch.linalg.vector_norm(vectors, dim=-1))
        return torch.cat(parts) * length_scale(crystals.genes[:, -1])[:, None, None]

    def sorted_distances(self, crystals: Crystals) -> torch.Tensor:
        """Return the distances of crystals, sorted within each pair of elements.

        :param crystals: the crystals.
        :return: shape (crystals, pairs), A.
        """
        first, second = self._pairs[False]
        distances = self.matrices(crystals)[:, first, second]
        return distances.gather(1, _argsort(distances + self._offsets))

    def _positions(self, assignments: torch.Tensor, genes: torch.Tensor, order: torch.Tensor | None) -> torch.Tensor:
        """Return the positions of atoms in the reduced lattice, shape (lots, crystals, atoms, 3)."""
        rotations, translations = self._maps(assignments, order)
        lots, number = genes.shape[:2]
        flat = torch.baddbmm(
            translations.reshape(lots, 1, -1), genes[..., :-1], rotations.reshape(lots, -1, self.freedom).mT
        )
        return flat.reshape(lots, number, -1, 3)

    def _maps(self, assignments: torch.Tensor, order: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the maps from genes to atoms, the atoms of each assignment in some order."""
        rotations, translations = self._rotations[assignments], self._translations[assignments]
        if order is None:
            return rotations, translations
        lots = torch.arange(len(order), device=self.device)[:, None]
        return rotations[lots, order], translations[lots, order]

    def _compute(
        self,
        likelihood: DistanceLikelihood,
        assignments: torch.Tensor,
        genes: torch.Tensor,
        order: torch.Tensor | None,
        *,
        gradient: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the fitness, shape (lots, crystals), and its derivatives by the genes, shape of the genes."""
        matched = order is not None
        lots, number = genes.shape[:2]
        self.evaluations += lots * number
        first, second = self._pairs[matched]
        positions = self._positions(assignments, genes, order).flatten(0, 1)
        vectors = shortest_images(positions[:, second] - positions[:, first], self._matrix, self._images)
        lengths = torch.linalg.vector_norm(vectors, dim=-1)
        place = None if matched else _argsort(lengths + self._offsets)
        scale = length_scale(genes[..., -1].flatten())
        distances = lengths if place is None else lengths.gather(1, place)
        fitness, slopes, by_scale = likelihood(distances, self.lattice.shortest, scale, matched=matched)
        if not gradient:
            return fitness.reshape(lots, number), genes
        if place is not None:
            slopes = torch.zeros_like(lengths).scatter_(1, place, slopes)
        pulls = (slopes / lengths.clamp(min=_SHORTEST))[..., None] * vectors
        by_atom = (self._incidence[matched] @ pulls) @ self._matrix.T
        rotations = self._maps(assignments, order)[0].reshape(lots, -1, self.freedom)
        by_coordinate = torch.bmm(by_atom.reshape(lots, number, -1), rotations)
        by_volume = (by_scale * _VOLUME_RANGE / (3.0 * scale.square())).reshape(lots, number, 1)
        return fitness.reshape(lots, number), torch.cat([by_coordinate, by_volume], dim=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class _AtomMaps:
    """The maps from free coordinates to atoms of all assignments, padded to the freest one."""

    species: tuple[str, ...]
    rotations: np.ndarray
    translations: np.ndarray
    sites: np.ndarray

    @classmethod
    def of(cls, group: SpaceGroup, assignments: Sequence[Assignment], lattice: ReducedLattice) -> _AtomMaps:
        """Fill the maps; ``sites`` tells which orbit with freedom each free coordinate belongs to, -1 where none."""
        to_reduced = lattice.transformation
        positions = {position.letter: position for position in group.positions}
        rotations_of = {
            letter: np.einsum('nif,ij->njf', position.rotations, to_reduced) for letter, position in positions.items()
        }
        translations_of = {letter: position.translations @ to_reduced for letter, position in positions.items()}
        species = tuple(
            element for element, letter in assignments[0].sites for _ in range(positions[letter].multiplicity)
        )
        freedom = max(1, *(assignment.freedom for assignment in assignments))
        rotations = np.zeros((len(assignments), len(species), 3, freedom), dtype=np.float32)
        translations = np.zeros((len(assignments), len(species), 3), dtype=np.float32)
        sites = np.full((len(assignments), freedom), -1, dtype=np.int64)
        for index, assignment in enumerate(assignments):
            row = column = site = 0
            for _, letter in assignment.sites:
                rows = slice(row, row + positions[letter].multiplicity)
                columns = slice(column, column + positions[letter].freedom)
                rotations[index, rows, :, columns] = rotations_of[letter]
                translations[index, rows] = translations_of[letter]
                sites[index, columns] = site
                row, column, site = rows.stop, columns.stop, site + (positions[letter].freedom > 0)
        return cls(species, rotations, translations, sites)


def _wrapped(genes: torch.Tensor) -> torch.Tensor:
    """Bring free coordinates back between 0 and 1."""
    coordinates = genes[:, :-1]
    return torch.cat([coordinates - coordinates.floor(), genes[:, -1:]], dim=1)


def _incidence(pairs: torch.Tensor, atoms: int) -> torch.Tensor:
    """Return the matrix that adds up what acts on the atoms of each pair, shape (atoms, pairs)."""
    first, second = pairs
    number = torch.arange(pairs.shape[1], device=pairs.device)
    incidence = torch.zeros((atoms, pairs.shape[1]), device=pairs.device)
    incidence[second, number] = 1.0
    incidence[first, number] = -1.0
    return incidence


def _argsort(values: torch.Tensor) -> torch.Tensor:
    """Return the order of each row; on a CPU numpy sorts short rows several times faster than torch."""
    if values.device.type == 'cpu':
        return torch.from_numpy(np.argsort(values.numpy(), axis=1))
    return torch.argsort(values, dim=1)


def _slices(number: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices that cover a number of things."""
    for start in range(0, max(number, 1), size):
        yield slice(start, start + size)
