"""Tests of how the weights of the confidence are learnt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aiida_alphacrystal.engine.evaluation import EntryResult, Journal, JournalError
from aiida_alphacrystal.engine.rank_model import FEATURES, OTHER, confidences
from aiida_alphacrystal.engine.rank_training import RankTrainingError, train_ranking

TRUE_WEIGHTS = np.array([1.5, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, -3.0])


def drawn_entry(index, rng):
    """Draw an entry in which the right structure follows from the true weights."""
    described = np.zeros((8, len(FEATURES)))
    described[:, 0] = -rng.exponential(1.5, 8)
    described[:, 1] = -rng.exponential(2.0, 8)
    chances = confidences(described, TRUE_WEIGHTS.tolist())
    right = rng.choice(9, p=[*chances, 1 - chances.sum()])
    matches = tuple(bool(place == right) for place in range(8))
    return EntryResult(index, f'mp-{index}', 'NaCl', 2, features=tuple(map(tuple, described.tolist())), matches=matches)


def write_evaluation(directory, number, potential='one', seed=0):
    rng = np.random.default_rng(seed)
    named = None if potential is None else {'name': potential, 'sha256': f'sha of {potential}'}
    with Journal(directory, {'potential': named, 'data_sha256': 'of the data'}) as journal:
        for index in range(number):
            journal.add(drawn_entry(index, rng))
    return directory


def test_the_weights_are_found_again(tmp_path):
    card = train_ranking([write_evaluation(tmp_path / 'one', 3000)], tmp_path / 'new' / 'ranking.json')
    row = card['potentials']['sha of one']
    assert row['weights'] == pytest.approx(TRUE_WEIGHTS.tolist(), abs=0.15)
    assert (row['crystals'], row['data_sha256']) == (3000, 'of the data')
    assert row['cross_validated']['ece'] < 0.05
    assert row['cross_validated']['1'] > row['cross_validated']['energy']
    assert card['potentials'][OTHER]['weights'] == row['weights']
    assert json.loads((tmp_path / 'new' / 'ranking.json').read_text()) == card


def test_one_set_for_each_potential(tmp_path):
    directories = [write_evaluation(tmp_path / name, 60, name, seed) for seed, name in enumerate(('one', 'two'))]
    card = train_ranking(directories, tmp_path / 'ranking.json')
    assert list(card['potentials']) == ['sha of one', 'sha of two', OTHER]
    assert card['potentials']['sha of one']['weights'] != card['potentials']['sha of two']['weights']


def test_the_weights_of_a_potential_stay_near_what_all_have_in_common(tmp_path):
    directories = [write_evaluation(tmp_path / name, 60, name, seed) for seed, name in enumerate(('one', 'two'))]
    together = train_ranking(directories, tmp_path / 'ranking.json')['potentials']
    for directory, name in zip(directories, ('sha of one', 'sha of two'), strict=True):
        alone = train_ranking([directory], tmp_path / 'alone.json')['potentials'][name]['weights']
        apart = np.linalg.norm(np.subtract(together[name]['weights'], together[OTHER]['weights']))
        assert 0 < apart < np.linalg.norm(np.subtract(alone, together[OTHER]['weights']))


def test_the_same_evaluations_give_the_same_file(tmp_path):
    directory = write_evaluation(tmp_path / 'one', 60)
    for name in ('a.json', 'b.json'):
        train_ranking([directory], tmp_path / name)
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()


@pytest.mark.parametrize(
    ('number', 'potential', 'sentence'),
    [(49, 'one', 'has 49 crystals with a ranking: evaluate at least 50'), (60, None, 'Nothing was relaxed in')],
)
def test_what_cannot_be_learnt_from(tmp_path, number, potential, sentence):
    directory = write_evaluation(tmp_path / 'one', number, potential)
    with pytest.raises(RankTrainingError, match=sentence):
        train_ranking([directory], tmp_path / 'ranking.json')
    assert not (tmp_path / 'ranking.json').exists()


def test_two_evaluations_with_one_potential(tmp_path):
    directories = [write_evaluation(tmp_path / name, 60) for name in ('a', 'b')]
    with pytest.raises(RankTrainingError, match='is a second evaluation with one'):
        train_ranking(directories, tmp_path / 'ranking.json')


def test_no_evaluation(tmp_path):
    with pytest.raises(JournalError, match='holds no evaluation'):
        train_ranking([tmp_path], tmp_path / 'ranking.json')
