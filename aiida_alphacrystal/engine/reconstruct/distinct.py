"""Which of the crystals that a search has found are different, and which of them become candidates."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.metrics import reduced_structure
from aiida_alphacrystal.engine.reconstruct.candidates import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

__all__ = ('SEARCH_COST', 'Trial', 'distinct_rows', 'select')

FloatArray = npt.NDArray[np.float64]

#: A-priori cost of a crystal without an example, minus the logarithm of a probability as for templates: what a poor
#: template costs, because a search is right less often than a good template; chosen on ``val``.
SEARCH_COST = 8.0

_CLEARLY_DIFFERENT = 0.1
_STRICTLY_DIFFERENT = 0.02
_LOOSE_TOLERANCE = 0.3
_STRICT_TOLERANCE = 0.1
#: How far lattices may be sheared to match, degrees: those of different hypotheses, and those of one. With more, a long
#: cell matches itself with its layers shifted, in many ways that take long to try.
_MOST_SHEAR = 3.0
_LEAST_SHEAR = 1.0
_CLEARLY_SAME = 0.02
_SURROUNDED_ALIKE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One crystal that a search has found.

    :param hypothesis: place of its cell hypothesis.
    :param structure: the primitive cell.
    :param source: ``descent``, ``genetic`` or ``free``.
    :param origin: cell hypothesis and Wyckoff assignment, for the reader.
    :param spacegroup: international number of the space group it was built in.
    :param formula_units: formula units in the cell.
    :param fitness: mean log-likelihood per pair, its atoms matched with the rows of the prediction.
    :param score: fitness less the price of its free coordinates, and the probability of the hypothesis.
    :param distances: its sorted distances, shape (pairs,), A.
    :param surroundings: of each two elements, as :meth:`~.landscape.Landscape.surroundings` has them.
    """

    hypothesis: int
    structure: Structure
    source: str
    origin: str
    spacegroup: int
    formula_units: int
    fitness: float
    score: float
    distances: FloatArray
    surroundings: FloatArray

    @functools.cached_property
    def reduced(self) -> Structure:
        """Return the structure as a matcher reduces it."""
        return reduced_structure(self.structure)


def distinct_rows(distances: FloatArray, tolerance: float) -> list[int]:
    """Return the rows that differ from all rows kept before them.

    :param distances: what crystals are told apart by, such as sorted distances, A, best crystal first, shape
        (crystals, numbers).
    :param tolerance: rows whose largest difference is smaller are one, A.
    """
    kept: list[int] = []
    for index, row in enumerate(distances):
        if not kept or np.abs(distances[kept] - row).max(axis=1, initial=0.0).min() >= tolerance:
            kept.append(index)
    return kept


def select(trials: Sequence[Trial], number: int, seed: int, *, rivals: bool = False) -> tuple[Candidate, ...]:
    """Pick distinct trials, best score first, and let no hypothesis take more than twice its even share.

    What the share leaves out fills the places that remain in the end, and after it the rivals.

    :param trials: of all hypotheses.
    :param number: most candidates.
    :param seed: that drew the trials, for the record.
    :param rivals: whether trials may fill places that lie close to a better one and yet are not the same crystal.
    """
    loose = _Matchers(_LOOSE_TOLERANCE)
    share = math.ceil(2 * number / max(1, len({trial.hypothesis for trial in trials})))
    waiting = sorted(trials, key=lambda trial: -trial.score)
    taken: list[Trial] = []
    close: list[Trial] = []
    for limit in (share, number):
        late: list[Trial] = []
        for trial in waiting:
            if len(taken) >= number:
                break
            if sum(other.hypothesis == trial.hypothesis for other in taken) >= limit:
                late.append(trial)
            elif any(loose.same(trial, other, _CLEARLY_DIFFERENT) for other in taken):
                close.append(trial)
            else:
                taken.append(trial)
        waiting = late
    strict = _Matchers(_STRICT_TOLERANCE)
    for trial in close if rivals else ():
        if len(taken) < number and not any(strict.same(trial, other, _STRICTLY_DIFFERENT) for other in taken):
            taken.append(trial)
    taken.sort(key=lambda trial: -trial.score)
    return tuple(_candidate(trial, seed) for trial in taken)


class _Matchers:
    """Tell whether two trials are one crystal.

    :param tolerance: of the displacements, in units of the cube root of the volume per atom.
    """

    def __init__(self, tolerance: float) -> None:
        from pymatgen.analysis.structure_matcher import StructureMatcher

        self._within, self._across = (
            StructureMatcher(stol=tolerance, angle_tol=shear) for shear in (_LEAST_SHEAR, _MOST_SHEAR)
        )

    def same(self, first: Trial, second: Trial, different: float) -> bool:
        """Tell whether two trials are one crystal; sorted distances decide the clear cases.

        :param first: one.
        :param second: the other.
        :param different: mean difference of the sorted distances, relative to their mean, above which they are not.
        """
        within = first.hypothesis == second.hypothesis
        if first.distances.size and len(first.distances) == len(second.distances):
            difference = np.abs(first.distances / first.distances.mean() - second.distances / second.distances.mean())
            if difference.mean() > different:
                return False
            if within and difference.max() < _CLEARLY_SAME and _surrounded_alike(first, second):
                return True
        matcher = self._within if within else self._across
        return bool(matcher.fit(first.reduced, second.reduced, skip_structure_reduction=True))


def _surrounded_alike(first: Trial, second: Trial) -> bool:
    return bool(np.abs(first.surroundings - second.surroundings).max(initial=0.0) < _SURROUNDED_ALIKE)


def _candidate(trial: Trial, seed: int) -> Candidate:
    """Describe a trial for the pool."""
    return Candidate(
        structure=trial.structure,
        source=trial.source,
        origin=trial.origin,
        spacegroup=trial.spacegroup,
        formula_units=trial.formula_units,
        cost=SEARCH_COST,
        fitness=trial.fitness,
        seed=seed,
    )
