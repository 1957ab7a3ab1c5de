"""Tests of the comparison as a calcfunction."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.calcfunctions import compare
from aiida_alphacrystal.data import PotentialData
from aiida_alphacrystal.engine.relax import resolve_potential

from .conftest import parameters_of


def salt(a):
    sites = [[0] * 3, [0.5] * 3]
    return orm.StructureData(pymatgen=Structure.from_spacegroup(225, Lattice.cubic(a), ['Na', 'Cl'], sites))


@pytest.mark.usefixtures('aiida_profile')
def test_nodes_in_and_a_node_out():
    potential = PotentialData.from_files(resolve_potential('chgnet').files)
    found = compare(salt(5.8), salt(5.64), parameters_of('compare'), potential)
    assert found['match'] is True
    assert found['energy_distance'] > 0
    assert found['superpose_distance'] == pytest.approx((5.8 - 5.64) / 4, rel=1e-3)
    assert found['wyckoff_rmse'] == pytest.approx(0, abs=1e-9)
    assert found['reasons'] == {}


@pytest.mark.usefixtures('aiida_profile')
def test_without_a_potential():
    found = compare(salt(5.64), salt(5.64), parameters_of('compare'))
    assert found['energy_distance'] is None
    assert found['reasons'] == {'energy_distance': 'No potential was given.'}


@pytest.mark.usefixtures('aiida_profile')
def test_other_compositions_have_an_exit_code():
    sites = [[0] * 3, [0.5] * 3]
    oxide = orm.StructureData(pymatgen=Structure.from_spacegroup(225, Lattice.cubic(4.2), ['Mg', 'O'], sites))
    _, node = run_get_node(compare, predicted=oxide, truth=salt(5.64), parameters=parameters_of('compare'))
    assert node.exit_status == 310
    assert 'MgO cannot be compared with NaCl' in node.exit_message
