"""Every table at its widest: nothing is cut off within 100 columns, and no colour where none is wanted."""

from __future__ import annotations

import dataclasses
import datetime
import types

import numpy as np
import pytest

from aiida_alphacrystal.cli.data import _print_rows
from aiida_alphacrystal.cli.models import _print_scores
from aiida_alphacrystal.engine.evaluation import EntryResult, summarise
from aiida_alphacrystal.query import FoundPrediction
from aiida_alphacrystal.report.cells import print_cell_scores, print_cells
from aiida_alphacrystal.report.distances import print_distances
from aiida_alphacrystal.report.evaluation import print_comparison, print_evaluation
from aiida_alphacrystal.report.prediction import PredictedStructure, PredictionReport
from aiida_alphacrystal.report.provenance import Origin
from aiida_alphacrystal.report.refinement import RefinedStructure, RefinementReport
from aiida_alphacrystal.report.screening import ScreenedFormula, ScreeningReport
from aiida_alphacrystal.report.tables import (
    print_facts,
    print_found,
    print_origins,
    print_prediction,
    print_refinement,
    print_screening,
)

WIDTH = 100

#: The longest that there is of each: a formula of 20 atoms, a space group, a primary key, a potential of matgl.
FORMULA, SYMBOL, NODE, POTENTIAL = 'Ba2Ca2Cu3Tl2O10', 'P6_3/mmc', 1234567, 'M3GNet-PES-MatPES-PBE-2025.2'
LONGEST = {
    'formula': FORMULA,
    'number_of_atoms': 20,
    'spacegroup': 194,
    'spacegroup_symbol': SYMBOL,
    'formation_energy_per_atom': -12.345,
    'energy_per_atom': -12345.6789,
    'relative_energy': 1.23456,
    'predicted_relative_energy': 1.23456,
    'volume_per_atom': 123.45,
    'source': 'template',
    'rank': 500,
    'predicted_rank': 500,
    'label': 'structure_500',
    'converged': False,
    'confidence': 1.0,
    'pk': NODE,
    'prediction': NODE,
    'potential': POTENTIAL,
    'made': datetime.datetime(2026, 11, 25, 12, 34, tzinfo=datetime.UTC),
    'seed': 2**32,
    'refiner': 'quantumespresso.pw.relax',
    'code': 'pw@cluster',
}


def longest(kind, **values):
    """Return an object of a dataclass with the longest values that there are."""
    return kind(**{field.name: {**LONGEST, **values}.get(field.name) for field in dataclasses.fields(kind)})


def rates(tops):
    return dict.fromkeys(tops, 1.0)


def scores_of_cells():
    group = {'spacegroup': rates(('1', '5', '10')), 'crystal_system': {'1': 1.0}, 'volume_mare': 12.345}
    return {
        **group,
        'n': 123456,
        'volume_within': 0.67,
        'z': rates(('1', '3')),
        'ece': 0.123,
        'lattice_r2': {'triclinic': {'a': -0.999, 'b': -0.999, 'c': -0.999}},
        'without_templates': group,
        'nearest_template': group,
        'chance': group,
        'seconds_per_1000': 1234.5,
    }


def scores_of_templates():
    tops = rates(('1', '5', '20'))
    group = {'n': 123456, **tops}
    return {
        'le12': group,
        'le20': group,
        'strict': {'le12': tops, 'le20': tops},
        'nearest_template': {'le12': tops, 'le20': tops},
        'new_prototypes': {'n': 123456, 'share': 1.0, **tops},
        'ece': 0.123,
        'ece_all': 0.123,
        'rmse': {'1': 0.123},
        'seconds_per_1000': 1234.5,
        'jobs': 1024,
        'failures': [{'material_id': f'mp-{1234567 + number}'} for number in range(9)],
    }


def evaluation():
    ranks = {'energy_rank': 2, 'template_rank': 1}
    result = EntryResult(0, 'a', FORMULA, 20, 0.0, 3, 1, 1, 0.01, 0.01, 0.01, 1, 1, True, **ranks)
    plan = {'sources': ['templates', 'reconstruct'], 'potential': {'name': POTENTIAL}}
    failed = [EntryResult(number, f'mp-{1234567 + number}', FORMULA, 20, reason='No.') for number in range(9)]
    return {**summarise([result, *failed]), **plan}


def comparison():
    names = ('rms', 'superpose_distance', 'energy_distance', 'sinkhorn_distance', 'fingerprint_distance')
    values = dict.fromkeys((*names, 'ofm_distance', 'wyckoff_mse', 'wyckoff_rmse', 'distance_map_overlap'), 12.3456)
    return {**values, 'match': True, 'reasons': {}}


