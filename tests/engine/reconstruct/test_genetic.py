"""The genetic algorithm and its fitness, on crystals built by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.distances import DistancePrediction, fine_bins, minimum_image_distances
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.reconstruct.fitness import (
    CLASH_FRACTION,
    DistanceScore,
    OrbitDistances,
    closest_contact,
    reduced_lattice,
    widest_contact,
)
from aiida_alphacrystal.engine.reconstruct.genetic import GENETIC_COST, genetic_candidates
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    build_structure,
    enumerate_assignments,
    orbit_map,
    primitive_lattice,
    space_group,
)
from aiida_alphacrystal.engine.settings import GeneticSettings

RUTILE_CELL = (4.594, 4.594, 2.959, 90.0, 90.0, 90.0)
QUICK = GeneticSettings(max_candidates=5, max_assignments=6, population=12, generations=8)


@pytest.fixture(scope='module')
def rutile():
    return Structure.from_spacegroup(
        'P4_2/mnm', Lattice.from_parameters(*RUTILE_CELL), ['Ti', 'O'], [[0, 0, 0], [0.3053, 0.3053, 0]]
    )


@pytest.fixture(scope='module')
def perovskite():
    return Structure(
        Lattice.cubic(3.905), ['Sr', 'Ti', 'O', 'O', 'O'],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    )  # fmt: skip


def truth(structure):
    """Return a prediction that is sure of the distances of a structure."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    edges = fine_bins()
    place = np.searchsorted(edges, distances) - 1
    species = tuple(site.specie.symbol for site in structure)
    return DistancePrediction(species, edges, np.eye(len(edges) - 1)[place])


