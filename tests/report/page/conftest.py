"""Pages of structures that are known, read from no database."""

from __future__ import annotations

import dataclasses
import math

import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.diffraction import powder_pattern
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.report.page.collect import PredictionPage, ScreeningPage
from aiida_alphacrystal.report.page.crystals import draw_crystal, draw_elements, draw_pattern
from aiida_alphacrystal.report.prediction import structure_to_cif

EVIL = '<script>alert("label")</script><!-- </script><img src=x onerror=alert(1)>'


def halite():
    """Return sodium chloride in three structures, each with number and symbol of its space group."""
    salt = ['Na', 'Cl']
    rock = Structure.from_spacegroup(225, Lattice.cubic(5.64), salt, [[0, 0, 0], [0.5, 0.5, 0.5]])
    blende = Structure.from_spacegroup(216, Lattice.cubic(6.1), salt, [[0, 0, 0], [0.25, 0.25, 0.25]])
    caesium = Structure(Lattice.cubic(3.5), salt, [[0, 0, 0], [0.5, 0.5, 0.5]])
    return [
        (225, 'Fm-3m', rock.get_primitive_structure()),
        (221, 'Pm-3m', caesium),
        (216, 'F-43m', blende.get_primitive_structure()),
    ]


def _facts(**facts):
    node = {'pk': 5, 'uuid': 'uuid-5'}
    potential = {'name': 'chgnet', 'kind': 'chgnet', 'sha256': 'a' * 64, 'convention': 'none', 'version': 'chgnet 0'}
    return {
        'seed': 3,
        'potential_requested': 'chgnet',
        'potential_notice': None,
        'potential': {**potential, **node},
        'models': [{'purpose': 'cells', 'sha256': 'b' * 64, 'trained_on': '7 crystals of file', **node}],
        'parameters': {'rank': {'top': 3}},
        'outputs': [{'name': 'ranking', **node}],
        'pk': 11,
        'uuid': 'uuid-11',
        'label': '',
        'description': '',
        'made': '2026-01-02 03:04 UTC',
        'versions': {'aiida-core': '2.9', 'aiida-alphacrystal': '0.1'},
        'exit_status': 0,
        'exit_message': None,
        'steps': [{'name': 'rank', **node}],
        'number_of_steps': 1,
        **facts,
    }


def _candidate(rank, number, symbol, structure):
    found = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    return {
        'rank': rank,
        'formula': 'NaCl',
        'number_of_atoms': len(structure),
        'formula_units': 1,
        'spacegroup': number,
        'spacegroup_symbol': symbol,
        'formation_energy_per_atom': -2.0 + 0.1 * rank,
        'energy_per_atom': -3.0 + 0.1 * rank,
        'volume_per_atom': structure.volume / len(structure),
        'source': ('template', 'descent', 'free')[rank - 1],
        'origin': f'origin {rank}',
        'converged': True,
        'confidence': 0.6 / rank,
        'pk': 20 + rank,
        'uuid': f'uuid-{20 + rank}',
        'label': f'c_{rank:03d}',
        'probability': 0.5 / rank,
        'score': -2.0,
        'duplicates': [],
        'crystal': dataclasses.asdict(draw_crystal(structure, structure_to_cif(structure))),
        'pattern': draw_pattern(powder_pattern(structure)),
        'distances': {'found': found.round(3).tolist(), 'rms': 0.05},
    }


@pytest.fixture(scope='session')
def structures():
    """Return the structures behind the ranks of the page."""
    return [structure for *_, structure in halite()]


@pytest.fixture(scope='session')
def page():
    """Return the page of a prediction of sodium chloride."""
    candidates = tuple(_candidate(rank, *entry) for rank, entry in enumerate(halite(), start=1))
    mean = candidates[0]['distances']['found']
    predicted = {'names': ['Na1', 'Cl1'], 'species': ['Na', 'Cl'], 'mean': mean, 'spread': mean, 'uuid': 'uuid-9'}
    cell = {'lattice': [5.6, 5.6, 5.6, 90.0, 90.0, 90.0], 'formula_units': 1, 'probability': 0.9}
    energies = [
        {
            'label': row['label'],
            'source': row['source'],
            'before': -1.0,
            'after': row['formation_energy_per_atom'],
            'reason': None,
            'rank': row['rank'],
        }
        for row in candidates
    ]
    return PredictionPage(
        facts=_facts(formula='NaCl', ranked=3),
        candidates=candidates,
        predicted={'2': predicted},
        cells=({**cell, 'spacegroup': 225, 'spacegroup_symbol': 'Fm-3m'},),
        energies={'knows_before': True, 'rows': energies},
        refinements=(),
        elements=draw_elements(['Na', 'Cl']),
    )


def screened(formula, crystal=True, **values):
    """Return one row of a screening."""
    row = {
        'formula': formula,
        'exit_status': 0 if crystal else 410,
        'reason': None if crystal else f'No candidate for {formula}.',
        'structures': 3 if crystal else 0,
        'number_of_atoms': 2,
        'spacegroup': 225,
        'spacegroup_symbol': 'Fm-3m',
        'formation_energy_per_atom': -1.5,
        'energy_per_atom': -3.0,
        'volume_per_atom': 20.0,
        'score': -1.5,
        'confidence': 0.5,
        'probability': 0.5,
        'source': 'template',
        'converged': True,
        'prediction': 31,
        'prediction_uuid': 'uuid-31',
    }
    missing = {} if crystal else dict.fromkeys(list(row)[4:])
    return {**row, **missing, **values}


@pytest.fixture(scope='session')
def screening_page(page):
    """Return the page of a screening of four compounds, one of which has no structure."""
    rows = (
        screened('NaCl', spacegroup=221, spacegroup_symbol='Pm-3m', formation_energy_per_atom=-1.0),
        screened('MgO'),
        screened(EVIL, crystal=False),
        screened('CsCl', formation_energy_per_atom=-math.pi / 2),
    )
    crystals = {place: page.candidates[place % 3]['crystal'] for place in (3, 1, 0)}
    return ScreeningPage(
        facts=_facts(finished=3, failed=1, group='salts'),
        rows=rows,
        crystals=crystals,
        elements=draw_elements(['Na', 'Cl']),
    )


@pytest.fixture
def evil():
    """Return text that would do something on a page that did not escape it."""
    return EVIL
