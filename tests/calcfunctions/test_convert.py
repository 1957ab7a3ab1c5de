"""Tests of the way from nodes to the engine and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from aiida import orm
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.engine.cells import CellHypothesis
from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula
from aiida_alphacrystal.engine.distances import DistancePrediction, fine_bins
from aiida_alphacrystal.engine.rank import rank_candidates
from aiida_alphacrystal.engine.reconstruct import Candidate
from aiida_alphacrystal.engine.relax import Relaxation
from aiida_alphacrystal.engine.settings import RankSettings
from aiida_alphacrystal.engine.symmetry import spacegroup_of

SRTIO3 = parse_formula('SrTiO3')


@pytest.mark.parametrize(
    ('node', 'formula'),
    [
        (lambda: orm.Str('SrTiO₃'), SRTIO3),
        (lambda: orm.Str('Al4O6'), parse_formula('Al4O6')),
        (lambda: orm.Dict({'Sr': 1, 'Ti': 1, 'O': 3}), formula_from_counts({'Sr': 1, 'Ti': 1, 'O': 3}, fix_cell=True)),
    ],
)
def test_read_formula(node, formula):
    assert convert.read_formula(node(), 20) == formula


def test_labels_in_the_order_of_their_numbers():
    names = ['rank_01', 'rank_09', 'rank_10', 'rank_99', 'rank_100', 'rank_101']
    assert convert.in_order(reversed(names)) == names
    assert convert.in_order(['b', 'a2', 'a10', '3', 'a', 'a²']) == ['3', 'a', 'a2', 'a10', 'a²', 'b']


@pytest.mark.parametrize('formula', [SRTIO3, parse_formula('Al4O6')])
def test_features_round_trip(formula):
    assert convert.formula_of(convert.features_to_node(formula, 20).store()) == formula


def test_cells_round_trip():
    cells = (
        CellHypothesis(225, 1, (5.64, 5.64, 5.64, 90.0, 90.0, 90.0), 0.5),
        CellHypothesis(12, 2, (5.1, 6.2, 7.3, 90.0, 101.5, 90.0), 0.1, 0.04),
    )
    assert convert.cells_from_node(convert.cells_to_node(SRTIO3, cells).store()) == cells


def test_distances_round_trip_to_the_last_bit():
    edges = fine_bins()
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(edges) - 1), size=(5, 5))
    prediction = DistancePrediction(SRTIO3.species(1), edges, probabilities)
    node = convert.distances_to_node(SRTIO3, {1: prediction}, 1).store()
    assert node.base.attributes.get('formula') == node.get_formula() == 'SrTiO3'
    result = orm.load_node(node.pk).to_predictions()
    assert list(result) == [1]
    assert result[1].species == prediction.species
    assert np.array_equal(result[1].bin_edges, edges)
    assert np.array_equal(result[1].probabilities, probabilities)
    assert np.array_equal(node.get_array('distances'), prediction.expectation)


def test_candidates_keep_cell_order_and_seed():
    structure = Structure(Lattice.from_parameters(3, 4, 5, 80, 95, 100), ['Sr', 'Ti', 'O', 'O', 'O'], np.eye(5, 3) / 7)
    candidate = Candidate(structure, 'genetic', 'by hand', 1, 1, np.float64(2.5), fitness=math.nan, seed=np.int64(3))
    nodes = convert.candidates_to_nodes(SRTIO3, (candidate,), ('One reason.',))
    assert nodes['candidates'].get_dict() == {
        'formula': 'SrTiO3',
        'reasons': ['One reason.'],
        'rows': [
            {
                'label': 'c_001',
                'source': 'genetic',
                'origin': 'by hand',
                'spacegroup': 1,
                'spacegroup_symbol': 'P1',
                'formula': 'SrTiO3',
                'formula_units': 1,
                'number_of_atoms': 5,
                'volume_per_atom': pytest.approx(structure.volume / 5),
                'cost': 2.5,
                'probability': None,
                'fitness': None,
                'cell_probability': None,
                'seed': 3,
            }
        ],
    }
    back = convert.structures_from_node(nodes['structures'].store())['c_001']
    assert [site.specie.symbol for site in back] == ['Sr', 'Ti', 'O', 'O', 'O']
    assert np.allclose(back.lattice.matrix, structure.lattice.matrix, rtol=0, atol=1e-12)
    assert np.allclose(back.cart_coords, structure.cart_coords, rtol=0, atol=1e-12)


@pytest.mark.parametrize('known', [True, False])
def test_energy_before_the_relaxation_round_trip(known):
    structure = Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
    zeros, reason = np.zeros((2, 3)), 'it exploded'
    relaxations = {
        'c_001': Relaxation(structure, -3.5, zeros, 0.0, np.zeros((3, 3)), 4, True, None, -3.25),
        'c_002': Relaxation(structure, math.nan, zeros, 0.0, np.zeros((3, 3)), 4, False, reason),
    }
    node = convert.relaxations_to_node(relaxations, {'Na': -1.3, 'Cl': -1.8}, {'name': 'chgnet'})
    rows = node.base.attributes.get('rows')
    assert [row['initial_energy_per_atom'] for row in rows] == [-3.25, None]
    if not known:  # as an earlier version has left it
        rows = [{key: row[key] for key in row if key != 'initial_energy_per_atom'} for row in rows]
        node.base.attributes.set('rows', rows)
    candidates = orm.Dict({'formula': 'NaCl', 'rows': [{'label': label, 'cost': 0.0} for label in relaxations]})
    pool = convert.relaxed_pool(candidates, node)
    assert [one.initial_energy for one in pool.relaxations] == [-3.25 if known else None, None]
    assert [one.energy for one in pool.relaxations] == pytest.approx([-3.5, math.nan], nan_ok=True)


def test_corrections_are_of_what_has_an_energy():
    structure = Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
    broken = Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0] * 3, [math.nan] * 3])
    zeros, stress = np.zeros((2, 3)), np.zeros((3, 3))
    relaxations = {
        'c_001': Relaxation(structure, -3.5, zeros, 0.0, stress, 4, True),
        'c_002': Relaxation(broken, math.nan, zeros, 0.0, stress, 4, False, 'a coordinate is not a number'),
    }
    node = convert.relaxations_to_node(relaxations, {'Na': -1.3, 'Cl': -1.8}, {'name': 'm', 'corrections': 'MP2020'})
    rows = node.base.attributes.get('rows')
    assert [row['correction_per_atom'] for row in rows] == pytest.approx([-0.307, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ('formula', 'shown', 'formula_units', 'atoms'), [('NaCl', 'NaCl', 1, 2), ('Na4Cl4', 'Na4Cl4', 4, 8)]
)
def test_a_supercell_is_shown_as_primitive_cell_unless_the_formula_fixes_it(formula, shown, formula_units, atoms):
    structure = Structure.from_spacegroup(225, Lattice.cubic(5.6), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
    relaxation = Relaxation(structure, -3.5, np.zeros((8, 3)), 0.0, np.zeros((3, 3)), 4, True)
    relaxations = convert.relaxations_to_node({'c_001': relaxation}, {'Na': -1.3, 'Cl': -1.8}, {'name': 'chgnet'})
    candidate = Candidate(structure, 'template', 'by hand', 225, 4, 0.5, probability=0.6)
    candidates = convert.candidates_to_nodes(parse_formula(formula), (candidate,), ())['candidates']
    pool = convert.relaxed_pool(candidates, relaxations)
    ranked = rank_candidates(pool.facts, pool.relaxations, pool.energies, RankSettings())
    nodes = convert.ranking_to_nodes(pool, ranked)
    row = nodes['ranking']['rows'][0]
    assert (row['formula'], row['formula_units'], row['number_of_atoms']) == (shown, formula_units, atoms)
    assert nodes['ranking']['best']['number_of_atoms'] == atoms
    assert candidates['rows'][0]['number_of_atoms'] == 8
    node = nodes['structures']['rank_01']
    assert [site.kind_name for site in node.sites] == ['Na'] * (atoms // 2) + ['Cl'] * (atoms // 2)
    assert node.get_cell_volume() / atoms == pytest.approx(row['volume_per_atom'], rel=1e-12)
    assert (
        spacegroup_of(node.get_pymatgen_structure()) == (row['spacegroup'], row['spacegroup_symbol']) == (225, 'Fm-3m')
    )


def test_an_empty_pool_has_no_structures():
    assert list(convert.candidates_to_nodes(SRTIO3, (), ('One reason.',))) == ['candidates']


@pytest.mark.parametrize(('count', 'last'), [(0, None), (1, 'c_001'), (999, 'c_999'), (1000, 'c_1000')])
def test_labels_sort_as_they_are_numbered(count, last):
    labels = convert.labels('c', count, width=3)
    assert len(labels) == count
    assert labels == sorted(labels)
    assert labels[-1:] == ([last] if last else [])
