"""Tests of the likeness of prototypes."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.reconstruct.likeness import Likenesses, composed_orders, find_likenesses
from aiida_alphacrystal.engine.reconstruct.prototypes import slot_orders, sort_crystals

ROCK_SALT, CAESIUM_CHLORIDE, ZINC_BLENDE = range(3)


@pytest.fixture(scope='module')
def binaries(crystals):
    names = ('NaCl', 'CsCl', 'GaAs')
    chosen = [crystal for name in names for crystal in crystals if crystal.material_id == name]
    return sort_crystals(chosen).prototypes


@pytest.fixture(scope='module')
def likenesses(binaries):
    return find_likenesses(binaries)


def test_alike_is_what_the_match_criterion_says(binaries, likenesses):
    table = likenesses.table(np.arange(3), (1, 1))
    structures = [Structure(entry.lattice, ['Na', 'Cl'], entry.frac_coords) for entry in binaries]
    for first in range(3):
        for second in range(3):
            expected = normalised_rms(structures[first], structures[second]) is not None
            assert table[first, second, 0] == expected, (first, second)


def test_both_elements_of_rock_salt_stand_alike(likenesses):
    table = likenesses.table(np.arange(3), (1, 1))
    assert table[ROCK_SALT, ROCK_SALT].tolist() == [True, True]


def test_the_table_reads_the_same_from_both_sides():
    likenesses = Likenesses(np.array([0]), np.array([1]), np.array([3]))
    counts = (1, 1, 1)
    orders = slot_orders(counts)
    inverse = orders.index(tuple(np.argsort(orders[3]).tolist()))
    assert inverse != 3, 'an order that is not its own inverse'
    table = likenesses.table(np.array([0, 1]), counts)
    assert np.argwhere(table).tolist() == sorted([[0, 0, 0], [0, 1, 3], [1, 0, inverse], [1, 1, 0]])


def test_composed_orders_lead_from_one_assignment_to_the_other():
    counts = (2, 1, 1, 1)
    orders = slot_orders(counts)
    table = composed_orders(counts)
    for one, first in enumerate(orders):
        for two, second in enumerate(orders):
            order = orders[table[one, two]]
            assert [second[slot] for slot in order] == list(first)


def test_processes_and_a_known_part_change_nothing(binaries, likenesses):
    shared = find_likenesses(binaries, jobs=2)
    begun = find_likenesses(binaries[:2])
    extended = find_likenesses(binaries, begun, start=2)
    for other in (shared, extended):
        assert other.first.tolist() == likenesses.first.tolist()
        assert other.second.tolist() == likenesses.second.tolist()
        assert other.orders.tolist() == likenesses.orders.tolist()


def test_other_slot_counts_are_never_compared(crystals):
    names = ('NaCl', 'SrTiO3')
    chosen = [crystal for name in names for crystal in crystals if crystal.material_id == name]
    found = find_likenesses(sort_crystals(chosen).prototypes)
    assert (found.first == found.second).all()


def test_a_stretched_cell_of_the_same_kind_is_alike(crystals):
    (cubic,) = (crystal for crystal in crystals if crystal.material_id == 'CsCl')
    stretched = Structure(Lattice.tetragonal(4, 4.4), ['Cs', 'Cl'], [[0] * 3, [0.5] * 3])
    assert normalised_rms(stretched, cubic.to_structure()) is not None
