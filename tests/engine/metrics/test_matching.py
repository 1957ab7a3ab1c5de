"""Tests of the match criterion."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics import (
    STRICT_RMS,
    first_match,
    normalised_rms,
    reduced_structure,
    structure_matcher,
)

TRICLINIC = Structure(
    Lattice.from_parameters(4.1, 5.2, 6.3, 78, 84, 96),
    ['Sr', 'Sr', 'Ti', 'O', 'O'],
    [[0.02, 0.05, 0.01], [0.48, 0.55, 0.12], [0.21, 0.81, 0.52], [0.74, 0.33, 0.63], [0.65, 0.12, 0.91]],
)
ROCK_SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
CAESIUM_CHLORIDE = Structure(Lattice.cubic(3.4), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
SQUARE = Structure(
    Lattice.tetragonal(20, 40), ['Li', 'Na', 'K', 'Rb'], [[0, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0], [0.5, 0, 0]]
)


def moved(structure, site, vector):
    """Return a structure with one atom moved by a vector in angstrom."""
    other = structure.copy()
    other.translate_sites([site], vector, frac_coords=False, to_unit_cell=False)
    return other


def rotation(axis, angle):
    """Return the matrix of a rotation."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def test_a_crystal_matches_itself():
    assert normalised_rms(TRICLINIC, TRICLINIC) == pytest.approx(0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1),
    angle=st.floats(0, 2 * math.pi),
    shift=st.tuples(*[st.floats(-2, 2)] * 3),
    scale=st.floats(0.8, 1.25),
    order=st.permutations(range(5)),
)
def test_motion_volume_and_the_order_of_the_atoms_do_not_matter(axis, angle, shift, scale, order):
    lattice = scale * TRICLINIC.lattice.matrix @ rotation(np.array(axis), angle).T
    other = Structure(
        lattice, [TRICLINIC[site].specie for site in order], TRICLINIC.frac_coords[list(order)] + np.array(shift)
    )
    assert normalised_rms(other, TRICLINIC) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize('scaling', [[2, 1, 1], [1, 2, 2], [[1, 1, 0], [0, 1, 0], [0, 0, 1]]])
def test_another_cell_of_the_same_crystal_matches(scaling):
    assert normalised_rms(TRICLINIC.make_supercell(scaling, in_place=False), TRICLINIC) == pytest.approx(0, abs=1e-5)


def test_primitive_and_conventional_cell_match():
    assert normalised_rms(ROCK_SALT.get_primitive_structure(), ROCK_SALT) == pytest.approx(0, abs=1e-5)


def test_the_displacement_is_that_of_the_atoms_per_cube_root_of_their_volume():
    """One of four atoms moves by d: about the best translation, the mean square is d²/4 - (d/4)²."""
    length = (SQUARE.volume / 4) ** (1 / 3)
    other = moved(SQUARE, 0, [0, 0, 0.2 * length])
    assert normalised_rms(other, SQUARE) == pytest.approx(0.2 * math.sqrt(3) / 4, rel=1e-6)
    assert normalised_rms(other, SQUARE) < STRICT_RMS


def test_the_mean_displacement_decides_and_not_the_largest():
    length = (SQUARE.volume / 4) ** (1 / 3)
    other = moved(SQUARE, 0, [0, 0, 0.7 * length])
    assert not StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10).fit(other, SQUARE)
    assert normalised_rms(other, SQUARE) == pytest.approx(0.7 * math.sqrt(3) / 4, rel=1e-6)


def test_other_crystals_do_not_match():
    assert normalised_rms(CAESIUM_CHLORIDE, ROCK_SALT) is None
    assert normalised_rms(TRICLINIC, ROCK_SALT) is None
    swapped = ROCK_SALT.copy()
    swapped.replace_species({'Na': 'K'})
    assert normalised_rms(swapped, ROCK_SALT) is None


def test_the_first_match_is_a_rank_and_ends_the_search():
    def candidates():
        yield CAESIUM_CHLORIDE
        yield ROCK_SALT
        pytest.fail('asked for a candidate after the match')

    assert first_match(candidates(), ROCK_SALT) == 2
    assert first_match([CAESIUM_CHLORIDE], ROCK_SALT) is None
    assert first_match([], ROCK_SALT) is None


def test_a_reduced_structure_is_compared_as_the_structure_itself():
    lattice = Lattice.from_parameters(4.6, 4.7, 3.0, 90.0, 90.0, 90.0)
    rutile = Structure.from_spacegroup(
        'P4_2/mnm', Lattice.tetragonal(4.6, 3.0), ['Ti', 'O'], [[0, 0, 0], [0.3, 0.3, 0]]
    )
    other = Structure(lattice, rutile.species, rutile.frac_coords + 0.01) * [[1, 1, 0], [0, 1, 0], [0, 0, 2]]
    reduced = reduced_structure(other)
    assert (len(other), len(reduced)) == (12, 6)
    far = Structure(lattice, rutile.species, rutile.frac_coords**2)
    matcher = structure_matcher()
    for first, second, same in ((rutile, other, True), (rutile, far, False)):
        pair = reduced_structure(first), reduced_structure(second)
        assert matcher.fit(*pair, skip_structure_reduction=True) == matcher.fit(first, second) == same
