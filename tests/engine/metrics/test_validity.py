"""Tests of the filter of the published benchmarks."""

import pytest
from pymatgen.core import Composition, Lattice, Structure

from aiida_alphacrystal.engine.metrics.validity import composition_is_valid, geometry_is_valid


@pytest.mark.parametrize(
    ('formula', 'valid'),
    [('NaCl', True), ('SrTiO3', True), ('Sr2Ti2O6', True), ('AuCu3', True), ('Xe', True), ('NaCl3', False)],
)
def test_charges_balance_or_all_are_metals(formula, valid):
    assert composition_is_valid(Composition(formula)) is valid


def test_no_two_atoms_are_within_half_an_angstrom(made):
    assert geometry_is_valid(made['rutile'])
    assert not geometry_is_valid(Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0] * 3, [0, 0, 0.12]]))
    assert geometry_is_valid(Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0] * 3, [0, 0, 0.13]]))
    assert not geometry_is_valid(Structure(Lattice.cubic(0.45), ['Na'], [[0] * 3]))
