"""Tests of the decorations."""

import itertools
import math

import numpy as np
import pytest
import spglib
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.reconstruct import decorations
from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted
from aiida_alphacrystal.engine.reconstruct.decorations import _fillings, colourings, merges, splits
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.prototypes import Prototype
from aiida_alphacrystal.engine.reconstruct.training import train_templates

#: Four sites in a row, evenly spaced along c.
CHAIN = Prototype(
    spacegroup=123,
    lattice=np.diag([1.0, 1.0, 4.0]),
    slots=np.zeros(4, dtype=np.int64),
    frac_coords=np.array([[0, 0, height] for height in (0, 0.25, 0.5, 0.75)]),
)


def wanted_of(library, formula):
    return Wanted.of(library, parse_formula(formula), 1)


def test_one_element_may_take_two_slots(library):
    (found,) = merges(library, wanted_of(library, 'PbO4'))
    assert found.groups.tolist() == [3, 1, 1]
    filled = {tuple(row) for row in found.arrangements.assignments.tolist()}
    assert filled == {(0, 0, 1), (0, 1, 0)}, 'oxygen is element 0 and takes the three sites and one more'


def test_two_elements_may_share_a_slot(library):
    wanted = wanted_of(library, 'NaKRbF')
    assert list(merges(library, wanted)) == []
    assert list(splits(library, wanted)) == [], 'no prototype of the library has four atoms'
    (found, *_) = splits(library, wanted_of(library, 'NaKCl2F'))
    assert sorted(found.groups.tolist(), reverse=True) == [2, 1, 1, 1]


def test_prototypes_of_the_same_stoichiometry_are_no_decorations(library):
    wanted = wanted_of(library, 'PbTiO3')
    assert list(merges(library, wanted)) == []
    assert list(splits(library, wanted)) == []


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.lists(st.integers(1, 8), min_size=1, max_size=3))
def test_fillings_are_all_ways_to_fill_every_box(items, boxes):
    expected = {
        choice
        for choice in itertools.product(range(len(boxes)), repeat=len(items))
        if [sum(item for item, box in zip(items, choice, strict=True) if box == place) for place in range(len(boxes))]
        == boxes
    }
    found = _fillings(tuple(items), tuple(boxes))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_chain_is_coloured_in_the_two_ways_that_differ_and_the_symmetric_one_comes_first():
    found = colourings(CHAIN, slots=[0, 0], groups=[2, 2], elements=[0, 1], most=5)
    assert len(found) == 2
    alternating, paired = found
    assert alternating.tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
    assert paired.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1])
    assert len(colourings(CHAIN, slots=[0, 0], groups=[2, 2], elements=[0, 1], most=1)) == 1


def test_one_odd_site_can_be_anywhere_along_a_chain():
    (found,) = colourings(CHAIN, slots=[0, 0], groups=[3, 1], elements=[4, 2], most=5)
    assert sorted(found.tolist()) == [2, 4, 4, 4]


def test_a_slot_of_one_element_has_one_colouring():
    (found,) = colourings(CHAIN, slots=[0], groups=[4], elements=[3], most=5)
    assert found.tolist() == [3, 3, 3, 3]


