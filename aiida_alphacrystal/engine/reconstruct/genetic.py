"""The genetic algorithm: from predicted distances and cell hypotheses to crystals.

This is the method of DMCrystal (Hu, Yang, Siriwardane, J. Phys. Chem. A 124, 10909, 2020,
https://doi.org/10.1021/acs.jpca.0c08775): given space group, lattice and content of the cell, choose Wyckoff positions
and let a genetic algorithm find the free coordinates whose interatomic distances agree best with the predicted ones.
The fitness is the likelihood under the predicted distributions instead of an overlap of contact maps.

Three things are added to the paper's algorithm. Children climb a few steps along the gradient of the fitness before
they compete. The fitness is coarse in the first generations and sharp in the last ones, which keeps the search from the
many narrow maxima of a sharp one. In the end the atoms of each crystal are matched with the rows of the predicted
matrix and the crystal climbs once more; that likelihood, of the matched matrix, is the fitness of a candidate.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
from aiida_alphacrystal.engine.reconstruct.fitness import (
    CLASH_FRACTION,
    DistanceScore,
    OrbitDistances,
    ReducedLattice,
    closest_contact,
    covalent_radius,
    reduced_lattice,
    widest_contact,
)
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    Assignment,
    SpaceGroup,
    build_structure,
    enumerate_assignments,
    orbit_map,
    primitive_lattice,
    space_group,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.settings import GeneticSettings

__all__ = ('GENETIC_COST', 'GeneticResult', 'genetic_candidates')

FloatArray = npt.NDArray[np.float64]

#: A-priori cost of a reconstructed candidate, minus the logarithm of a probability as for templates: what a poor
#: template costs, because a search without an example is right less often than a good template; chosen on ``val``.
GENETIC_COST = 8.0

_VOLUME_RANGE = 0.1
_TOURNAMENT = 3
_ELITE_SHARE = 0.1
_BLEND = 0.25
_FINEST_MUTATION = 0.01
_FRESH_SHARE = 0.05
_TRIALS_PER_ASSIGNMENT = 2
_CLEARLY_DIFFERENT = 0.2
_CLEARLY_SAME = 0.02
_SAME_DISTANCES = 0.1
_FIRST_STEP = 0.02
_POLISH_STEP = 0.003
_POLISH_STEPS = 60
_MATCHES = 2
_MATCHED_STEPS = 25
_EARLY_SHARE = 0.2
_COARSE = 1.0
_COARSE_SHARE = 0.6
_EARLY_EXCESS = 3


@dataclasses.dataclass(frozen=True)
class GeneticResult:
    """What the genetic algorithm found.

    :param candidates: distinct structures, best fitness first.
    :param reasons: one sentence for each hypothesis that gave none.
    """

    candidates: tuple[Candidate, ...]
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Trial:
    """One crystal that the search has found.

    :param hypothesis: place of its cell hypothesis.
    :param assignment: its Wyckoff assignment.
    :param genes: free coordinates and the scale gene, shape (freedom + 1,).
    :param fitness: mean log-likelihood per pair, its atoms matched with the rows of the predicted matrix.
    :param score: fitness and probability of the hypothesis together.
    :param distances: its sorted distances, shape (slots,), A.
    """

    hypothesis: int
    assignment: Assignment
    genes: FloatArray
    fitness: float
    score: float
    distances: FloatArray


def genetic_candidates(
    formula: Formula,
    cells: Sequence[CellHypothesis],
    distances: Mapping[int, DistancePrediction],
    settings: GeneticSettings,
    seed: int,
) -> GeneticResult:
    """Rebuild crystals from predicted distances.

    The result is the same for the same seed, and what is found for a hypothesis depends neither on the other hypotheses
    nor on their order.

    :param formula: the compound.
    :param cells: hypotheses about space group, content and lattice of the cell.
    :param distances: predicted distances by formula units in the cell.
    :param settings: budget and number of candidates.
    :param seed: seed of everything that is drawn.
    """
    if settings.max_candidates == 0:
        return GeneticResult((), ())
    scores = {units: _Scores.of(prediction) for units, prediction in sorted(distances.items())}
    trials: list[_Trial] = []
    reasons: dict[int, str] = {}
    for index, cell in enumerate(cells):
        report('reconstruct', index, len(cells))
        if cell.formula_units not in scores:
            reasons[index] = f'{_name(index, cell)}: no distances are given for {cell.formula_units} formula units.'
            continue
        search = _Search(formula, cell, scores[cell.formula_units], settings, seed)
        found = search.run(index)
        if not found:
            reasons[index] = f'{_name(index, cell)}: {search.reason(settings)}'
        trials += found
    candidates = _select(cells, trials, settings.max_candidates, seed)
    report('reconstruct', len(cells), len(cells))
    return GeneticResult(candidates, tuple(reasons[index] for index in sorted(reasons)))


def _name(index: int, cell: CellHypothesis) -> str:
    return f'hypothesis {index + 1} ({space_group(cell.spacegroup).symbol})'


def _length_scale(gene: npt.ArrayLike) -> FloatArray:
    """Return the factor on all lengths that a scale gene from -1 to 1 stands for."""
    return np.cbrt(1.0 + _VOLUME_RANGE * np.asarray(gene, dtype=np.float64))


class _Scores(NamedTuple):
    """The likelihood of distances, for the beginning and the end of a search and for matched atoms."""

    coarse: DistanceScore
    sharp: DistanceScore
    matched: DistanceScore

    @classmethod
    def of(cls, prediction: DistancePrediction) -> _Scores:
        """Prepare the scores of one prediction."""
        sharp, matched = DistanceScore(prediction), DistanceScore(prediction, matched=True)
        return cls(DistanceScore(prediction, _COARSE), sharp, matched)


@dataclasses.dataclass(frozen=True, eq=False)
class _Landscape:
    """The fitness of all crystals of one assignment.

    :param distances: their distances.
    :param score: the likelihood of distances.
    :param freedom: free coordinates; one more gene is the scale.
    """

    distances: OrbitDistances
    score: DistanceScore
    freedom: int

    def __call__(self, genes: FloatArray) -> FloatArray:
        """Return the fitness of many crystals.

        :param genes: shape (crystals, freedom + 1).
        """
        trial = self.distances.sorted_distances(genes[:, : self.freedom])
        return self.score(trial, self.distances.lattice.shortest, _length_scale(genes[:, self.freedom]))

    def with_gradient(self, genes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the fitness of many crystals and its derivatives by their genes.

        :param genes: shape (crystals, freedom + 1).
        """
        trial, carry_back = self.distances.with_gradient(genes[:, : self.freedom])
        scale = _length_scale(genes[:, self.freedom])
        fitness, slopes, by_scale = self.score.with_gradient(trial, self.distances.lattice.shortest, scale)
        by_gene = by_scale * _VOLUME_RANGE / (3.0 * scale**2)
        return fitness, np.column_stack([carry_back(slopes), by_gene])

    def sorted_distances(self, genes: FloatArray) -> FloatArray:
        """Return the sorted distances of one crystal, shape (slots,), A.

        :param genes: shape (freedom + 1,).
        """
        scale = float(_length_scale(genes[-1]))
        return np.asarray(self.distances.sorted_distances(genes[None, :-1])[0] * scale, dtype=np.float64)

    def climb(self, genes: FloatArray, steps: int, width: float) -> tuple[FloatArray, FloatArray]:
        """Improve many crystals by resilient gradient ascent (iRprop-, Igel and Huesken 2003).

        Every coordinate has its own step, which grows while the sign of its derivative stays and shrinks when it turns.

        :param genes: shape (crystals, freedom + 1).
        :param steps: number of steps.
        :param width: first step, fractional.
        :return: the best genes on the way and their fitness.
        """
        best, best_fitness = genes, np.full(len(genes), -np.inf)
        size, before = np.full(genes.shape, width), np.zeros(genes.shape)
        for step in range(steps + 1):
            fitness, slope = self.with_gradient(genes) if step < steps else (self(genes), before)
            better = fitness > best_fitness
            best = np.where(better[:, None], genes, best)
            best_fitness = np.where(better, fitness, best_fitness)
            turned = slope * before
            size = np.clip(size * np.where(turned > 0, 1.2, np.where(turned < 0, 0.5, 1.0)), 1e-5, 0.1)
            before = np.where(turned < 0, 0.0, slope)
            genes = genes + np.sign(before) * size
            genes[:, -1] = np.clip(genes[:, -1], -1.0, 1.0)
        best[:, :-1] -= np.floor(best[:, :-1])
        return best, best_fitness


