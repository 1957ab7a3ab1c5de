"""Tests of random symmetric crystals."""

import collections

import numpy as np
import pytest

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.metrics.validity import geometry_is_valid
from aiida_alphacrystal.engine.reconstruct.random_crystals import random_candidates, random_crystal
from aiida_alphacrystal.engine.symmetry import spacegroup_of


@pytest.mark.parametrize(('text', 'units'), [('NaCl', 1), ('SrTiO3', 1), ('Al4O6', 2)])
def test_the_composition_fills_the_primitive_cell_in_the_order_of_the_formula(text, units):
    formula = parse_formula(text)
    candidates = random_candidates(formula, units, 6, seed=1)
    assert len(candidates) == 6
    for candidate in candidates:
        assert tuple(site.specie.symbol for site in candidate.structure) == formula.species(units)
        assert len(candidate.structure.get_primitive_structure()) == len(candidate.structure)
        assert geometry_is_valid(candidate.structure)
        assert candidate.source == 'random'
        assert candidate.formula_units == units
    assert len({candidate.spacegroup for candidate in candidates}) > 2


def test_a_crystal_depends_on_seed_and_number_alone():
    formula = parse_formula('MgO')
    few, many = (random_candidates(formula, 1, number, seed=5) for number in (2, 4))
    assert [candidate.structure for candidate in few] == [candidate.structure for candidate in many[:2]]
    assert random_candidates(formula, 1, 1, seed=6)[0].structure != few[0].structure


def test_a_crystal_has_its_space_group():
    found = collections.Counter()
    for seed in range(10):
        crystal = random_crystal(62, ('Ti', 'O'), (4, 8), np.random.default_rng(seed))
        if crystal is not None:
            found[spacegroup_of(crystal)[0]] += 1
    assert found[62] >= 3


def test_a_group_that_cannot_hold_the_atoms_gives_nothing():
    assert random_crystal(227, ('Na', 'Cl'), (1, 1), np.random.default_rng(0)) is None
