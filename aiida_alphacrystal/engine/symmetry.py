"""The symmetry of a crystal, found by spglib.

A. Togo, K. Shinohara, I. Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822, 2024,
https://doi.org/10.1080/27660400.2024.2384822.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import spglib

from aiida_alphacrystal.engine.settings import CRYSTAL_SYSTEMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = (
    'SYMMETRY_TOLERANCE',
    'conventional_cell',
    'crystal_system',
    'primitive_cell',
    'spacegroup_of',
    'spglib_cell',
    'standard_primitive',
    'symmetry_operations',
)

#: Tolerance in A within which the space group is looked for, as in the training data.
SYMMETRY_TOLERANCE = 0.1


def crystal_system(spacegroup: int) -> str:
    """Return the crystal system of a space group, one of ``CRYSTAL_SYSTEMS``.

    :param spacegroup: international number.
    """
    return next(system for system, last in CRYSTAL_SYSTEMS.items() if spacegroup <= last)


def spacegroup_of(structure: Structure) -> tuple[int, str]:
    """Return number and symbol of the space group within ``SYMMETRY_TOLERANCE``.

    :param structure: the crystal.
    """
    dataset = spglib.get_symmetry_dataset(spglib_cell(structure), symprec=SYMMETRY_TOLERANCE)
    return (1, 'P1') if dataset is None else (int(dataset.number), str(dataset.international))


def symmetry_operations(structure: Structure, tolerance: float) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
    """Return the operations of the space group that a crystal has within a tolerance.

    :param structure: the crystal.
    :param tolerance: how far atoms may be from where the symmetry puts them, A.
    :return: rotations, (operations, 3, 3), and translations, (operations, 3), that act on fractional coordinates as
        columns; None where spglib finds no symmetry.
    """
    dataset = spglib.get_symmetry_dataset(spglib_cell(structure), symprec=tolerance)
    return None if dataset is None else (dataset.rotations, dataset.translations)


def standard_primitive(structure: Structure, tolerance: float) -> Structure | None:
    """Return the standard primitive cell with the exact symmetry that a crystal has within a tolerance.

    :param structure: the crystal.
    :param tolerance: how far atoms may be from where the symmetry puts them, A.
    :return: None where spglib finds no symmetry.
    """
    return _standard_cell(structure, tolerance, primitive=True)


def primitive_cell(structure: Structure) -> Structure:
    """Return a primitive cell of a crystal, lattice and atoms where they are.

    :param structure: the crystal; it is returned itself where no smaller cell repeats within ``SYMMETRY_TOLERANCE``.
    :return: the atoms of each element together, the elements in their order.
    """
    reduced = _standard_cell(structure, SYMMETRY_TOLERANCE, primitive=True, exact=False)
    if reduced is None or len(reduced) >= len(structure):
        return structure
    elements = list(dict.fromkeys(site.specie for site in structure))
    return reduced.get_sorted_structure(key=lambda site: elements.index(site.specie))


def conventional_cell(structure: Structure) -> Structure:
    """Return the standard conventional cell with the symmetry that a crystal has within ``SYMMETRY_TOLERANCE``.

    :param structure: the crystal; it is returned as it is where spglib finds no symmetry.
    """
    return _standard_cell(structure, SYMMETRY_TOLERANCE, primitive=False) or structure


def _standard_cell(structure: Structure, tolerance: float, *, primitive: bool, exact: bool = True) -> Structure | None:
    """Return a standard cell, its symmetry made exact or not, or None where spglib finds no symmetry."""
    from pymatgen.core import Element, Structure

    cell = spglib_cell(structure)
    standard = spglib.standardize_cell(cell, to_primitive=primitive, no_idealize=not exact, symprec=tolerance)
    if standard is None:
        return None
    lattice, positions, numbers = standard
    return Structure(lattice, [Element.from_Z(int(number)) for number in numbers], positions)


def spglib_cell(structure: Structure) -> tuple[list[list[float]], list[list[float]], list[int]]:
    """Return a crystal as spglib takes it: lattice, fractional coordinates, atomic numbers.

    :param structure: the crystal.
    """
    numbers = [site.specie.Z for site in structure]
    return structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), numbers
