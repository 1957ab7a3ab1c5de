"""The fitness of all crystals that a cell can hold, many at a time, with its slopes.

A crystal is a Wyckoff assignment and a row of genes: the free coordinates of the assignment, zeros up to the number
that the freest assignment has, and one gene from -1 to 1 for the volume. Crystals of different assignments are computed
together, on a CPU or a GPU.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from aiida_alphacrystal.engine.reconstruct.likelihood import element_blocks
from aiida_alphacrystal.engine.reconstruct.minimum_image import shortest_images, shortest_lengths

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
#: How far surroundings reach, A.
_SURROUNDINGS = 1.5
#: Numbers of one array: on a CPU they should stay in its cache.
_NUMBERS_AT_ONCE = {'cpu': 400_000, 'cuda': 4_000_000}


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
        return self.take(self.places_of_best(number, per_assignment))

    def places_of_best(self, number: int, per_assignment: int) -> torch.Tensor:
        """Return the indices of the crystals that :meth:`best` returns.

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
        return order[rank < per_assignment][:number]

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
        atoms = len(maps.species)
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
        self._atoms = atoms
        self._matrix = torch.tensor(lattice.matrix, dtype=torch.float32, device=device)
        self._images = torch.tensor(lattice.images, dtype=torch.float32, device=device)
        triangle = np.stack(np.triu_indices(atoms, 1))
        by_block = np.argsort(blocks, kind='stable')
        self._pairs = {matched: torch.from_numpy(triangle[:, order]).to(device) for matched, order in (
            (True, np.arange(len(blocks))), (False, by_block),
        )}  # fmt: skip
        self._incidence = {matched: _incidence(pairs, atoms) for matched, pairs in self._pairs.items()}
        beyond = 1.0 + float(np.linalg.norm(lattice.matrix, axis=1).sum())  # what no distance is
        self._offsets = torch.tensor(beyond * blocks[by_block], dtype=torch.float32, device=device)
        kinds = int(blocks.max(initial=0)) + 1
        members = torch.nn.functional.one_hot(torch.from_numpy(blocks[by_block]), kinds).T.float()
        self._blocks = (members / members.sum(dim=1, keepdim=True).clamp(min=1.0)).to(device)
        self._chunk = self._largest_lot(len(blocks))

    def of_last(self, atoms: int) -> Landscape:
        """Return a landscape that sees no distances but those of the last atoms, to one another and to the others.

        It judges the places of these atoms as the whole one does, in less time.

        :param atoms: how many.
        """
        some = copy.copy(self)
        seen = self._pairs[False][1] >= self._atoms - atoms
        some._pairs = {False: self._pairs[False][:, seen]}
        some._offsets = self._offsets[seen]
        some.pairs = int(seen.sum())
        some._chunk = self._largest_lot(some.pairs)
        return some

    def _largest_lot(self, pairs: int) -> int:
        """Return how many crystals are computed at once."""
        return max(1, _NUMBERS_AT_ONCE[self.device.type] // (max(1, pairs) * (4 + len(self.lattice.images))))

    def evaluate(
        self,
        likelihood: DistanceLikelihood,
        assignments: torch.Tensor,
        genes: torch.Tensor,
        order: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the fitness of several crystals of each of many assignments.

        :param likelihood: of the distances.
        :param assignments: indices of assignments, shape (lots,).
        :param genes: shape (lots, crystals, freedom + 1).
        :param order: as in :meth:`with_gradient`, one for each lot.
        :return: shape (lots, crystals).
        """
        lots = max(1, self._chunk // genes.shape[1])
        rows = []
        for part in _slices(len(assignments), lots):
            maps = self._maps(assignments[part], None if order is None else order[part])
            some = [
                self._judge(likelihood, maps, genes[part, few], order is not None)
                for few in _slices(genes.shape[1], self._chunk)
            ]
            rows.append(torch.cat(some, dim=1))
        return torch.cat(rows)

    def judged(self, likelihood: DistanceLikelihood, crystals: Crystals, order: torch.Tensor | None = None) -> Crystals:
        """Return crystals with their fitness under a likelihood.

        :param likelihood: of the distances.
        :param crystals: their fitness is not looked at.
        :param order: as in :meth:`with_gradient`.
        """
        fitness = self.evaluate(likelihood, crystals.assignments, crystals.genes[:, None], order)[:, 0]
        return dataclasses.replace(crystals, fitness=fitness)

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
        return self._slopes(likelihood, self._maps(crystals.assignments, order), crystals.genes, order is not None)

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
        genes, maps = crystals.genes, self._maps(crystals.assignments, order)
        best = Crystals(crystals.assignments, genes, torch.full_like(crystals.fitness, -torch.inf))
        size, before = torch.full_like(genes, width), torch.zeros_like(genes)
        for step in range(steps + 1):
            fitness, slope = self._slopes(likelihood, maps, genes, order is not None)
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
        first, second = self._pairs[True]
        matrices = torch.zeros((len(crystals), self._atoms, self._atoms), device=self.device)
        lengths = self._lengths(crystals, matched=True)
        matrices[:, first, second] = lengths
        matrices[:, second, first] = lengths
        return matrices

    def sorted_distances(self, crystals: Crystals) -> torch.Tensor:
        """Return the distances of crystals, sorted within each pair of elements.

        :param crystals: the crystals.
        :return: shape (crystals, pairs), A.
        """
        distances = self._lengths(crystals, matched=False)
        return distances.gather(1, _argsort(distances + self._offsets))

    def surroundings(self, crystals: Crystals) -> torch.Tensor:
        """Return how closely the atoms of each two elements surround one another, images beyond the nearest included.

        Crystals that differ may share all minimum-image distances; with few free coordinates that is not rare.

        :param crystals: the crystals.
        :return: a mean over the pairs of each two elements of sums of Gaussians, shape (crystals, pairs of elements).
        """
        shifts = torch.cartesian_prod(*(torch.arange(-1.0, 2.0, device=self.device) for _ in range(3))) @ self._matrix
        parts = []
        for part in _slices(len(crystals), self._chunk):
            positions = self._maps(crystals.assignments[part]).positions(crystals.genes[part, None])
            vectors = shortest_images(self._differences(positions, False), self._matrix, self._images)
            scale = length_scale(crystals.genes[part, -1])
            sums = torch.zeros_like(vectors[0])
            for shift in shifts:
                squared = (vectors + shift[:, None, None]).square().sum(dim=0) * scale.square()
                sums += torch.exp(-squared / (2.0 * _SURROUNDINGS**2))
            parts.append((self._blocks @ sums).T)
        return torch.cat(parts)

    def _lengths(self, crystals: Crystals, *, matched: bool) -> torch.Tensor:
        """Return the distances of crystals, shape (crystals, pairs), A."""
        parts = []
        for part in _slices(len(crystals), self._chunk):
            positions = self._maps(crystals.assignments[part]).positions(crystals.genes[part, None])
            parts.append(shortest_lengths(self._differences(positions, matched), self._matrix, self._images).T)
        return torch.cat(parts) * length_scale(crystals.genes[:, -1:])

    def _maps(self, assignments: torch.Tensor, order: torch.Tensor | None = None) -> _Maps:
        """Return the maps from genes to positions of crystals, their atoms in an order if one is given."""
        rotations, translations = self._rotations[assignments], self._translations[assignments]
        if order is not None:
            rows = torch.cat([order, order + self._atoms, order + 2 * self._atoms], dim=1)
            rotations = rotations.gather(1, rows[..., None].expand_as(rotations))
            translations = translations.gather(1, rows)
        return _Maps(rotations, translations)

    def _differences(self, positions: torch.Tensor, matched: bool) -> torch.Tensor:
        """Return the differences of the positions of each pair of atoms, shape (3, pairs, lots * crystals)."""
        first, second = self._pairs[matched]
        return positions.index_select(1, second).sub_(positions.index_select(1, first))

    def _judge(self, likelihood: DistanceLikelihood, maps: _Maps, genes: torch.Tensor, matched: bool) -> torch.Tensor:
        """Return the fitness of several crystals of each map, shape (lots, crystals)."""
        self.evaluations += genes.shape[:2].numel()
        differences = self._differences(maps.positions(genes), matched)
        lengths = shortest_lengths(differences, self._matrix, self._images).T.contiguous()
        if not matched:
            lengths = _sorted(lengths + self._offsets) - self._offsets
        scale = length_scale(genes[..., -1].flatten())
        return likelihood.value(lengths, self.lattice.shortest, scale, matched=matched).reshape(genes.shape[:2])

    def _slopes(
        self, likelihood: DistanceLikelihood, maps: _Maps, genes: torch.Tensor, matched: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the fitness of one crystal of each map, shape (crystals,), and its derivatives by the genes."""
        parts = [
            self._differentiate(likelihood, maps.take(part), genes[part], matched)
            for part in _slices(len(genes), self._chunk)
        ]
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _differentiate(
        self, likelihood: DistanceLikelihood, maps: _Maps, genes: torch.Tensor, matched: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Do the work of :meth:`_slopes` for as many crystals as are computed at once."""
        self.evaluations += len(genes)
        differences = self._differences(maps.positions(genes[:, None]), matched)
        vectors = shortest_images(differences, self._matrix, self._images)
        lengths = vectors.square().sum(dim=0).sqrt().T.contiguous()
        scale = length_scale(genes[:, -1])
        if matched:
            fitness, slopes, by_scale = likelihood(lengths, self.lattice.shortest, scale, matched=True)
        else:
            place = _argsort(lengths + self._offsets)
            fitness, slopes, by_scale = likelihood(
                lengths.gather(1, place), self.lattice.shortest, scale, matched=False
            )
            slopes = torch.zeros_like(lengths).scatter_(1, place, slopes)
        pulls = (slopes / lengths.clamp(min=_SHORTEST)).T.contiguous() * vectors
        by_atom = (self._matrix @ (self._incidence[matched] @ pulls).flatten(1)).reshape(-1, len(genes))
        by_coordinate = maps.pulled_back(by_atom)
        by_volume = by_scale * _VOLUME_RANGE / (3.0 * scale.square())
        return fitness, torch.cat([by_coordinate, by_volume[:, None]], dim=1)


class _Maps(NamedTuple):
    """The maps from free coordinates to the positions of atoms, one for each crystal or for each lot of them.

    :param rotations: shape (lots, 3 * atoms, freedom), the first components of all atoms first.
    :param translations: shape (lots, 3 * atoms).
    """

    rotations: torch.Tensor
    translations: torch.Tensor

    def take(self, part: slice) -> _Maps:
        """Return some of the maps."""
        return _Maps(self.rotations[part], self.translations[part])

    def positions(self, genes: torch.Tensor) -> torch.Tensor:
        """Return the positions of atoms in the reduced lattice, shape (3, atoms, lots * crystals).

        The genes have the shape (lots, crystals, freedom + 1).
        """
        flat = torch.baddbmm(self.translations[:, None], genes[..., :-1], self.rotations.mT).flatten(0, 1)
        return flat.T.contiguous().reshape(3, flat.shape[1] // 3, len(flat))

    def pulled_back(self, pulls: torch.Tensor) -> torch.Tensor:
        """Return derivatives by the free coordinates, shape (lots, freedom), from those by the positions.

        The latter have the shape (3 * atoms, lots).
        """
        return (pulls.T[..., None] * self.rotations).sum(dim=1)  # which on a CPU is faster than a product of matrices


@dataclasses.dataclass(frozen=True, eq=False)
class _AtomMaps:
    """The maps from free coordinates to atoms of all assignments, padded to the freest one.

    :param species: element of every atom.
    :param rotations: shape (assignments, 3 * atoms, freedom), the first components of all atoms first.
    :param translations: shape (assignments, 3 * atoms).
    :param sites: which orbit with freedom each free coordinate belongs to, -1 where none.
    """

    species: tuple[str, ...]
    rotations: np.ndarray
    translations: np.ndarray
    sites: np.ndarray

    @classmethod
    def of(cls, group: SpaceGroup, assignments: Sequence[Assignment], lattice: ReducedLattice) -> _AtomMaps:
        """Fill the maps."""
        to_reduced = lattice.transformation
        positions = {position.letter: position for position in group.positions}
        rotations_of = {
            letter: np.einsum('nif,ij->jnf', position.rotations, to_reduced) for letter, position in positions.items()
        }
        translations_of = {letter: (position.translations @ to_reduced).T for letter, position in positions.items()}
        species = tuple(
            element for element, letter in assignments[0].sites for _ in range(positions[letter].multiplicity)
        )
        freedom = max(1, *(assignment.freedom for assignment in assignments))
        rotations = np.zeros((len(assignments), 3, len(species), freedom), dtype=np.float32)
        translations = np.zeros((len(assignments), 3, len(species)), dtype=np.float32)
        sites = np.full((len(assignments), freedom), -1, dtype=np.int64)
        for index, assignment in enumerate(assignments):
            row = column = site = 0
            for _, letter in assignment.sites:
                rows = slice(row, row + positions[letter].multiplicity)
                columns = slice(column, column + positions[letter].freedom)
                rotations[index, :, rows, columns] = rotations_of[letter]
                translations[index, :, rows] = translations_of[letter]
                sites[index, columns] = site
                row, column, site = rows.stop, columns.stop, site + (positions[letter].freedom > 0)
        flat = rotations.reshape(len(assignments), -1, freedom)
        return cls(species, flat, translations.reshape(len(assignments), -1), sites)


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


def _sorted(values: torch.Tensor) -> torch.Tensor:
    """Return each row sorted; on a CPU numpy sorts short rows several times faster than torch."""
    if values.device.type == 'cpu':
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def _slices(number: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices that cover a number of things."""
    for start in range(0, max(number, 1), size):
        yield slice(start, start + size)
