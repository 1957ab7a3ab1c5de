"""How probable it is that a relaxed structure is the right one, from all that is known of it.

For each distinct structure of a pool there are seven numbers, in which differences to the best of the pool count, and
the probabilities are a softmax of their weighted sums, with one more term for none of the structures being right. The
weights are learnt from known crystals (:mod:`aiida_alphacrystal.engine.rank_training`), one set for each potential,
since potentials err differently.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
    from aiida_alphacrystal.engine.relax import Relaxation
    from aiida_alphacrystal.engine.settings import RankSettings

__all__ = ('FEATURES', 'OTHER', 'CandidateFacts', 'confidences', 'features', 'shipped_weights', 'with_weights')

FloatArray = npt.NDArray[np.float64]

#: What the probability of a structure follows from; the last weight is that of none being right.
FEATURES = ('energy', 'prior', 'search', 'relaxation', 'volume', 'cell', 'distances')

#: Energy above the lowest of the pool (eV/atom) from which on more counts ever less: what the potentials err by.
_ENERGY_SCALE = 0.02
#: Logarithm of the prior below which structures are not told apart: what is that improbable is often so by accident.
_LEAST_PRIOR = -5.0
#: Energy gained in the relaxation (eV/atom) below which it says nothing.
_LEAST_GAIN = 0.003
#: Change of the logarithm of the volume that counts as one.
_VOLUME_SCALE = 0.1
#: Probability of a cell that no hypothesis has.
_LEAST_CELL = 1e-3

#: Weights for potentials that none were learnt for: those learnt from all.
OTHER = 'other'


@dataclasses.dataclass(frozen=True)
class CandidateFacts:
    """What was known of a candidate before its relaxation.

    :param cost: minus the logarithm of its a-priori probability.
    :param searched: whether the search has found it, not a template.
    :param volume_per_atom: cubic angstrom.
    :param cell_probability: of its space group and formula units; None where it is not known.
    :param fitness: mean log-likelihood of its distances; None where it is not known.
    """

    cost: float
    searched: bool = False
    volume_per_atom: float | None = None
    cell_probability: float | None = None
    fitness: float | None = None

    @classmethod
    def of(cls, candidate: Candidate) -> CandidateFacts:
        """Take the facts out of a candidate.

        :param candidate: before its relaxation.
        """
        return cls(
            cost=candidate.cost,
            searched=candidate.source != 'template',
            volume_per_atom=candidate.structure.volume / len(candidate.structure),
            cell_probability=candidate.cell_probability,
            fitness=candidate.fitness,
        )


def features(
    groups: Sequence[Sequence[int]],
    facts: Sequence[CandidateFacts],
    relaxations: Sequence[Relaxation],
    energies: Sequence[float],
) -> FloatArray:
    """Describe the distinct structures of a pool.

    :param groups: candidates that have relaxed to the same structure, by their places in the two lists.
    :param facts: of every candidate before its relaxation.
    :param relaxations: of every candidate.
    :param energies: formation energy of every candidate, eV/atom.
    :return: shape (groups, features), in the order of ``FEATURES``; larger is more probable.
    """
    lowest = np.array([min(energies[index] for index in group) for group in groups])
    fitness = _known([max(_values(facts, group, 'fitness'), default=math.nan) for group in groups])
    columns = (
        -np.log1p((lowest - lowest.min()) / _ENERGY_SCALE),
        np.logaddexp(
            [math.log(sum(math.exp(-facts[index].cost) for index in group)) for group in groups], _LEAST_PRIOR
        ),
        [float(any(facts[index].searched for index in group)) for group in groups],
        [-math.log(_LEAST_GAIN + min(_gain(relaxations[index]) for index in group)) for group in groups],
        [-min(_swelling(facts[index], relaxations[index]) for index in group) for group in groups],
        [math.log(_LEAST_CELL + max(_values(facts, group, 'cell_probability'), default=0.0)) for group in groups],
        fitness - fitness.max(),
    )
    return np.array(columns, dtype=np.float64).T


def confidences(described: FloatArray, weights: Sequence[float]) -> FloatArray:
    """Return the probability of each distinct structure to be the right one.

    :param described: as :func:`features` returns it.
    :param weights: one for each feature, and one for none of the structures being right.
    :return: shape (groups,); what is missing to one is the probability of none.
    """
    sums = np.append(described @ np.asarray(weights[:-1]), weights[-1])
    exponentials = np.exp(sums - sums.max())
    return np.asarray(exponentials[:-1] / exponentials.sum(), dtype=np.float64)


def shipped_weights(sha256: str) -> tuple[float, ...]:
    """Return the weights for a potential.

    :param sha256: of its files; one that nothing was learnt for gets what was learnt from all potentials.
    """
    return _table().get(sha256, _table()[OTHER])


def with_weights(settings: RankSettings, sha256: str) -> RankSettings:
    """Return settings that hold the weights which are used with a potential.

    :param settings: their own weights stay, where they have any.
    :param sha256: of the files of the potential.
    """
    return settings if settings.weights else dataclasses.replace(settings, weights=shipped_weights(sha256))


@functools.cache
def _table() -> Mapping[str, tuple[float, ...]]:
    path = resources.files('aiida_alphacrystal') / 'weights' / 'ranking.json'
    rows = json.loads(path.read_text())['potentials']
    return {sha256: tuple(row['weights']) for sha256, row in rows.items()}


def _values(facts: Sequence[CandidateFacts], group: Sequence[int], name: str) -> list[float]:
    values = (getattr(facts[index], name) for index in group)
    return [value for value in values if value is not None]


def _known(values: Sequence[float]) -> FloatArray:
    """Return values with the lowest of them where one is not a number; nought where none is."""
    array = np.array(values, dtype=np.float64)
    known = array[np.isfinite(array)]
    return np.where(np.isfinite(array), array, known.min() if len(known) else 0.0)


def _gain(relaxation: Relaxation) -> float:
    """Return the energy gained by the relaxation, eV/atom; none where it is not known."""
    if relaxation.initial_energy is None:
        return 0.0
    return max(relaxation.initial_energy - relaxation.energy, 0.0)


def _swelling(facts: CandidateFacts, relaxation: Relaxation) -> float:
    """Return by how much the logarithm of the volume has changed, in units of the scale."""
    if facts.volume_per_atom is None:
        return 0.0
    volume = relaxation.structure.volume / len(relaxation.structure)
    return abs(math.log(volume / facts.volume_per_atom)) / _VOLUME_SCALE
