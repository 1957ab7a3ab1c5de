"""What becomes of crystals once their atoms are matched with the rows of the prediction.

Each distance is then judged by its own distribution: crystals climb to the top of that, and orbits that sit in the
wrong place are seen as such and put elsewhere.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import torch

from aiida_alphacrystal.engine.atom_matching import match_many
from aiida_alphacrystal.engine.reconstruct.alike import AlikeRows, alike_rows, is_sure
from aiida_alphacrystal.engine.reconstruct.distinct import distinct_rows
from aiida_alphacrystal.engine.reconstruct.landscape import FIRST_STEP, Crystals
from aiida_alphacrystal.engine.reconstruct.likelihood import SHARP_TAILS, DistanceLikelihood
from aiida_alphacrystal.engine.reconstruct.relocation import relocate_each

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.reconstruct.landscape import Landscape
    from aiida_alphacrystal.engine.reconstruct.pair_statistics import PairPrior

__all__ = ('FINE_STEP', 'Likelihoods', 'mend', 'places_of_distinct', 'polish')

#: First step of a last climb, in fractional coordinates.
FINE_STEP = 0.005

_MATCHED = 96
_POLISHED = 48
_PER_ASSIGNMENT = 8
_COARSE_STEPS = 12
_SHARP_STEPS = 15
_FINAL_STEPS = 20
_SAME = 0.05
#: What a difference of surroundings counts beside one of distances (A).
_WEIGHT = 4.0
_MENDED = 16
_MENDED_PER_ASSIGNMENT = 4
_MENDING_STEPS = 8
_IDLE_ROUNDS = 3
_GAIN = 0.01


class Likelihoods(NamedTuple):
    """The likelihood of distances, for the beginning and the end of a search.

    :param coarse: with wide tails; it leads from far away.
    :param sharp: it decides in the end.
    :param species: element of every row of the prediction.
    :param expectation: mean distances, shape (atoms, atoms), A.
    :param prior: what known crystals have added to both, if anything.
    :param alike: which rows are alike, where the distances are sure enough to tell others apart.
    """

    coarse: DistanceLikelihood
    sharp: DistanceLikelihood
    species: tuple[str, ...]
    expectation: torch.Tensor
    prior: PairPrior | None
    alike: AlikeRows | None

    @classmethod
    def of(cls, prediction: DistancePrediction, device: torch.device, prior: PairPrior | None = None) -> Likelihoods:
        """Prepare the likelihoods of one prediction.

        :param prediction: distributions of all pairs of the cell.
        :param device: where to compute.
        :param prior: what known crystals say of such distances; None leaves it out.
        """
        expectation = torch.tensor(prediction.expectation, dtype=torch.float32, device=device)
        coarse, sharp = (
            DistanceLikelihood(prediction, tail_weight, device, prior) for tail_weight in (1.0, SHARP_TAILS)
        )
        alike = alike_rows(prediction) if is_sure(prediction) else None
        return cls(coarse, sharp, prediction.species, expectation, prior, alike)

    def prior_of(self, distances: npt.NDArray[np.float64]) -> float:
        """Return what known crystals have added to the log-likelihood of all pairs of a crystal.

        :param distances: its minimum-image distances, elements in the order of the prediction, shape (atoms, atoms), A.
        """
        return 0.0 if self.prior is None else self.prior.sum(distances, self.species)

    def match(
        self,
        landscape: Landscape,
        crystals: Crystals,
        generator: torch.Generator,
        known: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the atom of each crystal that stands in each row of the prediction, shape (crystals, atoms).

        :param landscape: of the cell.
        :param crystals: the crystals.
        :param generator: draws what is tried.
        :param known: an order of the atoms of each crystal that is tried as well, shape (crystals, atoms).
        """
        return match_many(landscape.matrices(crystals), self.expectation, self.species, generator, known)


def polish(
    landscape: Landscape,
    likelihoods: Likelihoods,
    crystals: Crystals,
    generator: torch.Generator,
    known: torch.Tensor | None = None,
) -> Crystals:
    """Match the atoms of crystals with the rows of the prediction and climb to the top of that, three times.

    :param landscape: of the cell.
    :param likelihoods: of the distances.
    :param crystals: they stay as they are.
    :param generator: draws what the matching tries.
    :param known: an order of the atoms of each crystal that the matching tries as well, shape (crystals, atoms).
    :return: the best distinct crystals with their sharp fitness, best first.
    """
    coarse, sharp = likelihoods.coarse, likelihoods.sharp
    rounds = (
        (coarse, _COARSE_STEPS, FIRST_STEP, _MATCHED),
        (sharp, _SHARP_STEPS, FIRST_STEP, _POLISHED),
        (sharp, _FINAL_STEPS, FINE_STEP, _POLISHED),
    )
    for likelihood, steps, width, number in rounds:
        order = likelihoods.match(landscape, crystals, generator, known)
        known = None
        crystals = landscape.climb(likelihood, crystals, steps, width, order)
        if likelihood is coarse:
            crystals = dataclasses.replace(crystals, fitness=landscape.with_gradient(sharp, crystals, order)[0])
        crystals = crystals.take(places_of_distinct(landscape, crystals)).best(number, _PER_ASSIGNMENT)
    return crystals


def places_of_distinct(landscape: Landscape, crystals: Crystals) -> torch.Tensor:
    """Return the indices of crystals that differ from all better ones in distances or surroundings, best first.

    :param landscape: of the cell.
    :param crystals: the crystals.
    """
    seen = torch.cat([landscape.sorted_distances(crystals), _WEIGHT * landscape.surroundings(crystals)], dim=1)
    order = torch.argsort(crystals.fitness, descending=True, stable=True)
    return order[torch.tensor(distinct_rows(seen[order].cpu().numpy(), _SAME), device=landscape.device)]


def mend(
    landscape: Landscape,
    likelihoods: Likelihoods,
    crystals: Crystals,
    generator: torch.Generator,
    finished: Callable[[Crystals], bool],
) -> Crystals:
    """Put orbits of the best crystals elsewhere as long as that helps, and polish what comes of it.

    :param landscape: of the cell.
    :param likelihoods: of the distances.
    :param crystals: polished; they stay as they are.
    :param generator: draws places, and what the matching tries.
    :param finished: asked before every round whether the crystals, with their coarse fitness, are enough.
    :return: these crystals and those that were mended, with their sharp fitness, best first.
    """
    coarse = likelihoods.coarse
    field = crystals.best(_MENDED, _MENDED_PER_ASSIGNMENT)
    highest, idle = -torch.inf, 0
    known = None
    while idle < _IDLE_ROUNDS and bool(landscape.freedoms[field.assignments].any()):
        order = likelihoods.match(landscape, field, generator, known)
        field = landscape.judged(coarse, field, order)
        if finished(field):
            break
        moved, moved_order = relocate_each(landscape, coarse, field, order, generator)
        moved = landscape.climb(coarse, moved, _MENDING_STEPS, FIRST_STEP, moved_order)
        both = Crystals.together([field, moved])
        chosen = both.places_of_best(_MENDED, _MENDED_PER_ASSIGNMENT)
        field, known = both.take(chosen), torch.cat([order, moved_order])[chosen]
        best = float(field.fitness.max())
        idle = 0 if best > highest + _GAIN else idle + 1
        highest = max(highest, best)
    mended = polish(landscape, likelihoods, field, generator, known)
    return Crystals.together([crystals, mended]).best(_POLISHED, _PER_ASSIGNMENT)
