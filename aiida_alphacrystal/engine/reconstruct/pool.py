"""The pool of stage 4: what the known prototypes say and what the search finds, without repetitions."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.reconstruct.likelihood import StructureFitness
from aiida_alphacrystal.engine.reconstruct.search import search_crystals
from aiida_alphacrystal.engine.reconstruct.templates import is_new, propose
from aiida_alphacrystal.engine.symmetry import crystal_system

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.settings import PredictionSettings

__all__ = ('Reconstruction', 'reconstruct')

#: How many more templates are looked at where the user knows something of the cell.
_SPARE = 5


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """The candidates of a formula.

    :param candidates: distinct candidates, templates first, each source in its own order.
    :param reasons: one sentence for every cell hypothesis or source that gave nothing.
    """

    candidates: tuple[Candidate, ...]
    reasons: tuple[str, ...]


def reconstruct(
    formula: Formula,
    cells: Sequence[CellHypothesis],
    distances: Mapping[int, DistancePrediction],
    library: PrototypeLibrary,
    settings: PredictionSettings,
    seed: int,
) -> Reconstruction:
    """Make the pool of candidates of a formula.

    :param formula: the compound.
    :param cells: hypotheses of stage 3, most probable first.
    :param distances: predictions of stage 2 by formula units.
    :param library: known prototypes.
    :param settings: how many candidates each source gives.
    :param seed: of the search.
    """
    candidates = _templates(library, formula, settings)
    reasons = []
    if not candidates and settings.templates.max_candidates > 0:
        reasons.append(f'No known prototype takes the atoms of {formula.label}.')
    if settings.search.max_candidates > 0:
        statistics = library.pair_statistics if settings.search.pair_weight else None
        found = search_crystals(formula, cells, distances, settings.search, seed, statistics)
        candidates += [candidate for candidate in found.candidates if is_new(candidate, candidates)]
        reasons += found.reasons
    return Reconstruction(tuple(_judge(candidates, cells, distances)), tuple(reasons))


def _judge(
    candidates: Sequence[Candidate], cells: Sequence[CellHypothesis], distances: Mapping[int, DistancePrediction]
) -> Iterator[Candidate]:
    """Yield the candidates with what cells and distances say of each; the search knows its fitness already."""
    fitness = {units: StructureFitness(prediction) for units, prediction in distances.items()}
    for candidate in candidates:
        found = [
            cell.probability
            for cell in cells
            if (cell.spacegroup, cell.formula_units) == (candidate.spacegroup, candidate.formula_units)
        ]
        own = candidate.fitness
        if own is None and candidate.formula_units in fitness:
            own = fitness[candidate.formula_units](candidate.structure)
        yield dataclasses.replace(candidate, fitness=own, cell_probability=sum(found) if cells else None)


def _templates(library: PrototypeLibrary, formula: Formula, settings: PredictionSettings) -> list[Candidate]:
    """Propose templates that are as the user wants the cell."""
    wanted, cells = settings.templates, settings.cells
    if not cells.spacegroup and not cells.crystal_system:
        return list(propose(library, formula, wanted, settings.max_atoms))
    more = dataclasses.replace(wanted, max_candidates=_SPARE * wanted.max_candidates)
    fitting = [
        candidate
        for candidate in propose(library, formula, more, settings.max_atoms)
        if cells.spacegroup in {0, candidate.spacegroup}
        and cells.crystal_system in {'', crystal_system(candidate.spacegroup)}
    ]
    return fitting[: wanted.max_candidates]
