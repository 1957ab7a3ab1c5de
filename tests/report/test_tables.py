"""Tests of what a terminal shows."""

import json

import pytest

from aiida_alphacrystal.report.prediction import PredictedStructure, PredictionReport, write_cifs
from aiida_alphacrystal.report.tables import number_text, print_facts, print_json, print_prediction


def predicted(rank, **changes):
    values = {
        'rank': rank,
        'formula': 'NaCl',
        'number_of_atoms': 2,
        'formula_units': 1,
        'spacegroup': 225,
        'spacegroup_symbol': 'Fm-3m',
        'formation_energy_per_atom': -2.07,
        'energy_per_atom': -3.4,
        'volume_per_atom': 23.05,
        'source': 'template',
        'origin': 'prototype 12',
        'converged': True,
        'confidence': 0.9,
        'pk': 100 + rank,
        'uuid': f'uuid-{rank}',
        'cif': f'data_{rank}\n',
    }
    return PredictedStructure(**(values | changes))


def report(*candidates, **changes):
    values = {
        'formula': 'NaCl',
        'candidates': candidates,
        'potential': 'chgnet',
        'potential_sha256': 'abc',
        'potential_requested': 'chgnet',
        'potential_notice': None,
        'seed': 7,
        'pk': 42,
        'uuid': 'uuid',
    }
    return PredictionReport(**(values | changes))


def test_a_table_says_everything_within_100_columns(capsys):
    missing = predicted(
        2,
        formation_energy_per_atom=None,
        converged=False,
        confidence=None,
        spacegroup_symbol='I4_1/amd',
        spacegroup=141,
    )
    print_prediction(report(predicted(1), missing), ' -p other')
    output = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in output.splitlines()) <= 100
    rows = [[cell.strip() for cell in line.split('│')[1:-1]] for line in output.splitlines() if line.startswith('│')]
    assert rows == [
        ['1', '90.0%', 'Fm-3m (225)', '2', '-2.070', '23.05', 'template', 'yes', '101'],
        ['2', '-', 'I4_1/amd (141)', '2', '-', '23.05', 'template', 'no', '102'],
    ]
    assert output.startswith('NaCl: 2 structures, the best first')
    assert 'Relaxed with chgnet, seed 7.' in output
    assert 'aiida-alphacrystal show -p other 42' in output


def test_markup_in_names_stays_text(capsys):
    print_prediction(report(predicted(1), potential='[red]mine[/red]', potential_notice='[b]none[/b] could be had.'))
    output = capsys.readouterr().out
    assert '[red]mine[/red]' in output
    assert '[b]none[/b] could be had.' in output
    assert '1 structure, the best' in output


def test_json_is_one_object_without_infinities(capsys):
    print_json(report(predicted(1)).to_dict())
    parsed = json.loads(capsys.readouterr().out)
    assert parsed['candidates'][0]['cif'] == 'data_1\n'
    assert parsed['seed'] == 7
    with pytest.raises(ValueError, match='JSON'):
        print_json({'energy': float('inf')})


def test_facts_are_aligned(capsys):
    print_facts({'name': 'chgnet', 'sha256': 'abc'})
    assert capsys.readouterr().out == 'name    chgnet\nsha256  abc\n'


@pytest.mark.parametrize(('number', 'text'), [(-6e-6, '0.000'), (-0.0006, '-0.001'), (2.0, '2.000'), (None, '-')])
def test_numbers_have_so_many_digits_and_zero_no_sign(number, text):
    assert number_text(number, 3) == text


def test_one_cif_file_per_structure(tmp_path):
    paths = write_cifs('NaCl', [predicted(1), predicted(2)], tmp_path)
    assert [path.name for path in paths] == ['NaCl_rank_01.cif', 'NaCl_rank_02.cif']
    assert [path.read_text() for path in paths] == ['data_1\n', 'data_2\n']
