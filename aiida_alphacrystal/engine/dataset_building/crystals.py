"""Make a known crystal out of a structure, or say why none can be made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.features import supported_elements
from aiida_alphacrystal.engine.symmetry import SYMMETRY_TOLERANCE, spacegroup_of, standard_primitive

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('UnusableError', 'crystal_row', 'finite_number', 'primitive_crystal')

#: Structures with atoms closer than this are mistakes, A; those of the hydrogen molecule are 0.74 A apart.
_CLOSEST = 0.5

#: Cells smaller than this are mistakes, cubic angstrom.
_SMALLEST = 1e-3

_ISOTOPES = frozenset({'D', 'T'})

#: Decimals of the lattice (A) and of the fractional coordinates in a file.
_DECIMALS = 8


class UnusableError(Exception):
    """An entry is no crystal that can be used; the message says why, without naming the entry."""


def primitive_crystal(
    structure: Structure,
    material_id: str,
    formation_energy_per_atom: float | None = None,
    e_above_hull: float | None = None,
) -> Crystal:
    """Return a structure as a crystal in its standard primitive cell.

    The symmetry that the structure has within ``SYMMETRY_TOLERANCE`` becomes exact.

    :param structure: any structure.
    :param material_id: name of the crystal.
    :param formation_energy_per_atom: eV/atom, or None where it is not known.
    :param e_above_hull: energy above the convex hull, eV/atom, or None where it is not known.
    :raises UnusableError: if it is no ordered crystal of known elements, or atoms overlap.
    """
    if reason := _why_not(structure):
        raise UnusableError(reason)
    primitive = standard_primitive(structure, SYMMETRY_TOLERANCE)
    if primitive is None:
        raise UnusableError('no symmetry can be found, as where atoms overlap')
    if not primitive.is_valid(_CLOSEST):
        raise UnusableError(f'atoms closer than {_CLOSEST} angstrom')
    return Crystal(
        material_id=material_id,
        lattice=primitive.lattice.matrix,
        species=tuple(site.specie.symbol for site in primitive),
        frac_coords=primitive.frac_coords,
        spacegroup=spacegroup_of(primitive)[0],
        formation_energy_per_atom=formation_energy_per_atom,
        e_above_hull=e_above_hull,
    )


def crystal_row(crystal: Crystal) -> dict[str, Any]:
    """Return a crystal as the line of a file holds it.

    :param crystal: the crystal.
    """
    formula = crystal.formula
    units = formula.formula_units or 1
    counts = zip(formula.elements, formula.counts, strict=True)
    return {
        'material_id': crystal.material_id,
        'formula': ''.join(f'{symbol}{count * units}' for symbol, count in counts),
        'nsites': crystal.natoms,
        'spacegroup': crystal.spacegroup,
        'lattice': _rounded(crystal.lattice),
        'species': list(crystal.species),
        'frac_coords': _rounded(crystal.frac_coords),
        'formation_energy_per_atom': crystal.formation_energy_per_atom,
        'e_above_hull': crystal.e_above_hull,
    }


def finite_number(value: Any) -> float | None:
    """Return a number that a source states, None where it is missing or no finite number.

    :param value: whatever the source holds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _why_not(structure: Structure) -> str | None:
    """Return why a structure is no ordered crystal of known elements, or None."""
    if any(len(site.species) > 1 for site in structure):
        return 'several elements share a site'
    if not structure.is_ordered:
        return 'a site is only partly occupied'
    if isotopes := sorted({_name(site.specie) for site in structure} & _ISOTOPES):
        return f'the isotope {isotopes[0]} in place of an element'
    if unknown := sorted({site.specie.symbol for site in structure} - supported_elements()):
        return f'the element {unknown[0]} is not known'
    return _why_not_cell(structure) if len(structure) else 'no atoms'


def _why_not_cell(structure: Structure) -> str | None:
    """Return why lattice and coordinates cannot be used, or None."""
    if not np.isfinite(structure.lattice.matrix).all() or not np.isfinite(structure.frac_coords).all():
        return 'numbers that are not finite'
    return 'a lattice without volume' if abs(structure.volume) < _SMALLEST else None


def _name(species: Any) -> str:
    """Return what a site was called, which pymatgen keeps where the symbol is already that of the element."""
    return str(getattr(getattr(species, 'element', species), 'name', species.symbol))


def _rounded(array: Any) -> list[list[float]]:
    rounded: list[list[float]] = (np.round(array, _DECIMALS) + 0.0).tolist()  # no negative zeros
    return rounded
