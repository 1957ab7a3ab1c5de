"""The search, on crystals built by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.reconstruct.budget import Budget
from aiida_alphacrystal.engine.reconstruct.contacts import CLASH_FRACTION, closest_contact
from aiida_alphacrystal.engine.reconstruct.distinct import SEARCH_COST
from aiida_alphacrystal.engine.reconstruct.landscape import Crystals
from aiida_alphacrystal.engine.reconstruct.search import _likely, search_crystals
from aiida_alphacrystal.engine.settings import SearchSettings
from tests.engine.reconstruct.conftest import spread_prediction

RUTILE_CELL = (4.594, 4.594, 2.959, 90.0, 90.0, 90.0)
QUICK = SearchSettings(max_candidates=5, evaluations=20_000)
GENETIC = SearchSettings(max_candidates=5, evaluations=20_000, method='genetic')


def as_rows(result):
    return [
        (item.origin, item.fitness, item.structure.lattice.matrix.tolist(), item.structure.frac_coords.tolist())
        for item in result.candidates
    ]


@pytest.mark.parametrize('settings', [QUICK, GENETIC], ids=lambda settings: settings.method)
def test_true_distances_give_rutile_back(rutile, certain, settings):
    cell = CellHypothesis(136, 2, RUTILE_CELL, 0.7)
    result = search_crystals(parse_formula('TiO2'), [cell], {2: certain(rutile)}, settings, seed=3)
    best = result.candidates[0]
    assert result.reasons == ()
    assert StructureMatcher().get_rms_dist(rutile, best.structure)[0] < 0.01
    assert best.origin in ('hypothesis 1 (P42/mnm): Ti 2a, O 4f', 'hypothesis 1 (P42/mnm): Ti 2a, O 4g')
    assert (best.source, best.spacegroup, best.formula_units) == (settings.method, 136, 2)
    assert (best.cost, best.seed) == (SEARCH_COST, 3)
    assert [site.specie.symbol for site in best.structure] == ['Ti'] * 2 + ['O'] * 4


def test_candidates_are_distinct_ordered_and_free_of_clashes(rutile, certain):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.7), CellHypothesis(58, 2, (4.5, 4.7, 3.0, 90, 90, 90), 0.2)]
    found = search_crystals(parse_formula('TiO2'), cells, {2: certain(rutile)}, QUICK, seed=0).candidates
    assert 1 < len(found) <= QUICK.max_candidates
    assert found[0].fitness == max(item.fitness for item in found)
    for first, second in itertools.combinations(found, 2):
        assert not StructureMatcher(stol=0.1).fit(first.structure, second.structure)
    for item in found:
        distances = minimum_image_distances(item.structure.lattice.matrix, item.structure.frac_coords)
        assert closest_contact(distances, [site.specie.symbol for site in item.structure]) >= CLASH_FRACTION


def test_same_seed_same_result_and_order_of_hypotheses_does_not_matter(rutile, certain):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.7), CellHypothesis(62, 2, RUTILE_CELL, 0.1)]
    cells.append(CellHypothesis(58, 2, (4.5, 4.7, 3.0, 90, 90, 90), 0.2))
    arguments = (parse_formula('TiO2'), {2: certain(rutile)}, QUICK, 11)
    first = search_crystals(arguments[0], cells, *arguments[1:])
    again = search_crystals(arguments[0], cells, *arguments[1:])
    turned = search_crystals(arguments[0], cells[::-1], *arguments[1:])
    assert as_rows(first) == as_rows(again)
    assert [row[1:] for row in as_rows(first)] == [row[1:] for row in as_rows(turned)]


def test_no_hypothesis_takes_all_places(rutile, certain):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.9), CellHypothesis(14, 2, (4.6, 4.6, 2.96, 90, 92, 90), 0.05)]
    found = search_crystals(parse_formula('TiO2'), cells, {2: certain(rutile)}, QUICK, seed=0).candidates
    assert {item.spacegroup for item in found} == {136, 14}


def test_an_empty_list_comes_with_a_reason_for_each_hypothesis(perovskite, certain):
    cells = [
        CellHypothesis(225, 1, (3.905, 3.905, 3.905, 90, 90, 90), 0.5),
        CellHypothesis(221, 1, (1.5, 1.5, 1.5, 90, 90, 90), 0.3),
        CellHypothesis(221, 2, (3.905, 3.905, 7.81, 90, 90, 90), 0.2),
    ]
    result = search_crystals(parse_formula('SrTiO3'), cells, {1: certain(perovskite)}, QUICK, seed=0)
    assert result.candidates == ()
    assert result.reasons == (
        'hypothesis 1 (Fm-3m): no combination of its Wyckoff positions has room for 1 Sr 1 Ti 3 O.',
        'hypothesis 2 (Pm-3m): no combination of its Wyckoff positions has room for 1 Sr 1 Ti 3 O.',
        'hypothesis 3 (Pm-3m): no distances are given for 2 formula units.',
    )


def test_switched_off_it_gives_nothing(perovskite, certain):
    cell = CellHypothesis(221, 1, (3.905, 3.905, 3.905, 90, 90, 90), 0.5)
    result = search_crystals(
        parse_formula('SrTiO3'), [cell], {1: certain(perovskite)}, SearchSettings(max_candidates=0), seed=0
    )
    assert result.candidates == ()


def test_progress_counts_hypotheses(perovskite, certain):
    cell = CellHypothesis(221, 1, (3.905, 3.905, 3.905, 90, 90, 90), 0.5)
    seen = []
    with reporting(lambda *report: seen.append(report)):
        result = search_crystals(parse_formula('SrTiO3'), [cell, cell], {1: certain(perovskite)}, QUICK, seed=0)
    assert seen == [('reconstruct', 0, 2), ('reconstruct', 1, 2), ('reconstruct', 2, 2)]
    assert StructureMatcher().fit(perovskite, result.candidates[0].structure)


def test_elements_and_single_atoms_work(certain):
    copper = Structure(Lattice.cubic(3.61).matrix @ np.eye(3), ['Cu'], [[0, 0, 0]])
    cell = CellHypothesis(225, 1, (3.61, 3.61, 3.61, 90, 90, 90), 1.0)
    found = search_crystals(parse_formula('Cu'), [cell], {1: certain(copper)}, QUICK, seed=0).candidates
    assert len(found) == 1
    assert found[0].structure.volume == pytest.approx(3.61**3 / 4, rel=0.11)


def test_a_search_without_symmetry_finds_what_the_space_group_does_not_hold(rutile, certain):
    settings = SearchSettings(max_candidates=20, evaluations=1, free_starts=64)
    cell = CellHypothesis(123, 2, RUTILE_CELL, 0.7)
    found = search_crystals(parse_formula('TiO2'), [cell], {2: certain(rutile)}, settings, seed=0).candidates
    free = [item for item in found if item.source == 'free']
    assert {(item.spacegroup, item.origin) for item in free} == {(1, 'hypothesis 1 (P4/mmm): no symmetry')}
    assert StructureMatcher().get_rms_dist(rutile, free[0].structure)[0] < 0.15
    assert all(item.fitness < free[0].fitness for item in found if item.source == 'descent')


def test_a_stop_returns_what_was_found_and_says_what_was_not_searched(rutile, certain):
    cells = [CellHypothesis(136, 2, RUTILE_CELL, 0.7), CellHypothesis(58, 2, RUTILE_CELL, 0.2)]
    budget = Budget()
    budget.stop()
    result = search_crystals(parse_formula('TiO2'), cells, {2: certain(rutile)}, QUICK, seed=0, budget=budget)
    assert {item.spacegroup for item in result.candidates} == {136}
    assert result.reasons == ('hypothesis 2 (Pnnm): the time was over before its turn.',)


@pytest.mark.parametrize('seed', [0, 1])
def test_sure_distances_give_a_crystal_of_low_symmetry_back(oxide, seed):
    """Fifteen free coordinates: sets of atoms are told apart by their distances and placed one after the other."""
    lattice = Lattice.from_parameters(9.9, 7.4, 8.9, 90.0, 98.0, 90.0)
    oxide = Structure(lattice, oxide.species, oxide.frac_coords)  # wider, so that no atoms clash
    cell = CellHypothesis(14, 4, lattice.parameters, 1.0)
    settings = SearchSettings(max_candidates=5, evaluations=100_000)
    sure = {4: spread_prediction(oxide, 0.05)}
    found = search_crystals(parse_formula('Ti2O3'), [cell], sure, settings, seed).candidates
    assert StructureMatcher().get_rms_dist(oxide, found[0].structure)[0] < 0.01
    assert (found[0].source, found[0].spacegroup) == ('descent', 14)
    assert found[0].origin == 'hypothesis 1 (P21/c): Ti 4e, Ti 4e, O 4e, O 4e, O 4e'


def test_atoms_that_are_alike_without_symmetry_grow_one_by_one():
    """The crystal has an inversion that the space group does not: rows are alike, and yet no orbit holds two."""
    lattice = Lattice.from_parameters(4.3, 4.9, 5.4, 81.0, 97.0, 106.0)
    nitrogen = [[0.71, 0.22, 0.66], [0.1, 0.81, 0.91], [0.79, 0.67, 0.13]]
    fluorine = [[0.36, 0.86, 0.66], [0.25, 0.38, 0.4], [0.58, 0.33, 0.12]]
    structure = Structure.from_spacegroup('P-1', lattice, ['N'] * 3 + ['F'] * 3, [*nitrogen, *fluorine])
    cell = CellHypothesis(1, 6, lattice.parameters, 1.0)
    settings = SearchSettings(max_candidates=5, evaluations=50_000)
    sure = {6: spread_prediction(structure, 0.05)}
    found = search_crystals(parse_formula('NF'), [cell], sure, settings, seed=3).candidates
    assert StructureMatcher().get_rms_dist(structure, found[0].structure)[0] < 0.03


def test_hopeless_crystals_are_left_behind_but_for_the_best_few():
    def crystals(*fitness):
        rows = len(fitness)
        return Crystals(torch.zeros(rows, dtype=torch.int64), torch.zeros((rows, 1)), torch.tensor(fitness))

    rounds = [crystals(1.5, 0.7, 0.2), crystals(-3.0, -4.0), crystals(0.4, -5.0)]
    assert [len(found) for found in _likely(rounds)] == [3, 0, 1]
    alone = [crystals(1.5), crystals(-3.0, -4.0, -5.0, -6.0)]
    assert [len(found) for found in _likely(alone)] == [1, 3]
    assert _likely([]) == []
