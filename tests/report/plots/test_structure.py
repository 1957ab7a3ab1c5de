"""The picture of a crystal."""

from __future__ import annotations

import collections

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.report.plots import draw_structure
from aiida_alphacrystal.report.plots.style import COLOURS

ROCK_SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])


def atoms(figure):
    """Count the circles of each colour."""
    circles = [patch for patch in figure.axes[0].patches if isinstance(patch, Circle)]
    return collections.Counter(to_hex(circle.get_facecolor()).upper() for circle in circles)


def test_conventional_cell_with_all_its_faces():
    figure = draw_structure(ROCK_SALT.get_primitive_structure(), 'NaCl, rank 1: Fm-3m (225)')
    (axes,) = figure.axes
    assert axes.get_title() == 'NaCl, rank 1: Fm-3m (225)'
    counts = atoms(figure)
    assert counts.keys() == set(COLOURS[:2])
    assert sorted(counts.values()) == [13, 14]  # edges and the middle; corners and faces
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ['Na (4)', 'Cl (4)']
    assert [to_hex(line.get_color()).upper() for line in legend.get_lines()] == list(COLOURS[:2])
    (cell,) = axes.texts
    assert cell.get_text() == 'a = 5.64, b = 5.64, c = 5.64 Å\nα = 90.0°, β = 90.0°, γ = 90.0°'  # noqa: RUF001


def test_atoms_just_outside_of_a_face_are_on_it():
    slightly = Structure(Lattice.orthorhombic(4, 5, 6), ['Na', 'Cl'], [[0.999, 0.3, 0.4], [0.45, 0.62, 0.17]])
    assert atoms(draw_structure(slightly, '')) == {COLOURS[0]: 2, COLOURS[1]: 1}


@pytest.mark.parametrize('elements', [1, 6, 9])
def test_every_element_has_a_place_in_the_legend(elements):
    symbols = ['Li', 'Fe', 'P', 'O', 'Na', 'Cl', 'Sr', 'Ti', 'Cu'][:elements]
    places = [[0.1 + 0.8 * number / elements, 0.3, 0.2] for number in range(elements)]
    figure = draw_structure(Structure(Lattice.orthorhombic(20, 5, 6), symbols, places), '')
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert sorted(labels) == sorted(f'{symbol} (1)' for symbol in symbols)


def test_nothing_of_the_text_is_cut_off(inked):
    figure = draw_structure(ROCK_SALT, 'Li12Fe12P12O48, rank 10: Pnma (62)')
    width, height = figure.canvas.get_width_height()
    for text, box in inked(figure):
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
