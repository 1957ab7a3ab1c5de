"""Which crystals belong into a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.symmetry import crystal_system

__all__ = ('PRESETS', 'Filters')

#: The sets of the AlphaCrystal-II paper, and what each asks for.
PRESETS = {
    'mp12': 'at most 12 atoms in the primitive cell',
    'cubic': 'cubic crystals',
    'binary': 'two elements',
    'ternary': 'three elements',
}

_NUMBER_OF_ELEMENTS = {'binary': 2, 'ternary': 3}


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which crystals are taken.

    :param max_atoms: in the primitive cell.
    :param cubic: whether only cubic crystals are taken.
    :param elements: numbers of elements that are taken; all of them where it is empty.
    :param max_above_hull: highest energy above the hull, eV/atom; any where it is None.
    """

    max_atoms: int = DEFAULT_MAX_ATOMS
    cubic: bool = False
    elements: tuple[int, ...] = ()
    max_above_hull: float | None = None

    @classmethod
    def from_presets(
        cls, presets: Iterable[str], max_atoms: int = DEFAULT_MAX_ATOMS, max_above_hull: float | None = None
    ) -> Filters:
        """Return the filters that several presets make together; of two numbers of elements both are taken.

        :param presets: names of ``PRESETS``.
        :param max_atoms: in the primitive cell.
        :param max_above_hull: highest energy above the hull, eV/atom; any where it is None.
        :raises SettingsError: if there is no such preset.
        """
        names = set(presets)
        if unknown := sorted(names - PRESETS.keys()):
            raise SettingsError(f'{unknown[0]!r} is no preset: give {", ".join(PRESETS)}.')
        return cls(
            max_atoms=min(max_atoms, 12) if 'mp12' in names else max_atoms,
            cubic='cubic' in names,
            elements=tuple(number for name, number in _NUMBER_OF_ELEMENTS.items() if name in names),
            max_above_hull=max_above_hull,
        )

    def describe(self) -> dict[str, Any]:
        """Return the filters as plain values."""
        return dataclasses.asdict(self) | {'elements': list(self.elements)}

    def refusal(self, crystal: Crystal) -> str | None:
        """Return why a crystal is not taken, or None where it is.

        :param crystal: in its primitive cell, its space group known.
        """
        if crystal.natoms > self.max_atoms:
            return f'more than {self.max_atoms} atoms in the primitive cell'
        if self.elements and len(set(crystal.species)) not in self.elements:
            return f'not of {" or ".join(map(str, self.elements))} elements'
        if self.cubic and (crystal.spacegroup is None or crystal_system(crystal.spacegroup) != 'cubic'):
            return 'not cubic'
        if self.max_above_hull is None:
            return None
        if crystal.e_above_hull is None:
            return 'energy above the hull not known'
        return (
            None
            if crystal.e_above_hull <= self.max_above_hull
            else f'above the hull by over {self.max_above_hull:g} eV/atom'
        )
