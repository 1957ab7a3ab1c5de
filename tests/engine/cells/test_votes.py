"""Tests of what known crystals say about cells."""

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.cells.descriptors import lattice_from_shape, shape_of_lattice
from aiida_alphacrystal.engine.cells.votes import conventional_shape
from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula


def test_perovskites_vote_for_the_cubic_cell_and_others(voters):
    votes = voters.vote(parse_formula('SrTiO3'), 20)
    assert len(votes) == len(votes.votes) == len(votes.strongest) == len(votes.arrangements)
    assert set(votes.formula_units.tolist()) <= {1, 2, 3, 4}
    assert (votes.votes >= votes.strongest - 1e-9).all()
    fixed = voters.vote(formula_from_counts({'Sr': 1, 'Ti': 1, 'O': 3}, fix_cell=True), 20)
    assert set(fixed.formula_units.tolist()) == {1}
    assert fixed.spacegroups[fixed.votes.argmax()] == 221


def test_nobody_votes_for_what_nobody_has(voters, library):
    sodium = next(count for count in range(11, 19) if (count, 19 - count) not in library.classes)
    votes = voters.vote(formula_from_counts({'Na': sodium, 'Cl': 19 - sodium}, fix_cell=True), 20)
    assert len(votes) == 0


def test_those_of_the_formula_can_be_kept_from_voting(voters):
    formula = parse_formula('NaCl')
    members = voters.members_by_composition()[frozenset({(11, 1), (17, 1)})]
    assert len(members) >= 1
    excluded = np.zeros(voters.members, dtype=bool)
    every = voters.vote(formula, 20)
    assert voters.vote(formula, 20, excluded).votes.tolist() == every.votes.tolist()
    excluded[members] = True
    fewer = voters.vote(formula, 20, excluded)
    assert np.logaddexp.reduce(fewer.votes) < np.logaddexp.reduce(every.votes)
    assert sum(len(found) for found in voters.members_by_composition().values()) == voters.members


def test_the_lattice_of_a_cubic_cell(voters):
    votes = voters.vote(parse_formula('SrTiO3'), 5)
    (place,) = np.flatnonzero((votes.spacegroups == 221) & (votes.formula_units == 1))
    lattice = voters.lattice(votes, place)
    assert lattice.shape[1:] == pytest.approx([0, 0, 0, 0, 0], abs=1e-6)
    assert math.exp(lattice.shape[0]) == pytest.approx(3.9**3 / 5, rel=0.1)
    assert 0 <= lattice.spread[0] < 0.3


def test_shape_of_a_crystal_is_that_of_its_conventional_cell():
    rutile = Structure.from_spacegroup(
        136, Lattice.tetragonal(4.6, 2.96), ['Ti', 'O'], [[0] * 3, [0.305, 0.305, 0]]
    ).get_primitive_structure()
    kinds = [site.specie.Z for site in rutile]
    shape = conventional_shape(rutile.lattice.matrix, kinds, rutile.frac_coords, 136)
    assert shape == pytest.approx(shape_of_lattice([4.6, 4.6, 2.96, 90, 90, 90], 6))
    assert lattice_from_shape(shape, 136, 6)[:3] == pytest.approx((4.6, 4.6, 2.96))
    assert conventional_shape(rutile.lattice.matrix, kinds, rutile.frac_coords, 14) is None
