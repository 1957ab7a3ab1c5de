"""Find crystals that are the same."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.progress import report

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher

__all__ = ('without_duplicates',)


def without_duplicates(crystals: Sequence[Crystal]) -> tuple[Crystal, ...]:
    """Return the crystals without those that another one stands for, in the order in which they were given.

    Two are the same if they have the reduced formula, the number of atoms and the space group in common and pymatgen's
    ``StructureMatcher`` matches them with its default tolerances. The one of lowest energy is kept, the first one where
    none is lower.

    :param crystals: each in its primitive cell.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    alike: dict[tuple[str, int, int | None], list[int]] = defaultdict(list)
    for place, crystal in enumerate(crystals):
        alike[crystal.formula.reduced, crystal.natoms, crystal.spacegroup].append(place)
    matcher = StructureMatcher(primitive_cell=False)  # they are primitive already
    kept: list[int] = []
    for done, places in enumerate(alike.values(), start=1):
        kept += _distinct(crystals, places, matcher) if len(places) > 1 else places
        report('duplicates', done, len(alike))
    return tuple(crystals[place] for place in sorted(kept))


def _distinct(crystals: Sequence[Crystal], places: Sequence[int], matcher: StructureMatcher) -> list[int]:
    """Return the places of the crystals that differ, those of low energy before others."""
    structures = {place: crystals[place].to_structure() for place in places}
    kept: list[int] = []
    for place in sorted(places, key=lambda place: (*_energies(crystals[place]), place)):
        if not any(matcher.fit(structures[place], structures[other]) for other in kept):
            kept.append(place)
    return kept


def _energies(crystal: Crystal) -> tuple[float, float]:
    """Return what crystals of one formula are ordered by; energies that are not known come last."""
    energies = (crystal.formation_energy_per_atom, crystal.e_above_hull)
    first, second = (math.inf if energy is None else energy for energy in energies)
    return first, second
