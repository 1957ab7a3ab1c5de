"""Powder diffraction patterns of crystals."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('RADIATION', 'TWO_THETA_RANGE', 'WAVELENGTH', 'Reflection', 'powder_pattern')

#: The radiation of most laboratory instruments: copper K-alpha, weighted mean of both lines, A.
RADIATION, WAVELENGTH = 'Cu K-alpha', 1.54184

#: Scattering angles that are looked at, degrees.
TWO_THETA_RANGE = (5.0, 90.0)

#: Reflections weaker than this, relative to the strongest one, are left out.
_WEAKEST = 1e-4


@dataclasses.dataclass(frozen=True)
class Reflection:
    """One line of a powder pattern.

    :param two_theta: scattering angle, degrees.
    :param intensity: relative to the strongest line, which has 100.
    :param spacing: of the lattice planes, A.
    :param indices: Miller indices of one of the families of planes that give the line, in the cell that was given.
    """

    two_theta: float
    intensity: float
    spacing: float
    indices: tuple[int, int, int]


def powder_pattern(structure: Structure) -> tuple[Reflection, ...]:
    """Return the powder pattern of a crystal, by ascending angle.

    Kinematic intensities of atoms at rest with the Lorentz-polarisation factor, as pymatgen computes them.

    :param structure: the crystal; the indices refer to its cell.
    """
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    pattern = XRDCalculator(wavelength=WAVELENGTH).get_pattern(structure, two_theta_range=TWO_THETA_RANGE)
    lines = zip(pattern.x, pattern.y, pattern.d_hkls, pattern.hkls, strict=True)
    return tuple(
        Reflection(float(angle), float(intensity), float(spacing), _three_indices(families[0]['hkl']))
        for angle, intensity, spacing, families in lines
        if intensity >= 100 * _WEAKEST
    )


def _three_indices(indices: tuple[int, ...]) -> tuple[int, int, int]:
    """Return Miller indices; hexagonal crystals come with four, of which the third follows from the first two."""
    return int(indices[0]), int(indices[1]), int(indices[-1])
