"""Tests of the symmetry of a crystal."""

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.symmetry import primitive_cell, spacegroup_of, standard_primitive


def rock_salt():
    return Structure.from_spacegroup(225, Lattice.cubic(5.6), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])


def caesium_chloride():
    return Structure(Lattice.cubic(4.1), ['Cs', 'Cl'], [[0] * 3, [0.5] * 3])


def test_space_group_within_the_tolerance_of_the_training_data():
    structure = rock_salt()
    structure.perturb(0.01, seed=1)
    assert spacegroup_of(structure) == (225, 'Fm-3m')
    assert spacegroup_of(caesium_chloride()) == (221, 'Pm-3m')


def test_the_primitive_cell():
    reduced = standard_primitive(rock_salt(), 0.01)
    assert sorted(site.specie.symbol for site in reduced) == ['Cl', 'Na']
    assert spacegroup_of(reduced) == (225, 'Fm-3m')


def test_a_primitive_cell_whose_atoms_stay_where_they_are():
    conventional = rock_salt()
    conventional.perturb(0.01, seed=1)
    reduced = primitive_cell(conventional)
    assert [site.specie.symbol for site in reduced] == ['Na', 'Cl']
    assert reduced.volume == pytest.approx(conventional.volume / 4, rel=1e-12)
    for site in reduced:
        assert min(site.distance(other) for other in conventional if other.specie == site.specie) < 0.02
    assert StructureMatcher(ltol=0.01, stol=0.01, scale=False).fit(reduced, conventional)


def test_a_cell_that_is_primitive_already_stays_itself():
    for structure in (caesium_chloride(), rock_salt().get_primitive_structure()):
        assert primitive_cell(structure) is structure
    overlapping = Structure(Lattice.cubic(4), ['Na', 'Na'], [[0] * 3, [0] * 3])
    assert primitive_cell(overlapping) is overlapping


def test_no_symmetry_where_atoms_overlap():
    assert standard_primitive(Structure(Lattice.cubic(4), ['Na', 'Na'], [[0] * 3, [0] * 3]), 0.01) is None
