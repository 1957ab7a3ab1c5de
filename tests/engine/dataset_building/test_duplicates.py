"""Which crystals stand for others."""

from __future__ import annotations

import dataclasses

from aiida_alphacrystal.engine.dataset_building import primitive_crystal, without_duplicates

from .conftest import caesium_chloride, rock_salt


def named(structure, name, energy=None, above=None):
    return primitive_crystal(structure, name, energy, above)


def names_of(crystals):
    return [crystal.material_id for crystal in without_duplicates(crystals)]


def test_the_lowest_energy_is_kept_and_the_order_too():
    crystals = [
        named(rock_salt(5.64, 'Na', 'Cl'), 'high', -2.0),
        named(rock_salt(4.2, 'Mg', 'O'), 'other', -3.0),
        named(rock_salt(5.70, 'Na', 'Cl'), 'unknown'),
        named(rock_salt(5.66, 'Na', 'Cl').make_supercell([2, 1, 1], in_place=False), 'low', -2.1),
    ]
    assert names_of(crystals) == ['other', 'low']
    assert names_of(crystals[:3]) == ['high', 'other']
    assert names_of([dataclasses.replace(crystal, formation_energy_per_atom=None) for crystal in crystals]) == [
        'high',
        'other',
    ]


def test_the_energy_above_the_hull_decides_where_there_is_no_other():
    crystals = [named(rock_salt(5.64, 'Na', 'Cl'), name, None, above) for name, above in (('a', 0.1), ('b', 0.0))]
    assert names_of(crystals) == ['b']


def test_polymorphs_and_other_elements_differ():
    crystals = [
        named(rock_salt(5.64, 'Na', 'Cl'), 'rock salt'),
        named(caesium_chloride(3.4, 'Na', 'Cl'), 'caesium chloride'),
        named(rock_salt(5.64, 'Na', 'Br'), 'bromide'),
    ]
    assert names_of(crystals) == ['rock salt', 'caesium chloride', 'bromide']


def test_nothing_is_nothing():
    assert without_duplicates([]) == ()
