"""What is drawn of a crystal."""

from __future__ import annotations

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from aiida_alphacrystal.engine.diffraction import powder_pattern
from aiida_alphacrystal.report.page.crystals import draw_crystal, draw_elements, draw_pattern
from aiida_alphacrystal.report.prediction import structure_to_cif


def test_both_cells_are_the_crystal(structures):
    for structure in structures:
        drawn = draw_crystal(structure, structure_to_cif(structure))
        for cell in (drawn.primitive, drawn.conventional):
            read = Structure.from_str(cell['cif'], 'cif')
            assert StructureMatcher(scale=False, primitive_cell=True).fit(read, structure)
            shown = Structure(cell['lattice'], cell['species'], cell['coords'])
            assert StructureMatcher(scale=False).get_rms_dist(shown, read)[0] == pytest.approx(0, abs=1e-4)


def test_the_conventional_cell_of_rock_salt(structures):
    drawn = draw_crystal(structures[0], structure_to_cif(structures[0]))
    assert (len(drawn.primitive['species']), len(drawn.conventional['species'])) == (2, 8)
    assert drawn.conventional['lattice'] == [[5.64, 0, 0], [0, 5.64, 0], [0, 0, 5.64]]


def test_elements():
    drawn = draw_elements(['O', 'Sr', 'O', 'He'])
    assert list(drawn['styles']) == ['He', 'O', 'Sr']
    assert drawn['styles']['O'] == {'colour': '#ff0d0d', 'radius': 0.66, 'electronegativity': 3.44}
    assert drawn['styles']['He']['electronegativity'] == 0
    assert drawn['bonds']['factor'] == 1.15


def test_patterns_are_short(structures):
    lines = draw_pattern(powder_pattern(structures[1]))
    angle, intensity, spacing, indices = max(lines, key=lambda line: line[1])
    assert (intensity, indices) == (100.0, '1 1 0')
    assert spacing == pytest.approx(3.5 / 2**0.5, abs=1e-4)
    assert angle == pytest.approx(36.3, abs=0.1)
