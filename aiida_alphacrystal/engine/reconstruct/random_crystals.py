"""Random symmetric crystals: what a search without any knowledge starts from.

They are made by pyxtal (S. Fredericks et al., Comput. Phys. Commun. 261, 107810, 2021,
https://doi.org/10.1016/j.cpc.2020.107810): a space group drawn from all that can hold the composition, atoms on random
Wyckoff positions with random free coordinates, a random lattice of a volume that fits the atoms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.reconstruct.candidates import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.composition import Formula

__all__ = ('random_candidates', 'random_crystal')

#: Space groups drawn for one crystal before it is given up.
_ATTEMPTS = 200


def random_candidates(formula: Formula, formula_units: int, number: int, seed: int) -> tuple[Candidate, ...]:
    """Draw random symmetric crystals of a composition.

    :param formula: the compound.
    :param formula_units: formula units in the primitive cell.
    :param number: how many crystals.
    :param seed: crystal ``i`` draws from (seed, i).
    :return: the crystals, without those that could not be made.
    """
    drawn = (_draw(formula, formula_units, seed, index) for index in range(number))
    return tuple(candidate for candidate in drawn if candidate is not None)


def _draw(formula: Formula, formula_units: int, seed: int, index: int) -> Candidate | None:
    """Draw one crystal, None where no attempt gives one."""
    numbers = [count * formula_units for count in formula.counts]
    generator = np.random.default_rng((seed, index))
    for _ in range(_ATTEMPTS):
        spacegroup = int(generator.integers(1, 231))
        structure = random_crystal(spacegroup, formula.elements, numbers, generator)
        if structure is not None:
            return Candidate(
                structure=structure,
                source='random',
                origin=f'random crystal {index} in space group {spacegroup}',
                spacegroup=spacegroup,
                formula_units=formula_units,
                cost=0.0,
                seed=seed,
            )
    return None


def random_crystal(
    spacegroup: int, elements: Sequence[str], numbers: Sequence[int], generator: np.random.Generator
) -> Structure | None:
    """Draw one crystal of a space group.

    :param spacegroup: international number.
    :param elements: its elements.
    :param numbers: atoms of each element in the primitive cell.
    :param generator: what it draws from.
    :return: the primitive cell, None where the space group cannot hold the atoms or they come too close.
    """
    from pyxtal import pyxtal
    from pyxtal.msg import Comp_CompatibilityError, VolumeError

    crystal = pyxtal()
    try:
        crystal.from_random(
            3, spacegroup, list(elements), list(numbers), conventional=False, max_count=3, random_state=generator
        )
    except (Comp_CompatibilityError, VolumeError, RuntimeError):  # the last is how it gives up
        return None
    structure: Structure = crystal.to_pymatgen().get_primitive_structure()
    if len(structure) != sum(numbers):
        return None
    return structure.get_sorted_structure(key=lambda site: elements.index(site.specie.symbol))
