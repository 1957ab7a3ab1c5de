"""Learn the weights of the model that judges relaxed structures, from evaluations on known crystals.

The weights maximise the likelihood that the model gives to what was found: that one of the structures that match the
known crystal is the right one, or none where none matches, with a small penalty on their squares. What potentials
have in common is learnt from all of them, and the weights of each stay near it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.evaluation import read_evaluation
from aiida_alphacrystal.engine.metrics import expected_calibration_error
from aiida_alphacrystal.engine.rank_model import FEATURES, OTHER, confidences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.evaluation import EntryResult

__all__ = ('FEWEST', 'RankTrainingError', 'fit_weights', 'train_ranking')

FloatArray = npt.NDArray[np.float64]

#: Known crystals that eight weights need at least.
FEWEST = 50

#: Of the squares of the common weights, and of how far those of a potential are from them.
_PENALTY = 1e-3
_COMMON_PENALTY = 2e-2
_FOLDS = 10


class RankTrainingError(AlphaCrystalError):
    """An evaluation cannot be learnt from."""


@dataclasses.dataclass(frozen=True)
class _Example:
    """One known crystal.

    :param material_id: its name.
    :param features: of the structures that were ranked, shape (structures, features).
    :param matches: whether each of them matches, shape (structures,).
    """

    material_id: str
    features: FloatArray
    matches: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, result: EntryResult) -> _Example:
        features = np.array(result.features, dtype=np.float64)
        return cls(result.material_id, features, np.array(result.matches, dtype=np.bool_))


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    """The known crystals that were predicted with one potential."""

    name: str
    sha256: str
    data_sha256: str
    examples: tuple[_Example, ...]

    @classmethod
    def read(cls, directory: Path) -> _Evaluation:
        """Read what ``aiida-alphacrystal evaluate --output`` has written.

        :raises RankTrainingError: if nothing was relaxed, or too few crystals have a ranking.
        """
        plan, results = read_evaluation(directory)
        potential = plan['potential']
        if potential is None:
            raise RankTrainingError(f'Nothing was relaxed in {directory}: evaluate without --no-relax.')
        examples = tuple(_Example.of(result) for result in results if result.features)
        if len(examples) < FEWEST:
            raise RankTrainingError(
                f'{directory} has {len(examples)} crystals with a ranking: evaluate at least {FEWEST}.'
            )
        return cls(potential['name'], potential['sha256'], plan['data_sha256'], examples)


def train_ranking(directories: Sequence[Path], output: Path) -> dict[str, Any]:
    """Learn the weights for the potentials of evaluations, and write them with their card.

    :param directories: of evaluations, at most one for each potential.
    :param output: file to write.
    :return: the card.
    :raises RankTrainingError: if nothing was relaxed in one of them, two have the same potential, or one has too few
        crystals.
    :raises JournalError: if one holds no evaluation.
    """
    evaluations: dict[str, _Evaluation] = {}
    for directory in directories:
        evaluation = _Evaluation.read(directory)
        if evaluation.sha256 in evaluations:
            raise RankTrainingError(
                f'{directory} is a second evaluation with {evaluation.name}: give one for each potential.'
            )
        evaluations[evaluation.sha256] = evaluation
    everything = [example for evaluation in evaluations.values() for example in evaluation.examples]
    common = fit_weights(everything)
    rows: dict[str, dict[str, Any]] = {
        sha256: {
            'name': evaluation.name,
            'weights': _plain(_weights_near(common, evaluation.examples, everything)),
            'data_sha256': evaluation.data_sha256,
            'crystals': len(evaluation.examples),
            'cross_validated': _cross_validate(evaluation.examples, everything),
        }
        for sha256, evaluation in evaluations.items()
    }
    rows[OTHER] = {'name': 'any other potential', 'weights': _plain(common)}
    card = {
        'what': 'weights of the model that gives each relaxed structure the probability of being the right one',
        'command': 'aiida-alphacrystal train ranking',
        'features': [*FEATURES, 'none'],
        'potentials': rows,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, (json.dumps(card, indent=1) + '\n').encode())
    return card


def fit_weights(examples: Sequence[_Example], around: FloatArray | None = None) -> FloatArray:
    """Return the weights that make what was found most likely.

    :param examples: known crystals.
    :param around: weights to stay near to; few crystals say little about all eight.
    :return: one for each feature, and one for none of the structures being right.
    """
    from scipy.optimize import minimize

    centre = np.zeros(len(FEATURES) + 1) if around is None else around
    stiffness = np.full(len(centre), _PENALTY if around is None else _COMMON_PENALTY)
    if around is None:
        stiffness[-1] = 0.0
    found = minimize(_loss, centre, args=(examples, centre, stiffness), jac=True, method='L-BFGS-B')
    return np.asarray(found.x, dtype=np.float64)


def _weights_near(common: FloatArray, examples: Sequence[_Example], everything: Sequence[_Example]) -> FloatArray:
    """Return the weights of one potential; the common ones where they were learnt from nothing else."""
    return common if len(examples) == len(everything) else fit_weights(examples, common)


def _loss(
    weights: FloatArray, examples: Sequence[_Example], centre: FloatArray, stiffness: FloatArray
) -> tuple[float, FloatArray]:
    """Return the mean negative log-likelihood with its penalty, and the slopes by the weights."""
    loss, slopes = 0.0, np.zeros_like(weights)
    for example in examples:
        sums = np.append(example.features @ weights[:-1], weights[-1])
        right = np.append(example.matches, not example.matches.any())
        probabilities = np.exp(sums - sums.max())
        probabilities /= probabilities.sum()
        hit = float(probabilities[right].sum())
        loss -= np.log(max(hit, 1e-300))
        pull = probabilities - np.where(right, probabilities / max(hit, 1e-300), 0.0)
        slopes += np.append(example.features.T @ pull[:-1], pull[-1])
    number = len(examples)
    apart = weights - centre
    return loss / number + float(stiffness @ apart**2), slopes / number + 2 * stiffness * apart


def _cross_validate(examples: Sequence[_Example], everything: Sequence[_Example]) -> dict[str, float]:
    """Return how well weights from nine tenths of the crystals do on the last tenth, in turn.

    ``1``, ``5`` and ``20`` are the shares of crystals found among the first structures, ``ece`` is the expected
    calibration error of the confidence of the first, ``energy`` the share found first by energy alone.

    :param examples: with the potential that is looked at.
    :param everything: with all potentials; a crystal that is held back is so with all of them.
    """
    order = np.random.default_rng(0).permutation(len(examples))
    ranks, stated, by_energy = [], [], []
    for fold in range(_FOLDS):
        held = [examples[index] for index in order[fold::_FOLDS]]
        names = {example.material_id for example in held}
        rest = [example for example in everything if example.material_id not in names]
        common = fit_weights(rest)
        kept = [example for example in examples if example.material_id not in names]
        weights = _weights_near(common, kept, rest)
        for example in held:
            judged = confidences(example.features, weights.tolist())
            ranks.append(_first_match(example, judged))
            stated.append(float(judged.max()))
            by_energy.append(_first_match(example, example.features[:, FEATURES.index('energy')]))
    scores = {str(top): float(np.mean([rank <= top for rank in ranks])) for top in (1, 5, 20)}
    scores['energy'] = float(np.mean([rank == 1 for rank in by_energy]))
    scores['ece'] = expected_calibration_error(stated, [rank == 1 for rank in ranks])
    return {name: round(value, 4) for name, value in scores.items()}


def _first_match(example: _Example, values: FloatArray) -> float:
    """Return the rank of the first structure that matches, the largest value first; infinite where none does."""
    hits = np.flatnonzero(example.matches[np.argsort(-values, kind='stable')])
    return float(hits[0] + 1) if len(hits) else float('inf')


def _plain(weights: FloatArray) -> list[float]:
    return [round(float(weight), 4) for weight in weights]
