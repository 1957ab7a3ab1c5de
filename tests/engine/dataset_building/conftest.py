"""Textbook crystals, and a source of a few of them."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.dataset_building import GivenCrystals, primitive_crystal

#: Lattice points of a face-centred cell.
FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def rock_salt(a, cation, anion):
    """Return the conventional cell of rock salt, eight atoms."""
    return Structure(Lattice.cubic(a), [cation] * 4 + [anion] * 4, [*FACES, *(FACES + 0.5)])


def caesium_chloride(a, cation, anion):
    return Structure(Lattice.cubic(a), [cation, anion], [[0] * 3, [0.5] * 3])


@pytest.fixture(scope='session')
def salts():
    """Return twelve halides of alkali metals."""
    lengths = {'Li': 4.0, 'Na': 4.6, 'K': 5.3, 'Rb': 5.6}
    extra = {'F': 0.0, 'Cl': 1.0, 'Br': 1.3}
    return tuple(
        primitive_crystal(rock_salt(length + more, cation, anion), f'{cation}{anion}', -1.0, 0.0)
        for cation, length in lengths.items()
        for anion, more in extra.items()
    )


@pytest.fixture
def source(salts):
    """Return a source of the halides and of one entry that cannot be used."""
    return GivenCrystals({'kind': 'salts'}, salts, (('alloy', 'several elements share a site'),))
