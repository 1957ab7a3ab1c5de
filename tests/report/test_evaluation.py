"""Tests of what a terminal shows of an evaluation and a comparison."""

from aiida_alphacrystal.engine.evaluation import EntryResult, summarise
from aiida_alphacrystal.report.evaluation import print_comparison, print_evaluation

PLAN = {'sources': ['templates', 'reconstruct'], 'potential': {'name': 'chgnet'}}


def printed(results, capsys, **changes):
    print_evaluation({**summarise(results), **PLAN, **changes}, 'known[bold].jsonl')
    return capsys.readouterr().out


def test_rates_and_controls(capsys):
    hit = EntryResult(
        0, 'a', 'NaCl', 2, 0.0, 3, 1, 1, 0.01, 0.01, 0.01, 1, 1, True, energy_rank=2, template_rank=1, seconds=2.5
    )
    text = printed([hit], capsys)
    rows = {line.split('│')[1].strip(): line.split('│')[2:-1] for line in text.splitlines() if line.startswith('│')}
    assert '1 crystal of known[bold].jsonl' in text
    assert [cell.strip() for cell in rows['found']] == ['1', '100.0 %', '100.0 %', '100.0 %', '100.0 %']
    assert [cell.strip() for cell in rows['by energy alone']] == ['1', '0.0 %', '100.0 %', '100.0 %', '100.0 %']
    assert [cell.strip() for cell in rows['in random order']] == ['1', '33.3 %', '100.0 %', '100.0 %', '100.0 %']
    assert [cell.strip() for cell in rows['stable crystals']] == ['1', '100.0 %', '100.0 %', '100.0 %', '100.0 %']
    assert [cell.strip() for cell in rows['new prototypes']] == ['0', '-', '-', '-', '-']
    assert '0.0100 of first structures that match, median 0.0100' in text
    assert '2.5 s for an entry' in text
    assert 'at most 0.005 eV/atom above the hull' in text


def test_failures_are_named_and_what_was_not_done_is_left_out(capsys):
    results = [EntryResult(index, f'entry-{index}', 'NaCl', 2, reason='No.') for index in range(4)]
    text = printed(results, capsys, potential=None)
    assert 'by energy alone' not in text
    assert '4: entry-0, entry-1, entry-2, ...' in text
    assert 'nothing' in text


def test_a_metric_without_a_value_says_why(capsys):
    names = ('rms', 'superpose_distance', 'energy_distance', 'sinkhorn_distance', 'fingerprint_distance')
    values = dict.fromkeys((*names, 'ofm_distance', 'wyckoff_mse', 'wyckoff_rmse', 'distance_map_overlap'))
    values |= {'superpose_distance': 0.25, 'match': False, 'reasons': {'wyckoff_mse': 'The space groups differ.'}}
    print_comparison(values)
    lines = [line.split('  ', 1) for line in capsys.readouterr().out.splitlines()]
    text = {name: value.strip() for name, value in lines}
    assert text['match'] == 'no'
    assert text['superpose distance'] == '0.2500 Å'
    assert text['Wyckoff MSE'] == '-  The space groups differ.'
    assert text['Wyckoff RMSE'] == '-'
