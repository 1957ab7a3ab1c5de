"""Corrections that bring bare PBE energies of compounds to the scale of measured formation enthalpies.

A potential that was trained on the energies of a database before its corrections, such as M3GNet-MP-2021.2.8, gives
oxides, halides and the like too high a formation energy against the elements, and compounds that were computed with a
Hubbard U an energy on another scale. The correction scheme of the database mends both: A. Wang et al., Scientific
Reports 11, 15496, 2021, https://doi.org/10.1038/s41598-021-94550-5, as pymatgen has it.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('MP2020', 'NO_CORRECTIONS', 'energy_correction')

#: The energies of the potential are corrected ones already, or nothing is known about them.
NO_CORRECTIONS = 'none'

#: The scheme of the Materials Project, for energies with and without U as its calculations mix them.
MP2020 = 'MP2020'


def energy_correction(structure: Structure, scheme: str) -> float:
    """Return what is to be added to the energy of a crystal, eV/atom.

    It follows from the composition and, for oxides, from how near oxygen atoms are to each other (peroxides).

    :param structure: ordered crystal.
    :param scheme: ``MP2020`` or ``none``.
    :raises ValueError: if there is no such scheme.
    """
    if scheme == NO_CORRECTIONS:
        return 0.0
    if scheme != MP2020:
        raise ValueError(f'There is no scheme of corrections {scheme!r}: give {MP2020} or {NO_CORRECTIONS}.')
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    entry = ComputedStructureEntry(structure, 0.0, parameters=_parameters(structure))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        adjustments = _materials_project().get_adjustments(entry)
    return math.fsum(adjustment.value for adjustment in adjustments) / len(structure)


def _parameters(structure: Structure) -> dict[str, Any]:
    """Return how the database would have computed a crystal: with U for some metals beside oxygen or fluorine."""
    elements = [element.symbol for element in structure.composition.elements]
    anion = next((element for element in ('F', 'O') if element in elements), None)
    with_u = {} if anion is None else _materials_project().u_settings[anion]
    hubbards = {element: with_u.get(element, 0.0) for element in elements}
    if not any(hubbards.values()):
        return {'run_type': 'GGA', 'is_hubbard': False, 'hubbards': {}}
    return {'run_type': 'GGA+U', 'is_hubbard': True, 'hubbards': hubbards}


@functools.cache
def _materials_project() -> Any:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    return MaterialsProject2020Compatibility(check_potcar=False)