class _Population:
    """The crystals of one assignment, evolved together as one array.

    :param landscape: their fitness.
    :param settings: size and climbing steps.
    :param generator: draws everything that is random.
    """

    def __init__(self, landscape: _Landscape, settings: GeneticSettings, generator: np.random.Generator) -> None:
        self.landscape = landscape
        self._generator = generator
        self._size = settings.population if landscape.freedom else 4
        self._steps = settings.climb_steps
        drawn = self._draw(self._size)
        drawn[0, -1] = 0.0
        self.genes, self.fitness = landscape.climb(drawn, self._steps, _FIRST_STEP)

    @property
    def best(self) -> float:
        """Return the largest fitness."""
        return float(self.fitness.max())

    def _draw(self, number: int) -> FloatArray:
        """Return crystals with random coordinates, shape (number, freedom + 1)."""
        genes = self._generator.random((number, self.landscape.freedom + 1))
        genes[:, -1] = 0.5 * (2.0 * genes[:, -1] - 1.0)
        return genes

    def evolve(self, width: float) -> None:
        """Replace all crystals but the best ones by their children.

        :param width: standard deviation of a mutation, fractional.
        """
        elite = max(1, round(_ELITE_SHARE * self._size))
        number = self._size - elite
        children = self._cross(self.genes[self._parents(number)], self.genes[self._parents(number)])
        self._mutate(children, width)
        fresh = int(_FRESH_SHARE * self._size)
        if fresh:
            children[-fresh:] = self._draw(fresh)
        children, fitness = self.landscape.climb(children, self._steps, min(width, _FIRST_STEP))
        kept = np.argsort(-self.fitness, kind='stable')[:elite]
        self.genes = np.concatenate([self.genes[kept], children])
        self.fitness = np.concatenate([self.fitness[kept], fitness])

    def sharpen(self, score: DistanceScore) -> None:
        """Judge by another score from now on.

        :param score: the likelihood of distances.
        """
        if self.landscape.score is not score:
            self.landscape = dataclasses.replace(self.landscape, score=score)
            self.fitness = self.landscape(self.genes)

    def polish(self, number: int) -> None:
        """Keep the best crystals only and climb to the top from each.

        :param number: how many are kept.
        """
        kept = np.argsort(-self.fitness, kind='stable')[:number]
        self.genes, self.fitness = self.landscape.climb(self.genes[kept], _POLISH_STEPS, _POLISH_STEP)

    def _parents(self, number: int) -> npt.NDArray[np.int64]:
        """Choose parents by tournament."""
        rivals = self._generator.integers(0, self._size, (number, _TOURNAMENT))
        return np.asarray(rivals[np.arange(number), np.argmax(self.fitness[rivals], axis=1)], dtype=np.int64)

    def _cross(self, mothers: FloatArray, fathers: FloatArray) -> FloatArray:
        """Blend half of the couples on the torus and swap coordinates between the others."""
        step = fathers - mothers
        step[:, :-1] -= np.round(step[:, :-1])
        blended = self._generator.uniform(-_BLEND, 1.0 + _BLEND, step.shape)
        swapped = (self._generator.random(step.shape) < 0.5).astype(np.float64)
        blend = self._generator.random((len(step), 1)) < 0.5
        return np.asarray(mothers + np.where(blend, blended, swapped) * step, dtype=np.float64)

    def _mutate(self, genes: FloatArray, width: float) -> None:
        """Move about two coordinates of every crystal, in place, and keep all genes in their range."""
        chance = min(1.0, 2.0 / genes.shape[1])
        moved = self._generator.random(genes.shape) < chance
        steps = self._generator.normal(0.0, width, genes.shape)
        steps[:, -1] *= 2.0
        genes += moved * steps
        genes[:, :-1] -= np.floor(genes[:, :-1])
        genes[:, -1] = np.clip(genes[:, -1], -1.0, 1.0)


