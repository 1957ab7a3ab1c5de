"""Tests of the prototypes."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.reconstruct.prototypes import (
    radial_distributions,
    slot_orders,
    sort_crystals,
    unit_vector,
)


def named(crystals, *names):
    return [crystal for name in names for crystal in crystals if crystal.material_id == name]


def test_crystals_of_one_kind_share_a_prototype_of_one_cubic_angstrom_per_atom(crystals):
    result = sort_crystals(named(crystals, 'NaCl', 'CsCl', 'MgO', 'GaAs', 'TlCl'))
    assert result.members == (0, 1, 0, 2, 1)
    assert [prototype.spacegroup for prototype in result.prototypes] == [225, 221, 216]
    volumes = [abs(np.linalg.det(prototype.lattice)) / len(prototype.slots) for prototype in result.prototypes]
    assert volumes == pytest.approx([1, 1, 1])


def test_elements_keep_the_slots_of_the_prototype_whatever_they_are_called(crystals):
    strontium, potassium = named(crystals, 'SrTiO3', 'KTaO3')
    result = sort_crystals([strontium, potassium])
    assert result.members == (0, 0)
    assert [elements[0] for elements in result.elements] == ['O', 'O']
    assert [set(pair) for pair in zip(*result.elements, strict=True)] == [{'O'}, {'Sr', 'K'}, {'Ti', 'Ta'}]


def test_atoms_in_another_order_change_nothing(crystals):
    (perovskite,) = named(crystals, 'SrTiO3')
    order = [4, 2, 0, 3, 1]
    shuffled = dataclasses.replace(
        perovskite,
        species=tuple(perovskite.species[site] for site in order),
        frac_coords=perovskite.frac_coords[order],
    )
    result = sort_crystals([perovskite, shuffled])
    assert result.members == (0, 0)
    assert result.elements[0] == result.elements[1]


def test_known_prototypes_keep_their_places(crystals):
    known = sort_crystals(named(crystals, 'CsCl', 'NaCl')).prototypes
    result = sort_crystals(named(crystals, 'MgO', 'GaAs'), known)
    assert result.members == (1, 2)
    assert result.prototypes[:2] == known


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5))
def test_slot_orders_are_all_permutations_that_keep_the_counts(counts):
    counts = sorted(counts, reverse=True)
    orders = slot_orders(counts)
    assert orders[0] == tuple(range(len(counts)))
    assert len(set(orders)) == len(orders) == math.prod(math.factorial(counts.count(value)) for value in set(counts))
    assert all([counts[slot] for slot in order] == counts for order in orders)


def test_radial_distributions_are_symmetric_and_blind_to_the_origin(crystals):
    prototype = sort_crystals(named(crystals, 'SrTiO3')).prototypes[0]
    partials = radial_distributions(prototype.lattice, prototype.slots, prototype.frac_coords)
    moved = radial_distributions(prototype.lattice, prototype.slots, prototype.frac_coords + np.array([0.1, 0.2, 0.3]))
    assert np.allclose(partials, moved)
    assert np.allclose(partials, partials.swapaxes(0, 1))
    assert partials.any(axis=2).all()


def test_unit_vectors_have_length_one():
    assert unit_vector(np.array([[3.0, 0.0], [0.0, 4.0]])).tolist() == [0.6, 0.0, 0.0, 0.8]
    assert unit_vector(np.zeros(2)).tolist() == [0.0, 0.0]
