"""Tests of the template source."""

import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.reconstruct.library import build_library, load_library
from aiida_alphacrystal.engine.reconstruct.templates import is_new, substitute
from aiida_alphacrystal.engine.settings import TemplateSettings


@pytest.fixture(scope='module')
def library(crystals_file, tmp_path_factory):
    directory = tmp_path_factory.mktemp('library')
    build_library(crystals_file, directory)
    return load_library(directory / 'templates.safetensors')


def test_a_compound_that_is_not_in_the_library_takes_the_structure_of_its_neighbours(library):
    candidates = substitute(library, parse_formula('KF'), TemplateSettings(), 20)
    truth = Structure.from_spacegroup(225, Lattice.cubic(5.35), ['K', 'F'], [[0] * 3, [0.5] * 3])
    assert candidates[0].spacegroup == 225
    assert normalised_rms(candidates[0].structure, truth) < 1e-4
    per_atom = candidates[0].structure.volume / len(candidates[0].structure)
    assert per_atom == pytest.approx(truth.volume / 8, rel=0.15)


def test_all_sources_of_the_stoichiometry_are_distinct_and_in_order(library):
    candidates = substitute(library, parse_formula('KF'), TemplateSettings(), 20)
    assert {candidate.spacegroup for candidate in candidates} == {216, 221, 225}
    assert [candidate.cost for candidate in candidates] == sorted(candidate.cost for candidate in candidates)
    assert all(is_new(candidate, candidates[:index]) for index, candidate in enumerate(candidates))
    assert substitute(library, parse_formula('KF'), TemplateSettings(max_candidates=2), 20) == candidates[:2]
    assert substitute(library, parse_formula('KF'), TemplateSettings(max_candidates=0), 20) == ()


def test_both_mappings_of_the_cations_are_tried(library):
    candidates = substitute(library, parse_formula('PbTiO3'), TemplateSettings(), 20)
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
    for candidate in substitute(library, formula, TemplateSettings(), 20):
        species = tuple(site.specie.symbol for site in candidate.structure)
        assert species == formula.species(candidate.formula_units)


def test_fixed_cells_and_unknown_stoichiometries(library):
    assert substitute(library, parse_formula('K2F2'), TemplateSettings(), 20) == ()
    assert substitute(library, parse_formula('Al2O3'), TemplateSettings(), 20) == ()
    assert substitute(library, parse_formula('PbTiO3'), TemplateSettings(), 4) == ()


def test_the_shipped_library_offers_several_numbers_of_formula_units():
    candidates = substitute(load_library(), parse_formula('TiO2'), TemplateSettings(max_candidates=15), 20)
    assert len(candidates) == 15
    assert {candidate.formula_units for candidate in candidates} >= {2, 4}
    assert all(len(candidate.structure) == 3 * candidate.formula_units for candidate in candidates)
