"""The known compounds of a chemical system, built again from the prototype library."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure
from pymatgen.core.periodic_table import Element

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('KnownCompound', 'known_compounds')

#: Crystals of one composition that are built, the most stable ones.
_MOST_POLYMORPHS = 2
#: Energy above the hull (eV/atom) beyond which a crystal does not decide about the stability of others.
_MAX_ABOVE_HULL = 0.1


@dataclasses.dataclass(frozen=True)
class KnownCompound:
    """A compound that is known, with a crystal to begin a relaxation from.

    :param formula: reduced formula.
    :param structure: the prototype with the elements and the volume of the compound.
    :param spacegroup: of the prototype.
    """

    formula: str
    structure: Structure
    spacegroup: int


def known_compounds(library: PrototypeLibrary, elements: Iterable[str]) -> tuple[KnownCompound, ...]:
    """Return crystals of the known compounds of two or more of some elements, by formula, the most stable first.

    The library keeps the arrangement of one crystal for all compounds of a prototype, so the coordinates of most are
    those of another compound: relax them before you compare energies.

    :param library: the prototypes and their compounds.
    :param elements: the symbols of a chemical system.
    :return: of each composition the two most stable crystals, none of which is more than 0.1 eV/atom above the hull.
    """
    numbers = [Element(symbol).Z for symbol in elements]
    rows = library.member_elements
    inside = np.isin(rows, [0, *numbers]).all(axis=1) & ((rows > 0).sum(axis=1) > 1)
    inside &= library.member_hulls <= _MAX_ABOVE_HULL
    found: dict[str, list[KnownCompound]] = collections.defaultdict(list)
    for member in sorted(np.flatnonzero(inside).tolist(), key=lambda member: (library.member_hulls[member], member)):
        compound = _build(library, member)
        polymorphs = found[compound.formula]
        if len(polymorphs) < _MOST_POLYMORPHS:
            polymorphs.append(compound)
    return tuple(compound for formula in sorted(found) for compound in found[formula])


def _build(library: PrototypeLibrary, member: int) -> KnownCompound:
    """Build the crystal of a compound of the library."""
    prototype = library.prototype(int(library.member_prototypes[member]))
    symbols = [Element.from_Z(int(number)).symbol for number in library.member_elements[member] if number]
    lattice = prototype.lattice * float(library.member_volumes[member]) ** (1 / 3)
    structure = Structure(lattice, [symbols[slot] for slot in prototype.slots], prototype.frac_coords)
    return KnownCompound(structure.composition.reduced_formula, structure, prototype.spacegroup)
