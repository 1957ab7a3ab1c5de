"""Tests of the template source."""

import dataclasses
import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.templates import distinct_candidates, is_new, propose, same_stoichiometry
from aiida_alphacrystal.engine.reconstruct.training import train_templates
from aiida_alphacrystal.engine.settings import TemplateSettings


def test_a_compound_that_is_not_in_the_library_takes_the_structure_of_its_neighbours(library):
    candidates = propose(library, parse_formula('KF'), TemplateSettings(), 20)
    truth = Structure.from_spacegroup(225, Lattice.cubic(5.35), ['K', 'F'], [[0] * 3, [0.5] * 3])
    assert candidates[0].spacegroup == 225
    assert normalised_rms(candidates[0].structure, truth) < 1e-4
    per_atom = candidates[0].structure.volume / len(candidates[0].structure)
    assert per_atom == pytest.approx(truth.volume / 8, rel=0.15)


def test_all_sources_of_the_stoichiometry_are_distinct_and_in_order(library):
    candidates = propose(library, parse_formula('KF'), TemplateSettings(), 20)
    assert {candidate.spacegroup for candidate in candidates} == {216, 221, 225}
    assert [candidate.cost for candidate in candidates] == sorted(candidate.cost for candidate in candidates)
    assert all(is_new(candidate, candidates[:index]) for index, candidate in enumerate(candidates))
    assert propose(library, parse_formula('KF'), TemplateSettings(max_candidates=2), 20) == candidates[:2]
    assert propose(library, parse_formula('KF'), TemplateSettings(max_candidates=0), 20) == ()


def test_both_mappings_of_the_cations_are_tried(library):
    candidates = propose(library, parse_formula('PbTiO3'), TemplateSettings(), 20)
    centres = {
        next(
            site.specie.symbol
            for site in candidate.structure
            if site.specie.symbol != 'O' and _touches_six(site, candidate)
        )
        for candidate in candidates
    }
    assert centres == {'Ti', 'Pb'}
    assert _centre(candidates[0]) == 'Ti'


def _touches_six(site, candidate):
    oxygen = candidate.structure.get_neighbors(site, 0.55 * candidate.structure.lattice.a)
    return len(oxygen) == 6


def _centre(candidate):
    return next(
        site.specie.symbol
        for site in candidate.structure
        if site.specie.symbol != 'O' and _touches_six(site, candidate)
    )


def test_atoms_come_in_the_order_of_the_formula(library):
    formula = parse_formula('PbTiO3')
    for candidate in propose(library, formula, TemplateSettings(), 20):
        species = tuple(site.specie.symbol for site in candidate.structure)
        assert species == formula.species(candidate.formula_units)


def test_fixed_cells_and_unknown_stoichiometries(library):
    plain = TemplateSettings(decorations=False)
    assert propose(library, parse_formula('K2F2'), plain, 20) == ()
    assert propose(library, parse_formula('Al2O3'), plain, 20) == ()
    assert propose(library, parse_formula('PbTiO3'), TemplateSettings(), 4) == ()


def test_the_shipped_library_offers_several_numbers_of_formula_units():
    candidates = propose(load_library(), parse_formula('TiO2'), TemplateSettings(max_candidates=15), 20)
    assert len(candidates) == 15
    assert {candidate.formula_units for candidate in candidates} >= {2, 4}
    assert all(len(candidate.structure) == 3 * candidate.formula_units for candidate in candidates)


def test_rock_salt_is_offered_beside_zincblende_and_what_adds_most_comes_first():
    found = distinct_candidates(load_library(), parse_formula('MgO'), TemplateSettings(max_candidates=20), 20)
    assert {216, 225} <= {candidate.spacegroup for candidate, _ in found}
    shares = [proposal.share for _, proposal in found]
    assert shares == sorted(shares, reverse=True)


def test_probabilities_are_those_of_the_first_right_candidate(library):
    candidates = propose(library, parse_formula('KF'), TemplateSettings(), 20)
    stated = [candidate.probability for candidate in candidates]
    assert all(0 < chance < 1 for chance in stated)
    assert candidates[0].probability > 0.5
    assert [candidate.cost for candidate in candidates] == pytest.approx([-math.log(chance) for chance in stated])


