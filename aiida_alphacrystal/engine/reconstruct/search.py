"""The search: from predicted distances and cell hypotheses to crystals without an example.

Given a space group, a lattice and the content of the cell, the crystals of all Wyckoff assignments are searched for
those whose distances are likely under the predicted distributions, by gradients (:mod:`descent`) or by the genetic
algorithm of the paper (:mod:`genetic`), both on one batched fitness (:mod:`landscape`). The search sees sorted
distances only; in the end the atoms of the best crystals are matched with the rows of the prediction, and the crystals
climb again. Beside it a search without symmetry lets all atoms move freely from random beginnings; its atoms are the
rows of the prediction from the start.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct.budget import Budget
from aiida_alphacrystal.engine.reconstruct.contacts import (
    CLASH_FRACTION,
    closest_contact,
    covalent_radius,
    widest_contact,
)
from aiida_alphacrystal.engine.reconstruct.descent import descend
from aiida_alphacrystal.engine.reconstruct.distinct import Trial, select
from aiida_alphacrystal.engine.reconstruct.exchange import exchange
from aiida_alphacrystal.engine.reconstruct.genetic import evolve
from aiida_alphacrystal.engine.reconstruct.growth import grow
from aiida_alphacrystal.engine.reconstruct.landscape import FIRST_STEP, Crystals, Landscape, length_scale
from aiida_alphacrystal.engine.reconstruct.matched import FINE_STEP, Likelihoods, mend, places_of_distinct, polish
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.pair_statistics import PairPrior
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    Assignment,
    build_structure,
    enumerate_assignments,
    normalizer_permutations,
    primitive_lattice,
    space_group,
)
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
    from aiida_alphacrystal.engine.reconstruct.pair_statistics import PairStatistics
    from aiida_alphacrystal.engine.reconstruct.wyckoff import SpaceGroup
    from aiida_alphacrystal.engine.settings import SearchSettings

__all__ = ('SearchResult', 'search_crystals')

_SEARCHES = {'descent': descend, 'genetic': evolve}
_PERHAPS_SOLVED = 0.15
_PERHAPS_MENDED = 0.05
#: Share of the evaluations after which a descent ends, and what it has found is mended.
_SHARE_OF_DESCENT = 0.6
#: Evaluations after which it ends in any case: what it has not found then, orbits that are moved find sooner.
_MOST_DESCENT = 200_000
_SOLVED = 0.3
#: How far from that crystals are which have perhaps one orbit in the wrong place.
_NEARLY = 0.7
_TRIED = 16
_IMPROVED = 0.01
_SHARPENED = 128
_SHARPENED_PER_ASSIGNMENT = 12
_PER_ASSIGNMENT = 8
_FREE_STEPS = 80
_FREE_KEPT = 16
_ROOM = 1.8
_USUAL_PAIRS = 66
_FEWEST_PAIRS = 10
#: How much less likely, in log-likelihood of each distance, crystals are left behind, but for some of them.
_HOPELESS = 1.0
_FEWEST_LIKELY = 4
#: Attempts to let crystals grow: over how many orbits alike rows may be divided, and then if that does not meet their
#: distances, and with what effort.
_GROWTHS = (((1, 4), 0.25), ((2, 4), 0.5), ((1, 4), 1.0), ((4,), 1.0))
_POLISHED_OF_GROWN = 48
#: Share of the work after which no further attempt begins, and what the search has after all of them.
_SHARE_OF_GROWTH = 0.6
_SHARE_AFTER_GROWTH = 0.25
#: What a free coordinate costs, in log-likelihood: that of Akaike's criterion.
_PRICE = 1.0


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    :param candidates: distinct structures, best fitness first.
    :param reasons: one sentence for each hypothesis that gave none.
    """

    candidates: tuple[Candidate, ...]
    reasons: tuple[str, ...]