def distances(atoms):
    species = ['Ba'] * (atoms // 2) + ['Cl'] * (atoms - atoms // 2)
    return types.SimpleNamespace(
        all_formula_units=(20, *range(1, 20)),
        get_species=lambda units: species,
        get_distances=lambda units: np.full((atoms, atoms), 12.34),
        get_description=lambda units: f'distances in {FORMULA}',
    )


def cells():
    return [
        {
            'rank': 200,
            'spacegroup': 194,
            'spacegroup_symbol': SYMBOL,
            'formula_units': 20,
            'number_of_atoms': 20,
            'lattice': (12.34, 12.34, 12.34, 90.0, 123.4, 120.0),
            'volume_uncertainty': 0.12,
            'volume_per_atom': 123.4,
            'probability': 1.0,
        }
    ]


def origin(depth):
    below = (origin(depth - 1),) if depth else ()
    text = f'{FORMULA}, 20 atoms' if depth % 2 else 'rank, candidate c_001'
    return Origin(NODE, 'uuid', 'structures__rank_01', text, below, step=not depth % 2)


PRINTERS = {
    'prediction': lambda: print_prediction(
        longest(PredictionReport, candidates=(longest(PredictedStructure),) * 3, potential_notice=None)
    ),
    'refinement': lambda: print_refinement(
        longest(RefinementReport, refined=(longest(RefinedStructure),), failed=(), kendall_tau=-1.0)
    ),
    'screening': lambda: print_screening(
        longest(ScreeningReport, rows=(longest(ScreenedFormula),), finished=1, failed=0, group='alphacrystal/screen/x')
    ),
    'list': lambda: print_found([longest(FoundPrediction)] * 3),
    'list above the hull': lambda: print_found([longest(FoundPrediction, energy_above_hull=12.345)]),
    'provenance': lambda: print_origins(origin(7)),
    'cells': lambda: print_cells(FORMULA, cells()),
    'scores of cells': lambda: print_cell_scores(scores_of_cells(), 'held-out-crystals.jsonl.gz'),
    'scores of templates': lambda: _print_scores(scores_of_templates(), 123456, 'held-out-crystals.jsonl.gz'),
    'evaluation': lambda: print_evaluation(evaluation(), 'held-out-crystals.jsonl.gz'),
    'comparison': lambda: print_comparison(comparison()),
    'distances, 2 atoms': lambda: print_distances(distances(2)),
    'distances, 12 atoms': lambda: print_distances(distances(12)),
    'distances, 20 atoms': lambda: print_distances(distances(20)),
    'weights': lambda: _print_rows(
        [
            {
                'pk': NODE,
                'purpose': 'distances',
                'sha256': 'a' * 64,
                'families': ['alphacrystal/0.1.0', 'oxides/2026', 'nitrides/2026', 'mine', 'old'],
                'made': '2026-11-25 12:34',
            }
        ],
        'table',
        '',
    ),
    'potentials': lambda: _print_rows(
        [{'pk': NODE, 'name': POTENTIAL, 'kind': 'm3gnet', 'sha256': 'a' * 64}], 'table', ''
    ),
    'facts': lambda: print_facts({'sha256': 'a' * 64, 'name': POTENTIAL}),
}


@pytest.mark.parametrize('name', PRINTERS)
def test_nothing_is_wider_than_100_columns_or_cut_off(name, capsys):
    PRINTERS[name]()
    output = capsys.readouterr().out
    widest = max((line.rstrip() for line in output.splitlines()), key=len)
    assert len(widest) <= WIDTH, widest
    assert '…' not in output
    assert '┳┳' not in output  # a column without any width
    assert all(line.rstrip()[-1] in '│┃┓┩┘' for line in output.splitlines() if line[:1] in set('│┃┏┡'))


@pytest.mark.parametrize('name', PRINTERS)
def test_no_colour_is_honoured_on_a_terminal(name, capsys, monkeypatch):
    monkeypatch.setenv('TTY_COMPATIBLE', '1')
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('COLUMNS', str(WIDTH))
    monkeypatch.setenv('NO_COLOR', '1')
    PRINTERS[name]()
    output = capsys.readouterr().out
    assert not [
        code for code in output.split('\x1b[')[1:] if code[:2] in {'30', '31', '32', '33', '34', '35', '36', '38'}
    ]


def test_every_column_of_many_distances_is_there(capsys):
    matrix = np.arange(400, dtype=float).reshape(20, 20) / 100
    node = distances(20)
    node.get_distances = lambda units: matrix
    node.all_formula_units = (1,)
    print_distances(node)
    words = capsys.readouterr().out.replace('│', ' ').split()
    assert [f'{value:.2f}' for value in sorted(matrix.ravel())] == sorted(
        (word for word in words if '.' in word), key=float
    )