def test_compounds_that_are_excluded_say_nothing(library):
    formula = parse_formula('KF')
    rock_salts = library.spacegroups[library.member_prototypes] == 225
    found = distinct_candidates(library, formula, TemplateSettings(), 20, excluded=rock_salts)
    assert {candidate.spacegroup for candidate, _ in found} == {216, 221}
    assert all(not rock_salts[proposal.nearest] for _, proposal in found)


def test_a_decoration_is_named_as_such_and_has_its_own_space_group(library):
    found = propose(library, parse_formula('PbO4'), TemplateSettings(), 20)
    assert found
    assert all(candidate.origin.endswith('with sites merged') for candidate in found)
    assert found[0].spacegroup == 221
    assert [site.specie.symbol for site in found[0].structure] == ['Pb', 'O', 'O', 'O', 'O']
    assert propose(library, parse_formula('PbO4'), TemplateSettings(decorations=False), 20) == ()


def test_everything_of_the_stoichiometry_is_yielded_nearest_first(library):
    structures = list(same_stoichiometry(library, parse_formula('PbTiO3'), 20))
    assert len(structures) == 2
    first = propose(library, parse_formula('PbTiO3'), TemplateSettings(), 20)[0]
    assert normalised_rms(structures[0], first.structure) < 1e-6
    assert list(same_stoichiometry(library, parse_formula('Al2O3'), 20)) == []


def test_the_same_question_has_the_same_answer(library):
    first, second = (propose(library, parse_formula('PbTiO3'), TemplateSettings(), 20) for _ in range(2))
    assert first == second


def test_the_same_crystal_elsewhere_in_its_cell_is_not_new_but_another_arrangement_is(library):
    salt, *others = propose(library, parse_formula('KF'), TemplateSettings(), 20)
    moved = salt.structure.copy().translate_sites(range(2), [0.1, 0.2, 0.3])
    assert not is_new(dataclasses.replace(salt, structure=moved), [salt])
    assert is_new(salt, others)
    assert is_new(salt, [])


def test_every_order_of_the_elements_is_yielded_also_where_two_are_the_same_crystal(library):
    structures = list(same_stoichiometry(library, parse_formula('KF'), 20))
    assert len(structures) == 3 * 2
    assert all(len(structure) == 2 for structure in structures)


@pytest.mark.parametrize(('formula', 'atoms'), [('Fe', {221: 1, 227: 2, 229: 1}), ('Fe2', {221: 2, 227: 2, 229: 2})])
def test_an_element_alone_takes_all_sites_of_a_cell_that_is_primitive_unless_it_is_given(library, formula, atoms):
    found = propose(library, parse_formula(formula), TemplateSettings(), 2)
    assert {candidate.spacegroup: candidate.formula_units for candidate in found} == atoms
    assert all(candidate.formula_units == len(candidate.structure) for candidate in found)


def test_a_split_and_a_substitution_never_give_the_same_crystal_twice(library, tmp_path):
    """A compound of far elements has the very sites that splitting rock salt gives."""
    lattice = np.diag([5.64 / 2**0.5, 5.64 / 2**0.5, 5.64])
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0.5], [0.5, 0.5, 0]])
    salts = [Crystal(symbol, lattice, (symbol, symbol, 'O', 'O'), sites, 225) for symbol in ('Mg', 'Fe')]
    ordered = Crystal('far', lattice, ('Cs', 'Bi', 'Te', 'Te'), sites, 123)
    train_templates([*salts, ordered], {}, tmp_path, base=library)
    larger = load_library(tmp_path / 'templates.safetensors')
    candidates = propose(larger, parse_formula('LiFeO2'), TemplateSettings(), 4)
    assert candidates
    for place, candidate in enumerate(candidates):
        others = candidates[:place]
        assert not any(normalised_rms(candidate.structure, other.structure) == 0.0 for other in others)
        assert is_new(candidate, others)
