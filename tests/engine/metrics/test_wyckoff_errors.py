"""Tests of the error of the free coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics.wyckoff_errors import wyckoff_mse
from aiida_alphacrystal.engine.reconstruct.random_crystals import random_crystal

NAMES = ('rock salt', 'rutile', 'wurtzite', 'quartz', 'triclinic')


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_another_description_of_a_crystal_has_no_error(made, descriptions, name, data):
    assert wyckoff_mse(data.draw(descriptions(made[name])), made[name]) == pytest.approx(0, abs=1e-9)


def test_one_coordinate_by_hand():
    """Rutile: x of the oxygen moves in the two directions x and y of one site of two."""
    lattice = Lattice.tetragonal(4.6, 2.96)
    crystals = [
        Structure.from_spacegroup(136, lattice, ['Ti', 'O'], [[0] * 3, [x, x, 0]]) for x in (0.305, 0.305 + 0.03)
    ]
    expected = ((0.03**2 + 0.03**2) / 3 + 0) / 2
    assert wyckoff_mse(crystals[1], crystals[0]) == pytest.approx(expected, rel=1e-6)


def test_a_free_origin_is_put_where_the_error_is_smallest():
    """Wurtzite: only the distance of the two sites along z counts, and the best origin shares its error."""
    lattice = Lattice.hexagonal(3.82, 6.26)
    crystals = [
        Structure.from_spacegroup(186, lattice, ['Zn', 'S'], [[1 / 3, 2 / 3, z], [1 / 3, 2 / 3, z + u]])
        for z, u in ((0.0, 0.375), (0.21, 0.385))
    ]
    expected = 2 * (0.005**2 / 3) / 2
    assert wyckoff_mse(crystals[1], crystals[0]) == pytest.approx(expected, rel=1e-6)


def test_other_groups_and_other_orbits_have_no_error(made):
    assert wyckoff_mse(made['rock salt'], made['caesium chloride']) is None
    zinc_blende = Structure.from_spacegroup(216, Lattice.cubic(5.4), ['Na', 'Cl'], [[0] * 3, [0.25] * 3])
    assert wyckoff_mse(zinc_blende, made['rock salt']) is None
    lattice = Lattice.cubic(8)
    first = Structure.from_spacegroup(221, lattice, ['Na', 'Cl'], [[0] * 3, [0.2, 0, 0]])
    second = Structure.from_spacegroup(221, lattice, ['Na', 'Cl'], [[0] * 3, [0.2, 0.2, 0.2]])
    assert wyckoff_mse(first, second) is None


@pytest.mark.parametrize('spacegroup', [2, 5, 7, 15, 33, 59, 68, 88, 100, 121, 155, 161, 167, 182, 194, 205, 227])
def test_random_crystals_of_many_groups(descriptions, spacegroup):
    crystal = next(
        found
        for seed in range(20)
        if (found := random_crystal(spacegroup, ('Sr', 'O'), (4, 8), np.random.default_rng(seed))) is not None
    )

    @settings(max_examples=2, deadline=None)
    @given(other=descriptions(crystal))
    def check(other):
        assert wyckoff_mse(other, crystal) == pytest.approx(0, abs=1e-8)

    check()


@pytest.mark.parametrize('shift', [1e-4, 0.004, 0.01])
def test_a_small_shift_of_the_origin_is_no_error(made, shift):
    """With the tolerance of the symmetry, 0.1 A, atoms and origin would be moved against each other."""
    for name in NAMES:
        moved = made[name].copy()
        moved.translate_sites(list(range(len(moved))), [shift, -shift, 2 * shift])
        assert wyckoff_mse(moved, made[name]) == pytest.approx(0, abs=1e-10)
    centred = random_crystal(15, ('Sr', 'O'), (4, 8), np.random.default_rng(3))
    moved = centred.copy()
    moved.translate_sites(list(range(len(moved))), [shift, -shift, 2 * shift])
    assert wyckoff_mse(moved, centred) == pytest.approx(0, abs=1e-10)