class _Search:
    """The search within one cell hypothesis.

    :param formula: the compound.
    :param cell: the hypothesis.
    :param scores: the likelihood of distances in such a cell.
    :param settings: the budget.
    :param seed: seed of everything that is drawn.
    """

    def __init__(
        self, formula: Formula, cell: CellHypothesis, scores: _Scores, settings: GeneticSettings, seed: int
    ) -> None:
        self._cell = cell
        self._scores = scores
        self._settings = settings
        self._seed = seed
        self._counts = {
            element: count * cell.formula_units for element, count in zip(formula.elements, formula.counts, strict=True)
        }
        self._group: SpaceGroup = space_group(cell.spacegroup)
        self._lattice: ReducedLattice = reduced_lattice(primitive_lattice(cell.spacegroup, cell.lattice))
        self._assignments = enumerate_assignments(
            cell.spacegroup, self._counts, settings.max_screened, cell.lattice, self._roomy_positions()
        )

    def _roomy_positions(self) -> dict[str, set[str]]:
        """Return the positions on which the atoms of each element need not clash with one another."""
        room = {position.letter: widest_contact(position, self._lattice) for position in self._group.positions}
        needed = {element: 1.8 * CLASH_FRACTION * covalent_radius(element) for element in self._counts}
        return {
            element: {letter for letter, distance in room.items() if distance >= least}
            for element, least in needed.items()
        }

    def reason(self, settings: GeneticSettings) -> str:
        """Say in one sentence why nothing was found."""
        content = ' '.join(f'{count} {element}' for element, count in self._counts.items())
        if not self._assignments:
            return f'no combination of its Wyckoff positions has room for {content}.'
        return (
            f'atoms come too close in all {min(len(self._assignments), settings.max_assignments)} Wyckoff assignments '
            f'searched for {content}.'
        )

    def run(self, hypothesis: int) -> list[_Trial]:
        """Return the best crystals of the best assignments.

        :param hypothesis: place of the hypothesis, for the record.
        """
        kept = self._screen()
        generations = self._settings.generations
        for generation in range(generations):
            width = self._settings.mutation_width * _FINEST_MUTATION ** (generation / max(1, generations - 1))
            for population in kept.values():
                if generation == round(_COARSE_SHARE * generations):
                    population.sharpen(self._scores.sharp)
                population.evolve(width)
            number = self._settings.max_assignments
            kept = _best(kept, number * _EARLY_EXCESS if generation + 1 < _EARLY_SHARE * generations else number)
        trials = []
        for index, population in _best(kept, self._settings.max_assignments).items():
            population.sharpen(self._scores.sharp)
            population.polish(4 * _TRIALS_PER_ASSIGNMENT)
            trials += self._harvest(hypothesis, self._assignments[index], population)
        return trials

    def _screen(self) -> dict[int, _Population]:
        """Return the populations of the most promising assignments, judged by their random beginnings."""
        kept: dict[int, _Population] = {}
        number = self._settings.max_assignments * _EARLY_EXCESS
        for index, assignment in enumerate(self._assignments):
            kept[index] = _Population(self._landscape(assignment), self._settings, self._generator(index))
            if len(kept) >= 2 * number:
                kept = _best(kept, number)
        return _best(kept, number)

    def _generator(self, index: int) -> np.random.Generator:
        """Return the generator of one assignment; it knows nothing of the other hypotheses."""
        return np.random.default_rng((self._seed, self._cell.spacegroup, self._cell.formula_units, index))

    def _landscape(self, assignment: Assignment) -> _Landscape:
        """Return the fitness of all crystals of one assignment."""
        distances = OrbitDistances.of(orbit_map(self._group, assignment), self._lattice)
        return _Landscape(distances, self._scores.coarse, assignment.freedom)

    def _harvest(self, hypothesis: int, assignment: Assignment, population: _Population) -> list[_Trial]:
        """Return the best crystals of one population that do not clash."""
        trials: list[_Trial] = []
        seen: list[FloatArray] = []
        for index in np.argsort(-population.fitness, kind='stable').tolist():
            distances = population.landscape.sorted_distances(population.genes[index])
            if any(np.abs(distances - other).max(initial=0.0) < _SAME_DISTANCES for other in seen):
                continue
            seen.append(distances)
            trial = self._match(hypothesis, assignment, population.landscape, population.genes[index])
            if not self._clashes(trial):
                trials.append(trial)
            if len(seen) >= _TRIALS_PER_ASSIGNMENT:
                break
        return trials

    def _match(self, hypothesis: int, assignment: Assignment, landscape: _Landscape, genes: FloatArray) -> _Trial:
        """Match the atoms of a crystal with the rows of the predicted matrix and climb to the top of that."""
        atoms = orbit_map(self._group, assignment)
        score = self._scores.matched
        fitness = np.full(1, -np.inf)
        for _ in range(_MATCHES):
            structure = self._build(assignment, genes)
            matrix = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
            order = match_atoms(matrix, score.expectation, score.species)
            fixed = _Landscape(OrbitDistances.matched(atoms, self._lattice, order.tolist()), score, assignment.freedom)
            climbed, fitness = fixed.climb(genes[None], _MATCHED_STEPS, _FIRST_STEP)
            genes = climbed[0]
        prior = math.log(max(self._cell.probability, 1e-12)) / len(score.species)
        value = float(fitness[0])
        return _Trial(hypothesis, assignment, genes, value, value + prior, landscape.sorted_distances(genes))

    def _build(self, assignment: Assignment, genes: FloatArray) -> Structure:
        """Return the primitive cell of a crystal."""
        return _build(self._cell, assignment, genes)

    def _clashes(self, trial: _Trial) -> bool:
        """Tell whether atoms of a trial come too close."""
        structure = self._build(trial.assignment, trial.genes)
        found = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
        return closest_contact(found, [site.specie.symbol for site in structure]) < CLASH_FRACTION