def sorted_blocks(structure):
    """Return the distances of a structure, sorted within each pair of elements."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    species = np.array([site.specie.symbol for site in structure])
    blocks = []
    for first, second in itertools.combinations_with_replacement(dict.fromkeys(species.tolist()), 2):
        block = distances[np.ix_(species == first, species == second)]
        blocks.append(np.sort(block[np.triu_indices(len(block), 1)] if first == second else block.ravel()))
    return np.concatenate(blocks)


def as_rows(result):
    return [
        (item.origin, item.fitness, item.structure.lattice.matrix.tolist(), item.structure.frac_coords.tolist())
        for item in result.candidates
    ]


def test_true_distances_give_rutile_back(rutile):
    cell = CellHypothesis(136, 2, RUTILE_CELL, 0.7)
    result = genetic_candidates(parse_formula('TiO2'), [cell], {2: truth(rutile)}, QUICK, seed=3)
    best = result.candidates[0]
    assert result.reasons == ()
    assert StructureMatcher().get_rms_dist(rutile, best.structure)[0] < 0.01
    assert best.origin in ('hypothesis 1 (P42/mnm): Ti 2a, O 4f', 'hypothesis 1 (P42/mnm): Ti 2a, O 4g')
    assert (best.source, best.spacegroup, best.formula_units) == ('genetic', 136, 2)
    assert (best.cost, best.seed) == (GENETIC_COST, 3)
    assert [site.specie.symbol for site in best.structure] == ['Ti'] * 2 + ['O'] * 4


def test_candidates_are_distinct_ordered_and_free_of_clashes(rutile):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.7), CellHypothesis(58, 2, (4.5, 4.7, 3.0, 90, 90, 90), 0.2)]
    found = genetic_candidates(parse_formula('TiO2'), cells, {2: truth(rutile)}, QUICK, seed=0).candidates
    fitness = [item.fitness for item in found]
    assert 1 < len(found) <= QUICK.max_candidates
    assert fitness == sorted(fitness, reverse=True)
    for first, second in itertools.combinations(found, 2):
        assert not StructureMatcher().fit(first.structure, second.structure)
    for item in found:
        distances = minimum_image_distances(item.structure.lattice.matrix, item.structure.frac_coords)
        assert closest_contact(distances, [site.specie.symbol for site in item.structure]) >= CLASH_FRACTION


def test_same_seed_same_result_and_order_of_hypotheses_does_not_matter(rutile):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.7), CellHypothesis(62, 2, RUTILE_CELL, 0.1)]
    cells.append(CellHypothesis(58, 2, (4.5, 4.7, 3.0, 90, 90, 90), 0.2))
    arguments = (parse_formula('TiO2'), {2: truth(rutile)}, QUICK, 11)
    first = genetic_candidates(arguments[0], cells, *arguments[1:])
    again = genetic_candidates(arguments[0], cells, *arguments[1:])
    turned = genetic_candidates(arguments[0], cells[::-1], *arguments[1:])
    assert as_rows(first) == as_rows(again)
    assert [row[1:] for row in as_rows(first)] == [row[1:] for row in as_rows(turned)]


def test_no_hypothesis_takes_all_places(rutile):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.9), CellHypothesis(14, 2, (4.6, 4.6, 2.96, 90, 92, 90), 0.05)]
    found = genetic_candidates(parse_formula('TiO2'), cells, {2: truth(rutile)}, QUICK, seed=0).candidates
    assert {item.spacegroup for item in found} == {136, 14}


def test_an_empty_list_comes_with_a_reason_for_each_hypothesis(perovskite):
    cells = [
        CellHypothesis(225, 1, (3.905, 3.905, 3.905, 90, 90, 90), 0.5),
        CellHypothesis(221, 1, (1.5, 1.5, 1.5, 90, 90, 90), 0.3),
        CellHypothesis(221, 2, (3.905, 3.905, 7.81, 90, 90, 90), 0.2),
    ]
    result = genetic_candidates(parse_formula('SrTiO3'), cells, {1: truth(perovskite)}, QUICK, seed=0)
    assert result.candidates == ()
    assert result.reasons == (
        'hypothesis 1 (Fm-3m): no combination of its Wyckoff positions has room for 1 Sr 1 Ti 3 O.',
        'hypothesis 2 (Pm-3m): no combination of its Wyckoff positions has room for 1 Sr 1 Ti 3 O.',
        'hypothesis 3 (Pm-3m): no distances are given for 2 formula units.',
    )


def test_switched_off_it_gives_nothing(perovskite):
    cell = CellHypothesis(221, 1, (3.905, 3.905, 3.905, 90, 90, 90), 0.5)
    result = genetic_candidates(
        parse_formula('SrTiO3'), [cell], {1: truth(perovskite)}, GeneticSettings(max_candidates=0), seed=0
    )
    assert result.candidates == ()


def test_progress_counts_hypotheses(perovskite):
    cell = CellHypothesis(221, 1, (3.905, 3.905, 3.905, 90, 90, 90), 0.5)
    seen = []
    with reporting(lambda *report: seen.append(report)):
        result = genetic_candidates(parse_formula('SrTiO3'), [cell, cell], {1: truth(perovskite)}, QUICK, seed=0)
    assert seen == [('reconstruct', 0, 2), ('reconstruct', 1, 2), ('reconstruct', 2, 2)]
    assert StructureMatcher().fit(perovskite, result.candidates[0].structure)


def test_elements_and_single_atoms_work():
    copper = Structure(Lattice.cubic(3.61).matrix @ np.eye(3), ['Cu'], [[0, 0, 0]])
    cell = CellHypothesis(225, 1, (3.61, 3.61, 3.61, 90, 90, 90), 1.0)
    found = genetic_candidates(parse_formula('Cu'), [cell], {1: truth(copper)}, QUICK, seed=0).candidates
    assert len(found) == 1
    assert found[0].structure.volume == pytest.approx(3.61**3 / 4, rel=0.11)


LENGTH = st.floats(3.0, 14.0)
CASES = [
    (1, {'Na': 2, 'Cl': 2}),
    (2, {'Ti': 1, 'O': 4}),
    (14, {'Ti': 2, 'O': 6}),
    (15, {'Ti': 2, 'O': 4}),
    (43, {'Ti': 2, 'O': 4}),
    (62, {'Ti': 4, 'O': 8}),
    (141, {'Ti': 2, 'O': 4}),
    (146, {'Ti': 1, 'O': 4}),
    (166, {'Ti': 2, 'O': 3}),
    (194, {'Ti': 2, 'O': 4}),
    (221, {'Ti': 1, 'O': 6}),
    (227, {'Ti': 2, 'O': 6}),
]


@settings(max_examples=60, deadline=None)
@given(
    case=st.sampled_from(CASES),
    lengths=st.tuples(LENGTH, LENGTH, LENGTH),
    beta=st.floats(70, 120),
    seed=st.integers(0, 1000),
)
def test_batched_distances_are_minimum_image_distances(case, lengths, beta, seed):
    number, counts = case
    parameters = (*lengths, 80.0, beta, 100.0)
    assignments = enumerate_assignments(number, counts, limit=40)
    rng = np.random.default_rng(seed)
    assignment = assignments[rng.integers(len(assignments))]
    free = rng.random((3, assignment.freedom))
    lattice = reduced_lattice(primitive_lattice(number, parameters))
    batch = OrbitDistances.of(orbit_map(space_group(number), assignment), lattice)
    moved = batch.sorted_distances(free + rng.integers(-2, 3, free.shape))
    for row, coordinates in zip(moved, free, strict=True):
        structure = build_structure(number, parameters, assignment, coordinates)
        assert np.allclose(row, sorted_blocks(structure), atol=2e-5)
    matrix = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    assert lattice.shortest == pytest.approx(matrix[0, 0], abs=1e-9)


def test_gradient_is_the_slope_of_the_score(rutile):
    assignment = enumerate_assignments(7, {'Ti': 2, 'O': 4})[0]
    lattice = reduced_lattice(primitive_lattice(7, (4.6, 4.5, 3.1, 90, 97, 90)))
    batch = OrbitDistances.of(orbit_map(space_group(7), assignment), lattice)
    score = DistanceScore(truth(rutile))
    rng = np.random.default_rng(5)
    free, scale = rng.random((20, assignment.freedom)), rng.uniform(0.98, 1.02, 20)

    def value(coordinates, factor):
        return score(batch.sorted_distances(coordinates), lattice.shortest, factor)

    distances, carry_back = batch.with_gradient(free)
    _, slopes, by_scale = score.with_gradient(distances, lattice.shortest, scale)
    gradient = carry_back(slopes)
    step = 1e-7
    for place, unit in enumerate(np.eye(assignment.freedom)):
        numeric = (value(free + step * unit, scale) - value(free - step * unit, scale)) / (2 * step)
        assert np.median(np.abs(numeric - gradient[:, place])) < 1e-5
    numeric = (value(free, scale + step) - value(free, scale - step)) / (2 * step)
    assert np.median(np.abs(numeric - by_scale)) < 1e-5


def test_truth_scores_best_and_order_inside_an_element_does_not_count(rutile):
    score = DistanceScore(truth(rutile))
    own = minimum_image_distances(rutile.lattice.matrix, rutile.frac_coords)[0, 0]
    swapped = Structure.from_sites([rutile[i] for i in (1, 0, 4, 2, 5, 3)])
    moved = rutile.copy()
    moved.translate_sites([3], [0.1, 0.05, 0.0])
    values = [float(score(sorted_blocks(item)[None], own, np.ones(1))[0]) for item in (rutile, swapped, moved)]
    assert values[0] == pytest.approx(values[1], abs=1e-9)
    assert values[2] < values[0] - 0.3


def test_widest_contact_of_a_fixed_and_a_free_position():
    lattice = reduced_lattice(np.eye(3) * 4.0)
    group = space_group(221)
    assert widest_contact(group.position('a'), lattice) == pytest.approx(4.0)
    assert widest_contact(group.position('c'), lattice) == pytest.approx(4.0 / math.sqrt(2))
    assert widest_contact(group.position('e'), lattice) == pytest.approx(
        4.0 * math.sqrt(2) / (2 + math.sqrt(2)), rel=0.05
    )
