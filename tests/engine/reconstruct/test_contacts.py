"""How close atoms may come."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiida_alphacrystal.engine.reconstruct.contacts import closest_contact, covalent_radius, widest_contact
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.wyckoff import space_group


def test_closest_contact_is_in_units_of_the_radii():
    assert closest_contact([[9.0, 2.0], [2.0, 9.0]], ['Na', 'Cl']) == pytest.approx(
        2.0 / (covalent_radius('Na') + covalent_radius('Cl'))
    )


def test_widest_contact_of_a_fixed_and_a_free_position():
    lattice = reduced_lattice(np.eye(3) * 4.0)
    group = space_group(221)
    assert widest_contact(group.position('a'), lattice) == pytest.approx(4.0)
    assert widest_contact(group.position('c'), lattice) == pytest.approx(4.0 / math.sqrt(2))
    assert widest_contact(group.position('e'), lattice) == pytest.approx(
        4.0 * math.sqrt(2) / (2 + math.sqrt(2)), rel=0.05
    )