def search_crystals(
    formula: Formula,
    cells: Sequence[CellHypothesis],
    distances: Mapping[int, DistancePrediction],
    settings: SearchSettings,
    seed: int,
    statistics: PairStatistics | None = None,
    budget: Budget | None = None,
) -> SearchResult:
    """Rebuild crystals from predicted distances.

    The result is the same for the same seed unless a time ends it, and what is found for a hypothesis depends
    neither on the other hypotheses nor on their order.

    :param formula: the compound.
    :param cells: hypotheses about space group, content and lattice of the cell.
    :param distances: predicted distances by formula units in the cell.
    :param settings: method, work to be done and number of candidates.
    :param seed: seed of everything that is drawn.
    :param statistics: what known crystals say of the distances of two elements; None leaves it out.
    :param budget: ends the search early; what has been found until then is returned.
    """
    if settings.max_candidates == 0:
        return SearchResult((), ())
    budget = budget or Budget(settings.seconds)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    prior = None if statistics is None else PairPrior(statistics, settings.pair_weight)
    trials: list[Trial] = []
    reasons: dict[int, str] = {}
    with one_thread():
        likelihoods = {
            units: Likelihoods.of(prediction, device, prior) for units, prediction in sorted(distances.items())
        }
        for index, cell in enumerate(cells):
            report('reconstruct', index, len(cells))
            name = f'hypothesis {index + 1} ({space_group(cell.spacegroup).symbol})'
            if cell.formula_units not in likelihoods:
                reasons[index] = f'{name}: no distances are given for {cell.formula_units} formula units.'
                continue
            if budget.spent and index:
                reasons[index] = f'{name}: the time was over before its turn.'
                continue
            search = _Search(formula, cell, likelihoods[cell.formula_units], settings, seed, budget)
            found = search.run(index, name)
            if not found:
                reasons[index] = f'{name}: {search.reason}'
            trials += found
    candidates = select(trials, settings.max_candidates, seed, rivals=settings.rivals)
    report('reconstruct', len(cells), len(cells))
    return SearchResult(candidates, tuple(reasons[index] for index in sorted(reasons)))