def test_many_sites_do_not_take_forever():
    sites = 20
    generator = np.random.default_rng(0)
    many = Prototype(1, np.eye(3) * sites ** (1 / 3), np.zeros(sites, dtype=np.int64), generator.random((sites, 3)))
    assert math.comb(sites, sites // 2) > 100_000
    found = colourings(many, slots=[0, 0], groups=[10, 10], elements=[0, 1], most=3)
    assert len(found) == 3
    assert all(np.bincount(sites).tolist() == [10, 10] for sites in found)


@pytest.mark.parametrize('formula', ['PbO4', 'NaKCl2F'])
def test_decorations_use_up_the_atoms_of_the_cell(library, formula):
    wanted = wanted_of(library, formula)
    for found in (*merges(library, wanted), *splits(library, wanted)):
        for assignment in found.arrangements.assignments:
            used = [int(found.groups[assignment == element].sum()) for element in range(len(wanted.counts))]
            assert used == list(wanted.counts)


def block(height):
    """Return eight sites, two along each axis."""
    coords = np.array(list(itertools.product((0, 0.5), repeat=3)))
    return Prototype(221, np.diag([2, 2, height]), np.zeros(8, dtype=np.int64), coords)


def operations(prototype, colours):
    """Return where the symmetry of a coloured prototype takes its sites."""
    cell = (prototype.lattice, prototype.frac_coords, np.array(colours) + 1)
    found = spglib.get_symmetry(cell, symprec=1e-3)
    moved = [
        prototype.frac_coords @ rotation.T + shift
        for rotation, shift in zip(found['rotations'], found['translations'], strict=True)
    ]
    apart = [sites[:, None] - prototype.frac_coords for sites in moved]
    return [np.abs(gap - np.round(gap)).max(axis=-1).argmin(axis=1) for gap in apart]


@pytest.mark.parametrize('height', [2.0, 2.6])
@pytest.mark.parametrize('groups', [(7, 1), (6, 2), (5, 3), (4, 4)])
def test_colourings_are_those_that_no_symmetry_makes_the_same(height, groups):
    prototype = block(height)
    moves = operations(prototype, np.zeros(8, dtype=int))
    every = {tuple(int(site in chosen) for site in range(8)) for chosen in itertools.combinations(range(8), groups[1])}
    same = {colours: min(tuple(np.array(colours)[move].tolist()) for move in moves) for colours in every}
    found = colourings(prototype, slots=[0, 0], groups=groups, elements=[0, 1], most=100)
    assert sorted(same[tuple(colours.tolist())] for colours in found) == sorted(set(same.values()))
    symmetry = [len(operations(prototype, colours)) for colours in found]
    assert symmetry == sorted(symmetry, reverse=True)


def test_no_more_colourings_are_gone_through_than_allowed(monkeypatch):
    """The first way leaves the elements side by side; the alternating one comes second."""
    monkeypatch.setattr(decorations, 'MAX_COLOURINGS', 1)
    (found,) = colourings(CHAIN, slots=[0, 0], groups=[2, 2], elements=[0, 1], most=5)
    assert found.tolist() == [0, 0, 1, 1]
    monkeypatch.setattr(decorations, 'MAX_COLOURINGS', 2)
    assert len(colourings(CHAIN, slots=[0, 0], groups=[2, 2], elements=[0, 1], most=5)) == 2


def test_a_perovskite_without_its_difference_of_cations_gives_a2x3_and_rock_salt_does_not(library):
    (found,) = merges(library, wanted_of(library, 'Al2O3'))
    assert found.arrangements.assignments.tolist() == [[0, 1, 1]]
    assert library.spacegroups[found.arrangements.prototypes].tolist() == [221]
    perovskites = library.member_elements[:, 2] > 0
    assert list(merges(library, wanted_of(library, 'Al2O3'), excluded=perovskites)) == []


def test_rock_salt_in_a_cell_of_four_atoms_gives_an_ordered_abx2(library, tmp_path):
    assert list(splits(library, wanted_of(library, 'LiFeO2'))) == []
    lattice = np.diag([5.64 / 2**0.5, 5.64 / 2**0.5, 5.64])
    coords = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0.5], [0.5, 0.5, 0]])
    train_templates((Crystal('', lattice, ('Na', 'Na', 'Cl', 'Cl'), coords, 225),), {}, tmp_path, base=library)
    larger = load_library(tmp_path / 'templates.safetensors')
    wanted = wanted_of(larger, 'LiFeO2')
    found = list(splits(larger, wanted))
    assert wanted.symbols == ('O', 'Fe', 'Li')
    assert sorted(entry.slots.tolist() for entry in found) == [[0, 1, 1], [1, 0, 0]]
    for entry in found:
        prototype = larger.prototype(int(entry.arrangements.prototypes[0]))
        (colours,) = colourings(prototype, entry.slots.tolist(), entry.groups.tolist(), [0, 1, 2], 3)
        oxygens = prototype.slots == entry.slots[0]
        assert colours[oxygens].tolist() == [0, 0]
        assert sorted(colours[~oxygens].tolist()) == [1, 2]
    nobody = np.ones(len(larger.member_prototypes), dtype=bool)
    assert list(splits(larger, wanted, excluded=nobody)) == []
