"""What becomes of a structure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.dataset_building import UnusableError, crystal_row, primitive_crystal
from aiida_alphacrystal.engine.dataset_building.crystals import finite_number
from aiida_alphacrystal.engine.datasets import read_line

from .conftest import caesium_chloride, rock_salt

FIELDS = [
    'material_id',
    'formula',
    'nsites',
    'spacegroup',
    'lattice',
    'species',
    'frac_coords',
    'formation_energy_per_atom',
    'e_above_hull',
]


def test_a_conventional_cell_becomes_primitive():
    crystal = primitive_crystal(rock_salt(5.64, 'Na', 'Cl'), 'salt', -2.1, 0.0)
    assert (crystal.material_id, crystal.natoms, crystal.spacegroup) == ('salt', 2, 225)
    assert crystal.volume == pytest.approx(5.64**3 / 4)
    assert (crystal.formation_energy_per_atom, crystal.e_above_hull) == (-2.1, 0.0)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=3, max_size=3).filter(
        lambda rows: 1 <= abs(round(np.linalg.det(rows))) <= 4
    ),
    shift=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_any_cell_of_a_crystal_gives_the_same(rows, shift):
    structure = caesium_chloride(4.12, 'Cs', 'Cl').make_supercell(rows, in_place=False)
    structure.translate_sites(range(len(structure)), shift)
    crystal = primitive_crystal(structure, 'any')
    assert (crystal.natoms, crystal.spacegroup) == (2, 221)
    assert crystal.volume == pytest.approx(4.12**3)


def test_a_row_has_the_fields_of_the_files_and_reads_back():
    crystal = primitive_crystal(rock_salt(5.64, 'Na', 'Cl'), 'salt', -2.1)
    row = crystal_row(crystal)
    assert list(row) == FIELDS
    assert (row['formula'], row['nsites'], row['e_above_hull']) == ('Na1Cl1', 2, None)
    again = read_line(json.dumps(row), 'row')
    np.testing.assert_allclose(again.lattice, crystal.lattice, atol=1e-8)
    assert crystal_row(again) == row


def test_oxidation_states_are_left_behind():
    structure = rock_salt(5.64, 'Na', 'Cl').add_oxidation_state_by_element({'Na': 1, 'Cl': -1})
    assert sorted(primitive_crystal(structure, 'ions').species) == ['Cl', 'Na']


@pytest.mark.parametrize(
    ('structure', 'reason'),
    [
        (Structure(Lattice.cubic(4), [{'Cu': 0.5, 'Au': 0.5}], [[0] * 3]), 'several elements share a site'),
        (Structure(Lattice.cubic(4), [{'Cu': 0.5}], [[0] * 3]), 'a site is only partly occupied'),
        (Structure(Lattice.cubic(4), ['D', 'Li'], [[0] * 3, [0.5] * 3]), 'the isotope D in place of an element'),
        (Structure(Lattice.cubic(4), ['Po'], [[0] * 3]), 'the element Po is not known'),
        (Structure(Lattice.cubic(4), ['X'], [[0] * 3]), 'the element X is not known'),
        (Structure(Lattice.cubic(4), [], []), 'no atoms'),
        (Structure([[1, 0, 0], [2, 0, 0], [0, 0, 1]], ['Na'], [[0] * 3]), 'a lattice without volume'),
        (Structure(Lattice.cubic(4), ['Na'], [[float('nan')] * 3]), 'numbers that are not finite'),
        (Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0] * 3, [0.1, 0, 0]]), 'atoms closer than 0.5 angstrom'),
        (
            Structure(Lattice.cubic(4), ['Na', 'Na'], [[0] * 3, [0.01, 0, 0]]),
            'no symmetry can be found, as where atoms overlap',
        ),
    ],
)
def test_unusable(structure, reason):
    with pytest.raises(UnusableError) as error:
        primitive_crystal(structure, 'bad')
    assert str(error.value) == reason


def test_numbers():
    assert [finite_number(value) for value in (1, -0.5, True, None, '1', float('nan'), float('inf'))] == [
        1.0,
        -0.5,
        None,
        None,
        None,
        None,
        None,
    ]