class _Search:
    """The search within one cell hypothesis.

    :param formula: the compound.
    :param cell: the hypothesis.
    :param likelihoods: of distances in such a cell.
    :param settings: method and work to be done.
    :param seed: seed of everything that is drawn.
    :param budget: ends the search early.
    """

    def __init__(
        self,
        formula: Formula,
        cell: CellHypothesis,
        likelihoods: Likelihoods,
        settings: SearchSettings,
        seed: int,
        budget: Budget,
    ) -> None:
        self._cell = cell
        self._likelihoods = likelihoods
        self._settings = settings
        self._budget = budget
        self._generator, self._free_generator, self._growth_generator = (
            torch.Generator().manual_seed(_seed_of(seed, cell, stream)) for stream in range(3)
        )
        self._counts = {
            element: count * cell.formula_units for element, count in zip(formula.elements, formula.counts, strict=True)
        }
        self._lattice = reduced_lattice(primitive_lattice(cell.spacegroup, cell.lattice))
        self._device = likelihoods.expectation.device
        self._judged = 0
        self._tried = -math.inf
        self._polished: list[Crystals] = []
        self.reason = ''

    def run(self, hypothesis: int, name: str) -> list[Trial]:
        """Return the best crystals found.

        :param hypothesis: place of the hypothesis, for the record.
        :param name: of the hypothesis, for the record.
        """
        trials = self._with_symmetry(hypothesis, name)
        if self._settings.free_starts > 0 and not self._budget.spent:
            trials += self._without_symmetry(hypothesis, name)
        return trials

    def _with_symmetry(self, hypothesis: int, name: str) -> list[Trial]:
        """Search all Wyckoff assignments."""
        cell, group = self._cell, space_group(self._cell.spacegroup)
        rounds = list(self._rounds(group))
        everything = [found for _, _, found in rounds]
        trials: list[Trial] = []
        for chosen in (_likely(everything), everything):  # the likely ones may all clash
            for (some, landscape, _), found in zip(rounds, chosen, strict=True):
                origins = [f'{name}: {assignment.label(group)}' for assignment in some]
                trials += self._trials(cell, landscape, some, found, (hypothesis, self._settings.method, origins))
            if trials:
                break
        return trials

    def _rounds(self, group: SpaceGroup) -> Iterator[tuple[Sequence[Assignment], Landscape, Crystals]]:
        """Yield what grows, then what the search finds, then what the neighbours of its assignments hold.

        It ends as soon as the distances are met, or nothing helps any more.
        """
        content = ' '.join(f'{count} {element}' for element, count in self._counts.items())
        self.reason = f'atoms come too close in the best crystals of all Wyckoff assignments of {content}.'
        for grown in self._grown(group):
            yield grown
            if self._solved(grown[2]):
                return
        cell = self._cell
        assignments: Sequence[Assignment] = enumerate_assignments(
            cell.spacegroup, self._counts, self._settings.max_screened, cell.lattice, self._roomy_positions()
        )
        if not assignments:
            self.reason = f'no combination of its Wyckoff positions has room for {content}.'
            return
        landscape = Landscape(group, assignments, self._lattice, self._device)
        found = self._searched(landscape)
        yield assignments, landscape, found
        best = -math.inf if self._settings.exchanges else math.inf
        while self._can_go_on(landscape, found) and float(found.fitness.max()) > best + _IMPROVED:
            best = float(found.fitness.max())
            coarse, generator = self._likelihoods.coarse, self._generator
            assignments, landscape, started = exchange(group, assignments, landscape, coarse, found, generator)
            if not assignments:
                return
            found = self._mended(landscape, self._polish(landscape, started))
            yield assignments, landscape, found

    def _grown(self, group: SpaceGroup) -> Iterator[tuple[Sequence[Assignment], Landscape, Crystals]]:
        """Yield what grows where the distances are sure: each set of alike rows on one orbit, or else on several."""
        likelihoods, generator = self._likelihoods, self._growth_generator
        if likelihoods.alike is None or self._settings.method == 'genetic':
            return
        rows = likelihoods.alike if group.general_position.multiplicity > 1 else likelihoods.alike.apart()
        permutations = normalizer_permutations(group, self._cell.lattice)
        for attempt in dict.fromkeys((rows.divided(orbits), effort) for orbits, effort in _GROWTHS):
            if self._budget.spent or self._work() >= _SHARE_OF_GROWTH:
                break
            grown = grow(group, self._lattice, likelihoods, rows, permutations, generator, *attempt)
            if grown is not None:
                self._judged += grown.judged
                best = places_of_distinct(grown.landscape, grown.crystals)[:_POLISHED_OF_GROWN]
                crystals = grown.crystals.take(best)
                found = polish(grown.landscape, likelihoods, crystals, generator, grown.order[best])
                if not self._solved(found) and self._solved(found, _NEARLY):
                    found = self._mended(grown.landscape, found)
                    self._judged += grown.landscape.evaluations * grown.landscape.pairs
                yield grown.assignments, grown.landscape, found
        self._judged = max(self._judged, round((1.0 - _SHARE_AFTER_GROWTH) * self._all_work))

    def _searched(self, landscape: Landscape) -> Crystals:
        """Return the best crystals of all assignments, their atoms matched with the rows of the prediction."""
        search = _SEARCHES[self._settings.method]
        field = search(
            landscape, self._likelihoods.coarse, self._generator, lambda field: self._enough(landscape, field)
        )
        polished = self._polish(landscape, field.best(_SHARPENED, _SHARPENED_PER_ASSIGNMENT))
        found = Crystals.together([polished, *self._polished])
        return self._mended(landscape, found) if self._can_go_on(landscape, found) else found

    def _can_go_on(self, landscape: Landscape, found: Crystals) -> bool:
        """Tell whether orbits are to be moved or exchanged: the genetic algorithm stays that of the paper."""
        if self._settings.method == 'genetic' or self._work(landscape) >= 1.0 or self._budget.spent:
            return False
        return bool(landscape.freedoms.any()) and not self._solved(found)

    def _without_symmetry(self, hypothesis: int, name: str) -> list[Trial]:
        """Let all atoms move freely; the rows of the prediction tell them apart."""
        from pymatgen.core.lattice import Lattice

        lattice = primitive_lattice(self._cell.spacegroup, self._cell.lattice)
        cell = dataclasses.replace(self._cell, spacegroup=1, lattice=Lattice(lattice).parameters)
        assignment = Assignment(tuple((element, 'a') for element in self._likelihoods.species), 3 * self._atoms)
        reduced = reduced_lattice(primitive_lattice(1, cell.lattice))
        landscape = Landscape(space_group(1), [assignment], reduced, self._device)
        starts = self._settings.free_starts
        owners = torch.zeros(starts, dtype=torch.int64, device=self._device)
        crystals = Crystals(owners, landscape.draw((starts,), self._free_generator), owners.float())
        order = torch.arange(self._atoms, device=self._device).expand(starts, -1)
        crystals = landscape.climb(self._likelihoods.coarse, crystals, _FREE_STEPS, order=order)
        found = crystals.best(_FREE_KEPT, _FREE_KEPT)
        for width in (FIRST_STEP, FINE_STEP):
            found = landscape.climb(self._likelihoods.sharp, found, _FREE_STEPS, width, order[: len(found)])
        return self._trials(cell, landscape, [assignment], found, (hypothesis, 'free', [f'{name}: no symmetry']))

    @property
    def _atoms(self) -> int:
        return len(self._likelihoods.species)

    def _roomy_positions(self) -> dict[str, set[str]]:
        """Return the positions on which the atoms of each element need not clash with one another."""
        positions = space_group(self._cell.spacegroup).positions
        room = {position.letter: widest_contact(position, self._lattice) for position in positions}
        needed = {element: _ROOM * CLASH_FRACTION * covalent_radius(element) for element in self._counts}
        return {
            element: {letter for letter, distance in room.items() if distance >= least}
            for element, least in needed.items()
        }

    def _enough(self, landscape: Landscape, field: Crystals) -> bool:
        """Tell whether the distances are met as well as they can be, or this part of the work is done."""
        share = min(_SHARE_OF_DESCENT, _MOST_DESCENT / self._settings.evaluations)
        if self._settings.method == 'genetic':
            share = 1.0
        share += (1.0 - share) * self._work()  # of what growth has left
        if not bool(landscape.freedoms.any()) or self._work(landscape) >= share or self._budget.spent:
            return True
        best = float(field.fitness.max())
        if best < max(self._tried + _IMPROVED, self._likelihoods.coarse.bound - _PERHAPS_SOLVED):
            return False
        self._tried = best
        polished = self._polish(landscape, field.best(_TRIED, _PER_ASSIGNMENT))
        self._polished.append(polished)
        return self._solved(polished)

    def _mended(self, landscape: Landscape, crystals: Crystals) -> Crystals:
        """Return polished crystals, and what they become when their orbits are moved."""

        def finished(field: Crystals) -> bool:
            met = float(field.fitness.max()) > self._likelihoods.coarse.bound - _PERHAPS_MENDED
            return met or self._work(landscape) >= 1.0 or self._budget.spent

        return mend(landscape, self._likelihoods, crystals, self._generator, finished)

    def _work(self, landscape: Landscape | None = None) -> float:
        """Return which share of the work has been done."""
        done = 0 if landscape is None else landscape.evaluations * max(_FEWEST_PAIRS, landscape.pairs)
        return (self._judged + done) / self._all_work

    @property
    def _all_work(self) -> int:
        """Return how many pairs of atoms may be judged."""
        return _USUAL_PAIRS * self._settings.evaluations

    def _solved(self, polished: Crystals, short: float = _SOLVED) -> bool:
        """Tell whether the matched distances agree with the prediction as well as they can, but for so much."""
        return float(polished.fitness.max()) > self._likelihoods.sharp.bound - short

    def _polish(self, landscape: Landscape, crystals: Crystals) -> Crystals:
        return polish(landscape, self._likelihoods, crystals, self._generator)

    def _trials(
        self,
        cell: CellHypothesis,
        landscape: Landscape,
        assignments: Sequence[Assignment],
        crystals: Crystals,
        record: tuple[int, str, Sequence[str]],
    ) -> list[Trial]:
        """Build the crystals whose atoms do not clash; the record is hypothesis, source, and origin by assignment."""
        hypothesis, source, origins = record
        pairs = self._atoms * (self._atoms + 1) // 2
        cell_prior = math.log(max(cell.probability, 1e-12)) / self._atoms
        distances = landscape.sorted_distances(crystals).cpu().double().numpy()
        surroundings = landscape.surroundings(crystals).cpu().double().numpy()
        scales = length_scale(crystals.genes[:, -1]).cpu().tolist()
        trials = []
        for index, owner in enumerate(crystals.assignments.tolist()):
            assignment, genes = assignments[owner], crystals.genes[index].cpu().double().numpy()
            structure = build_structure(
                cell.spacegroup, cell.lattice, assignment, genes[: assignment.freedom], scales[index]
            )
            found = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
            if closest_contact(found, [site.specie.symbol for site in structure]) < CLASH_FRACTION:
                continue
            posterior = float(crystals.fitness[index])
            fitness = posterior - self._likelihoods.prior_of(found) / pairs
            score = posterior - _PRICE * assignment.freedom / pairs + cell_prior
            trials.append(
                Trial(
                    hypothesis, structure, source, origins[owner], cell.spacegroup, cell.formula_units, fitness, score,
                    distances[index], surroundings[index],
                )
            )  # fmt: skip
        return trials


def _likely(rounds: Sequence[Crystals]) -> list[Crystals]:
    """Return the crystals that are not hopelessly less likely than the best of all, or else the best few."""
    if not rounds:
        return []
    fitness = torch.cat([found.fitness for found in rounds])
    few = fitness.topk(min(_FEWEST_LIKELY, len(fitness))).values[-1]
    least = torch.minimum(fitness.max() - _HOPELESS, few)
    return [found.take(found.fitness >= least) for found in rounds]


def _seed_of(seed: int, cell: CellHypothesis, stream: int) -> int:
    """Return the seed of one hypothesis, which knows nothing of the others; each stream has its own."""
    sequence = np.random.SeedSequence((seed, cell.spacegroup, cell.formula_units), spawn_key=(stream,))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
