"""What the page needs to draw a crystal."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.symmetry import conventional_cell

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.diffraction import Reflection

__all__ = ('BOND_FACTOR', 'Crystal', 'draw_crystal', 'draw_elements', 'draw_pattern')

#: Atoms closer than this times the sum of their covalent radii are joined by a stick.
BOND_FACTOR = 1.15

#: Where elements of a compound differ by this much in electronegativity (Pauling), only such ones are joined.
_POLAR = 0.8

#: Elements at least this electronegative are joined to each other all the same, as in a carbonate.
_NONMETAL = 2.0

#: Digits of coordinates, angles and intensities; nobody sees more of them in a picture.
_DIGITS = 5


@dataclasses.dataclass(frozen=True)
class Crystal:
    """A crystal in two cells, ready for JSON.

    :param primitive: the cell that was calculated: ``lattice`` (rows, A), ``species``, ``coords`` (fractional) and
        ``cif``.
    :param conventional: the same for the conventional cell in the standard setting.
    """

    primitive: dict[str, Any]
    conventional: dict[str, Any]


def draw_crystal(structure: Structure, cif: str) -> Crystal:
    """Return a crystal as the page draws it.

    :param structure: the crystal in the cell that was calculated.
    :param cif: the same as a CIF file.
    """
    from aiida_alphacrystal.report.prediction import structure_to_cif

    conventional = conventional_cell(structure)
    return Crystal(_cell(structure, cif), _cell(conventional, structure_to_cif(conventional)))


def _cell(structure: Structure, cif: str) -> dict[str, Any]:
    return {
        'lattice': structure.lattice.matrix.round(_DIGITS).tolist(),
        'species': [site.specie.symbol for site in structure],
        'coords': structure.frac_coords.round(_DIGITS).tolist(),
        'cif': cif,
    }


def draw_pattern(reflections: Iterable[Reflection]) -> list[list[Any]]:
    """Return a powder pattern in short: angle (degrees), intensity (percent), spacing (A) and indices of each line.

    :param reflections: by ascending angle.
    """
    return [
        [round(line.two_theta, 3), round(line.intensity, 2), round(line.spacing, 4), ' '.join(map(str, line.indices))]
        for line in reflections
    ]


def draw_elements(symbols: Iterable[str]) -> dict[str, Any]:
    """Return how elements are drawn, and the rule by which two atoms are joined by a stick.

    :param symbols: of the elements.
    """
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    styles = {
        symbol: {
            'colour': _hexadecimal(jmol_colors[atomic_numbers[symbol]]),
            'radius': round(float(covalent_radii[atomic_numbers[symbol]]), 2),
            'electronegativity': _electronegativity(symbol),
        }
        for symbol in sorted(set(symbols))
    }
    return {'styles': styles, 'bonds': {'factor': BOND_FACTOR, 'polar': _POLAR, 'nonmetal': _NONMETAL}}


def _electronegativity(symbol: str) -> float:
    """Return the electronegativity of an element (Pauling), zero where none is known."""
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of noble gases, which have none
        value = Element(symbol).X
    return float(value) if math.isfinite(value) else 0.0


def _hexadecimal(colour: Iterable[float]) -> str:
    return '#' + ''.join(f'{round(255 * part):02x}' for part in colour)
