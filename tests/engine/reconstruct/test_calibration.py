"""Tests of the probabilities."""

import numpy as np
import pytest

from aiida_alphacrystal.engine.metrics import expected_calibration_error
from aiida_alphacrystal.engine.reconstruct import calibration


def test_without_examples_the_share_of_the_votes_is_the_probability():
    coefficients = calibration.fit([], [])
    values = calibration.features(0.3, support=-7.0, kind='substitution')
    assert calibration.probability(coefficients, values) == pytest.approx(0.3)


def test_probabilities_rise_with_the_share_and_stay_between_0_and_1():
    coefficients = calibration.fit([], [])
    shares = [0.0, 1e-9, 0.01, 0.5, 0.99, 1.0]
    stated = [calibration.probability(coefficients, calibration.features(share, 0.0, 'merge')) for share in shares]
    assert stated == sorted(stated)
    assert 0 < stated[0] < stated[-1] < 1


def test_overstated_shares_are_corrected():
    generator = np.random.default_rng(0)
    shares = generator.uniform(0.02, 0.98, 4000)
    truth = 1 / (1 + np.exp(-(0.5 * np.log(shares / (1 - shares)) - 1)))
    outcomes = (generator.uniform(size=len(shares)) < truth).tolist()
    values = [calibration.features(share, 0.0, 'substitution') for share in shares]
    coefficients = calibration.fit(values, outcomes)
    assert coefficients[:2] == pytest.approx([-1.0, 0.5], abs=0.1)
    stated = [calibration.probability(coefficients, row) for row in values]
    assert expected_calibration_error(stated, outcomes) < 0.02 < expected_calibration_error(shares.tolist(), outcomes)


def test_each_kind_has_a_correction_of_its_own():
    values = [calibration.features(0.5, 0.0, kind) for kind in ('substitution', 'merge', 'split')] * 200
    outcomes = [True, False, False] * 200
    coefficients = calibration.fit(values, outcomes)
    stated = [calibration.probability(coefficients, row) for row in values[:3]]
    assert stated[0] > 0.9 > 0.1 > stated[1]
    assert stated[1] == pytest.approx(stated[2])


def test_examples_that_all_came_true_leave_the_fit_finite():
    values = [calibration.features(0.9, 1.0, 'substitution')] * 5
    assert np.isfinite(calibration.fit(values, [True] * 5)).all()
