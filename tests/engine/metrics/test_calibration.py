"""Tests of the calibration error."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.metrics import expected_calibration_error


def test_calibration_error_by_hand():
    """Two bins: (0.1 + 0.3) / 2 against 1/2, weight 1/2; (0.7 + 0.9) / 2 against 2/2, weight 1/2."""
    probabilities, outcomes = [0.1, 0.3, 0.7, 0.9], [False, True, True, True]
    assert expected_calibration_error(probabilities, outcomes, bins=2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.2)
    assert expected_calibration_error(probabilities, outcomes, bins=1) == pytest.approx(0.25)
    assert expected_calibration_error(probabilities, outcomes) == pytest.approx((0.1 + 0.7 + 0.3 + 0.1) / 4)


def test_a_bin_has_its_upper_edge_and_counts_weigh():
    """0.2 falls into the bin up to 0.2, as 0.15 does; 0 into the first, 1 into the last."""
    assert expected_calibration_error([0.15, 0.2], [True, False]) == pytest.approx(0.5 - 0.175)
    assert expected_calibration_error([0.2, 0.25], [True, False]) == pytest.approx((0.8 + 0.25) / 2)
    assert expected_calibration_error([0.0, 1.0], [False, True]) == 0
    assert expected_calibration_error([0.95, 0.95, 0.95, 0.05], [True, True, True, True]) == pytest.approx(
        0.75 * 0.05 + 0.25 * 0.95
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20), st.randoms())
def test_calibration_error_is_a_share_whatever_the_order(pairs, bins, random):
    error = expected_calibration_error(*zip(*pairs, strict=True), bins=bins)
    whole = abs(sum(stated - happened for stated, happened in pairs)) / len(pairs)
    assert whole - 1e-12 <= error <= 1
    random.shuffle(pairs)
    assert expected_calibration_error(*zip(*pairs, strict=True), bins=bins) == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize('share', [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_true_statement_has_no_calibration_error(share):
    outcomes = [number < 4 * share for number in range(4)]
    assert expected_calibration_error([share] * 4, outcomes) == 0


@pytest.mark.parametrize(
    ('probabilities', 'outcomes', 'bins', 'message'),
    [
        ([], [], 10, 'cannot be held against 0 outcomes'),
        ([0.5], [True, False], 10, 'cannot be held against 2 outcomes'),
        ([1.1], [True], 10, 'not from 0 to 1'),
        ([math.nan], [True], 10, 'not from 0 to 1'),
        ([0.5], [True], 0, 'there is no bin'),
    ],
)
def test_what_cannot_be_compared(probabilities, outcomes, bins, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(probabilities, outcomes, bins)
