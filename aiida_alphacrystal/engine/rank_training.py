"""Learn the weights of the model that judges relaxed structures, from evaluations on known crystals.

The weights maximise the likelihood that the model gives to what was found: that one of the structures that match the
known crystal is the right one, or none where none matches, with a small penalty on their squares.
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

_PENALTY = 1e-3
_FOLDS = 10


class RankTrainingError(AlphaCrystalError):
    """An evaluation cannot be learnt from."""


@dataclasses.dataclass(frozen=True)
class _Example:
    """One known crystal.

    :param features: of the structures that were ranked, shape (structures, features).
    :param matches: whether each of them matches, shape (structures,).
    """

    features: FloatArray
    matches: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, result: EntryResult) -> _Example:
        return cls(np.array(result.features, dtype=np.float64), np.array(result.matches, dtype=np.bool_))


def train_ranking(directories: Sequence[Path], output: Path) -> dict[str, Any]:
    """Learn the weights for the potentials of evaluations, and write them with their card.

    :param directories: of evaluations, at most one for each potential.
    :param output: file to write.
    :return: the card.
    :raises RankTrainingError: if nothing was relaxed in one of them, two have the same potential, or one has too few
        crystals.
    :raises JournalError: if one holds no evaluation.
    """
    rows: dict[str, dict[str, Any]] = {}
    everything: list[_Example] = []
    for directory in directories:
        plan, results = read_evaluation(directory)
        potential = plan['potential']
        if potential is None:
            raise RankTrainingError(f'Nothing was relaxed in {directory}: evaluate without --no-relax.')
        if potential['sha256'] in rows:
            raise RankTrainingError(
                f'{directory} is a second evaluation with {potential["name"]}: give one for each potential.'
            )
        examples = [_Example.of(result) for result in results if result.features]
        if len(examples) < FEWEST:
            raise RankTrainingError(
                f'{directory} has {len(examples)} crystals with a ranking: evaluate at least {FEWEST}.'
            )
        rows[potential['sha256']] = {
            'name': potential['name'],
            'weights': _plain(fit_weights(examples)),
            'data_sha256': plan['data_sha256'],
            'crystals': len(examples),
            'cross_validated': _cross_validate(examples),
        }
        everything += examples
    rows[OTHER] = {'name': 'any other potential', 'weights': _plain(fit_weights(everything))}
    card = {
        'what': 'weights of the model that gives each relaxed structure the probability of being the right one',
        'command': 'aiida-alphacrystal train ranking',
        'features': [*FEATURES, 'none'],
        'potentials': rows,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, (json.dumps(card, indent=1) + '\n').encode())
    return card


def fit_weights(examples: Sequence[_Example]) -> FloatArray:
    """Return the weights that make what was found most likely.

    :param examples: known crystals.
    :return: one for each feature, and one for none of the structures being right.
    """
    from scipy.optimize import minimize

    start = np.zeros(len(FEATURES) + 1)
    found = minimize(_loss, start, args=(examples,), jac=True, method='L-BFGS-B')
    return np.asarray(found.x, dtype=np.float64)


def _loss(weights: FloatArray, examples: Sequence[_Example]) -> tuple[float, FloatArray]:
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
    kept = np.append(weights[:-1], 0.0)
    return loss / number + _PENALTY * float(kept @ kept), slopes / number + 2 * _PENALTY * kept


def _cross_validate(examples: Sequence[_Example]) -> dict[str, float]:
    """Return how well weights from nine tenths of the crystals do on the last tenth, in turn.

    ``1``, ``5`` and ``20`` are the shares of crystals found among the first structures, ``ece`` is the expected
    calibration error of the confidence of the first, ``energy`` the share found first by energy alone.
    """
    order = np.random.default_rng(0).permutation(len(examples))
    ranks, stated, by_energy = [], [], []
    for fold in range(_FOLDS):
        held = order[fold::_FOLDS]
        weights = fit_weights([examples[index] for index in np.setdiff1d(order, held)])
        for index in held:
            example = examples[index]
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
