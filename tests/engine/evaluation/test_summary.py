"""Tests of the scores of an evaluation."""

import pytest

from aiida_alphacrystal.engine.evaluation import EntryResult, summarise


def entry(index, **values):
    return EntryResult(index, f'entry-{index}', 'NaCl', 2, **values)


RESULTS = [
    entry(
        0,
        above_hull=0.005,
        structures=4,
        matching=1,
        rank=1,
        rms=0.02,
        rms_1=0.02,
        rms_20=0.02,
        strict_rank=1,
        valid_rank=1,
        valid=True,
        energy_rank=2,
        template_rank=1,
        confidence=0.75,
        seconds=1.0,
        scoring_seconds=0.5,
        peak_memory_mib=100.0,
    ),
    entry(
        1,
        above_hull=0.006,
        structures=30,
        matching=2,
        rank=6,
        rms=0.2,
        rms_20=0.04,
        strict_rank=21,
        energy_rank=21,
        template_rank=None,
        confidence=0.25,
        seconds=3.0,
        peak_memory_mib=300.0,
    ),
    entry(2, reason='No candidate.', template_rank=None, seconds=0.5),
    entry(3, above_hull=0.0, structures=2, rank=None, template_rank=7, valid=True, seconds=9.0),
]


def test_rates_by_hand():
    summary = summarise(RESULTS)
    assert summary['n'] == 4
    assert summary['match_rate'] == {'1': 0.25, '5': 0.25, '10': 0.5, '20': 0.5}
    assert summary['match_rate_strict'] == {'1': 0.25, '5': 0.25, '10': 0.25, '20': 0.25}
    assert summary['match_rate_valid'] == {'1': 0.25, '5': 0.25, '10': 0.25, '20': 0.25}
    assert summary['valid_entries'] == 0.5
    assert summary['energy_ranking'] == {'1': 0.0, '5': 0.25, '10': 0.25, '20': 0.25}
    assert summary['calibration_error'] == 0.25  # right with 0.75, wrong with 0.25
    assert summary['template_baseline'] == {'1': 0.25, '5': 0.25, '10': 0.5, '20': 0.5}
    assert summary['new_prototypes'] == {'n': 2, 'match_rate': {'1': 0.0, '5': 0.0, '10': 0.5, '20': 0.5}}
    found = {'1': 0.5, '5': 0.5, '10': 0.5, '20': 0.5}
    assert summary['stable'] == {'n': 2, 'max_above_hull': 0.005, 'match_rate': found}
    assert summary['failures'] == [{'material_id': 'entry-2', 'reason': 'No candidate.'}]


def test_displacements_by_hand():
    summary = summarise(RESULTS)
    assert summary['rmse'] == pytest.approx({'1': 0.02, '20': 0.03})
    assert summary['rmse_median'] == pytest.approx({'1': 0.02, '20': 0.03})
    assert summary['crmse'] == pytest.approx({'1': (0.02 + 1.5) / 4, '20': (0.02 + 0.04 + 1.0) / 4})


def test_chance_by_hand():
    """One of 4 matches: 1/4 at the first place, certain among 5. Two of 30: 1 - 28/30 * 27/29 ... of 5."""
    summary = summarise(RESULTS)
    five = 1 - (28 * 27 * 26 * 25 * 24) / (30 * 29 * 28 * 27 * 26)
    assert summary['chance']['1'] == pytest.approx((1 / 4 + 2 / 30) / 4)
    assert summary['chance']['5'] == pytest.approx((1 + five) / 4)


def test_times():
    summary = summarise(RESULTS)
    assert summary['seconds_per_entry'] == {'median': 2.0, 'p95': 9.0}
    assert summary['scoring_seconds'] == 0.5
    assert summary['predicting_seconds'] == 13.5
    assert summary['peak_memory_mib'] == 300.0


def test_nothing_to_count_is_none_and_not_zero():
    summary = summarise([entry(0, template_rank=3)])
    assert summary['energy_ranking'] is None
    assert summary['calibration_error'] is None
    assert summary['rmse'] == {'1': None, '20': None}
    assert summary['stable']['n'] == 0
    assert summary['new_prototypes'] == {'n': 0, 'match_rate': dict.fromkeys(('1', '5', '10', '20'))}
    assert summary['crmse'] == {'1': 0.5, '20': 0.5}
