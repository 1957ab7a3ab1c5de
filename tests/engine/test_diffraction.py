"""Powder patterns of crystals that textbooks have."""

from __future__ import annotations

import math

import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.diffraction import TWO_THETA_RANGE, WAVELENGTH, powder_pattern


@pytest.fixture
def rock_salt():
    return Structure.from_spacegroup(225, Lattice.cubic(5.6402), ['Na', 'Cl'], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_rock_salt(rock_salt):
    lines = {line.indices: line for line in powder_pattern(rock_salt)}
    angles = {indices: line.two_theta for indices, line in lines.items()}
    # the powder diffraction file of halite, 5-628, measured with Cu K-alpha 1
    assert angles[1, 1, 1] == pytest.approx(27.33, abs=0.1)
    assert angles[2, 0, 0] == pytest.approx(31.69, abs=0.1)
    assert angles[2, 2, 0] == pytest.approx(45.45, abs=0.1)
    assert lines[2, 0, 0].intensity == 100
    assert lines[2, 2, 0].intensity == pytest.approx(60, abs=8)


def test_lines_obey_bragg_and_the_lattice(rock_salt):
    lines = powder_pattern(rock_salt)
    assert [line.two_theta for line in lines] == sorted(line.two_theta for line in lines)
    for line in lines:
        assert 2 * line.spacing * math.sin(math.radians(line.two_theta / 2)) == pytest.approx(WAVELENGTH)
        assert line.spacing == pytest.approx(5.6402 / math.hypot(*line.indices))
        assert len({index % 2 for index in line.indices}) == 1  # centred on the faces
        assert TWO_THETA_RANGE[0] <= line.two_theta <= TWO_THETA_RANGE[1]
        assert 0.01 <= line.intensity <= 100


def test_hexagonal_lines_have_three_indices():
    zinc = Structure.from_spacegroup(194, Lattice.hexagonal(2.66, 4.95), ['Zn'], [[1 / 3, 2 / 3, 0.25]])
    strongest = max(powder_pattern(zinc), key=lambda line: line.intensity)
    assert sorted(map(abs, strongest.indices)) == [0, 1, 1]


def test_the_primitive_cell_gives_the_same_angles(rock_salt):
    angles = [line.two_theta for line in powder_pattern(rock_salt.get_primitive_structure())]
    assert angles == pytest.approx([line.two_theta for line in powder_pattern(rock_salt)])
