"""The pool of stage 4: what the known prototypes say and what the search finds, without repetitions."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.reconstruct.genetic import genetic_candidates
from aiida_alphacrystal.engine.reconstruct.templates import is_new, propose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.settings import PredictionSettings

__all__ = ('Reconstruction', 'reconstruct')


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
    candidates = list(propose(library, formula, settings.templates, settings.max_atoms))
    reasons = []
    if not candidates and settings.templates.max_candidates > 0:
        reasons.append(f'No known prototype takes the atoms of {formula.label}.')
    if settings.genetic.max_candidates > 0:
        found = genetic_candidates(formula, cells, distances, settings.genetic, seed)
        candidates += [candidate for candidate in found.candidates if is_new(candidate, candidates)]
        reasons += found.reasons
    return Reconstruction(tuple(candidates), tuple(reasons))