def _best(populations: dict[int, _Population], number: int) -> dict[int, _Population]:
    """Return the populations with the best crystals, in the order of their assignments."""
    ranked = sorted(populations, key=lambda index: (-populations[index].best, index))
    return {index: populations[index] for index in sorted(ranked[:number])}


def _build(cell: CellHypothesis, assignment: Assignment, genes: FloatArray) -> Structure:
    """Return the primitive cell of a crystal."""
    scale = float(_length_scale(genes[-1]))
    return build_structure(cell.spacegroup, cell.lattice, assignment, genes[:-1], scale)


def _select(cells: Sequence[CellHypothesis], trials: Sequence[_Trial], number: int, seed: int) -> tuple[Candidate, ...]:
    """Pick distinct trials, best score first, and let no hypothesis take more than twice its even share.

    What the share leaves out fills the places that remain in the end.
    """
    from pymatgen.analysis import structure_matcher

    matcher = structure_matcher.StructureMatcher()
    hypotheses = {trial.hypothesis for trial in trials}
    share = math.ceil(2 * number / max(1, len(hypotheses)))
    waiting = sorted(trials, key=lambda trial: -trial.score)
    taken: list[tuple[_Trial, Structure]] = []
    for limit in (share, number):
        late: list[_Trial] = []
        for trial in waiting:
            if len(taken) >= number:
                break
            if sum(other.hypothesis == trial.hypothesis for other, _ in taken) >= limit:
                late.append(trial)
                continue
            structure = _build(cells[trial.hypothesis], trial.assignment, trial.genes)
            if not any(_same(trial, structure, *other, matcher) for other in taken):
                taken.append((trial, structure))
        waiting = late
    taken.sort(key=lambda pair: -pair[0].fitness)
    return tuple(_candidate(cells, trial, structure, seed) for trial, structure in taken)


def _same(
    first: _Trial, first_structure: Structure, second: _Trial, second_structure: Structure, matcher: StructureMatcher
) -> bool:
    """Tell whether two trials are one crystal; sorted distances decide the clear cases."""
    if len(first.distances) != len(second.distances):
        return bool(matcher.fit(first_structure, second_structure))
    if first.distances.size:
        difference = np.abs(first.distances / first.distances.mean() - second.distances / second.distances.mean())
        if difference.mean() > _CLEARLY_DIFFERENT:
            return False
        if first.hypothesis == second.hypothesis and difference.max() < _CLEARLY_SAME:
            return True
    return bool(matcher.fit(first_structure, second_structure))


def _candidate(cells: Sequence[CellHypothesis], trial: _Trial, structure: Structure, seed: int) -> Candidate:
    """Describe a trial for the pool."""
    cell = cells[trial.hypothesis]
    label = trial.assignment.label(space_group(cell.spacegroup))
    return Candidate(
        structure=structure,
        source='genetic',
        origin=f'{_name(trial.hypothesis, cell)}: {label}',
        spacegroup=cell.spacegroup,
        formula_units=cell.formula_units,
        cost=GENETIC_COST,
        fitness=trial.fitness,
        seed=seed,
    )
