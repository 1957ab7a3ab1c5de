"""Scores of distances: what is known is right, and the work may be shared."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.datasets import Crystal, DatasetError, read_crystals
from aiida_alphacrystal.engine.distances import equal_bins
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.network import load_network
from aiida_alphacrystal.engine.network.evaluation import GROUPS, evaluate_distances, true_distances
from aiida_alphacrystal.engine.network.reference import ReferenceArchitecture, ReferenceNetwork
from aiida_alphacrystal.engine.reconstruct import load_library

PREDICTORS = ('ours', 'network', 'reference', 'nearest_template', 'chance')
SCORES = {'n', 'rmse_pooled', 'rmse_mean', 'rmse_median', 'under_0.1', 'under_0.3'}


@pytest.fixture(scope='module')
def judged(crystals_file):
    """Everything that is scored: crystals, most of which the library knows, and networks."""
    torch.manual_seed(0)
    size = ReferenceArchitecture(sites=5, site_blocks=1, site_filters=8, pair_blocks=1, pair_filters=8)
    reference = ReferenceNetwork(size, equal_bins(20), np.full(11, 50.0), np.full(11, 40.0)).eval()
    large = Crystal('Al2O3', np.diag([5.0, 6.0, 7.0]), ('Al',) * 4 + ('O',) * 6, np.linspace(0, 0.9, 30).reshape(10, 3))
    single = Crystal('Cu', np.diag([2.5, 2.5, 2.5]), ('Cu',), np.zeros((1, 3)))
    return load_network(), reference, load_library(), (*read_crystals(crystals_file), large, single)


@pytest.fixture(scope='module')
def scores(judged):
    return evaluate_distances(*judged)


def test_everything_is_there(scores, judged):
    crystals = [crystal for crystal in judged[-1] if crystal.natoms > 1]
    small = [crystal for crystal in crystals if crystal.natoms <= 5]
    assert scores['n'] == len(crystals) == len(judged[-1]) - 1
    for name in PREDICTORS:
        assert set(scores[name]) == SCORES
        assert scores[name]['n'] == (len(small) if name == 'reference' else len(crystals))
    for name in ('ours', 'network', 'reference'):
        assert set(scores['file_order'][name]) == set(scores['with_diagonal'][name]) == SCORES
        assert scores['file_order'][name]['rmse_mean'] >= scores[name]['rmse_mean'] - 1e-9
    assert list(scores['groups']) == list(GROUPS)
    assert scores['groups']['all']['ours'] == scores['ours']
    cubic = sum(crystal.spacegroup is not None and crystal.spacegroup >= 195 for crystal in crystals)
    assert scores['groups']['cubic']['ours']['n'] == cubic > 0
    json.dumps(scores, allow_nan=False)


def test_known_crystals_are_told_well_and_chance_is_not(scores):
    assert scores['ours']['rmse_median'] < 0.1 < scores['chance']['rmse_median']
    assert scores['ours']['rmse_mean'] < 0.2 < scores['chance']['rmse_mean']
    assert 0.0 < scores['coverage_50'] <= scores['coverage_90'] <= 1.0
    assert scores['seconds_per_1000'] > 0
    assert scores['jobs'] == 1


def test_the_number_of_processes_changes_only_the_times(judged, scores):
    network, reference, library, crystals = judged
    shared = evaluate_distances(network, reference, library, crystals * 3, jobs=2)
    alone = evaluate_distances(network, reference, library, crystals * 3)
    assert (shared['jobs'], alone['jobs']) == (2, 1)
    for name in PREDICTORS:
        assert shared[name] == pytest.approx(alone[name], abs=1e-6)
    assert shared.keys() == alone.keys()
    assert shared['coverage_90'] == pytest.approx(alone['coverage_90'], abs=0.01)
    assert alone['ours']['rmse_mean'] == pytest.approx(scores['ours']['rmse_mean'], abs=1e-6)


def test_true_distances_stand_in_the_order_of_the_formula():
    crystal = Crystal(
        'mixed',
        np.eye(3) * 4.0,
        ('O', 'Sr', 'O', 'Ti', 'O'),
        np.array([[0.5, 0.5, 0], [0, 0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0.5], [0, 0.5, 0.5]]),
    )
    found = true_distances(crystal)
    np.testing.assert_allclose(found[1, 2:], 2.0)
    np.testing.assert_allclose(found[0, 2:], 8**0.5)
    np.testing.assert_allclose(np.diag(found), 4.0)


def test_nothing_to_score_is_refused(judged):
    with pytest.raises(DatasetError, match='no crystal of two atoms'):
        evaluate_distances(*judged[:-1], judged[-1][-1:])
    with pytest.raises(SettingsError, match='number of processes is 0'):
        evaluate_distances(*judged, jobs=0)
