"""Wyckoff positions in the primitive cell: pyxtal's tables against spglib, the enumeration against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import spglib

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    Assignment,
    build_structure,
    conventional_lattice,
    enumerate_assignments,
    fillings,
    first_of_its_class,
    normalizer_permutations,
    orbit_map,
    primitive_lattice,
    space_group,
)

LATTICES = {
    'triclinic': (7.1, 8.3, 9.7, 75.0, 83.0, 98.0),
    'monoclinic': (7.1, 8.3, 9.7, 90.0, 103.0, 90.0),
    'orthorhombic': (7.1, 8.3, 9.7, 90.0, 90.0, 90.0),
    'tetragonal': (7.1, 7.1, 9.7, 90.0, 90.0, 90.0),
    'trigonal': (7.1, 7.1, 9.7, 90.0, 90.0, 120.0),
    'hexagonal': (7.1, 7.1, 9.7, 90.0, 90.0, 120.0),
    'cubic': (7.1, 7.1, 7.1, 90.0, 90.0, 90.0),
}
ALL_GROUPS = range(1, 231)


def found_group(structure):
    """Return what spglib says of a structure."""
    cell = (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure])
    return spglib.get_symmetry_dataset(cell, symprec=1e-3)


def generic(number):
    """Return fractional numbers without any relation between them."""
    return np.modf(0.137 + np.arange(1, number + 1) * math.sqrt(2) + np.arange(number) ** 2 * 0.0713)[0]


def number_of_choices(group, counts):
    """Return in how many ways the positions can be filled, as the coefficient of a generating function."""
    elements = list(counts)
    series = {(0,) * len(elements): 1}
    for position in group.positions:
        if position.freedom:
            for place in range(len(elements)):
                steps = range(max(counts.values()) // position.multiplicity + 1)
                terms = [
                    tuple(position.multiplicity * step * (k == place) for k in range(len(elements))) for step in steps
                ]
                series = multiply(series, terms, counts)
        else:
            units = [
                tuple(position.multiplicity * (k == place) for k in range(len(elements)))
                for place in range(len(elements))
            ]
            series = multiply(series, [(0,) * len(elements), *units], counts)
    return series.get(tuple(counts.values()), 0)


def multiply(series, terms, counts):
    """Multiply two polynomials and drop the powers above the content of the cell."""
    product = {}
    for powers, coefficient in series.items():
        for term in terms:
            total = tuple(a + b for a, b in zip(powers, term, strict=True))
            if all(a <= b for a, b in zip(total, counts.values(), strict=True)):
                product[total] = product.get(total, 0) + coefficient
    return product


def equivalents(group, choice):
    """Return all choices that the normalizer makes of one."""
    lattice = conventional_lattice(group.number, LATTICES[group.system])
    metric = lattice @ lattice.T
    swaps = [swap for turn, swap in group.normalizer if np.allclose(turn.T @ metric @ turn, metric)]
    return {tuple(tuple(sorted(swap[place] for place in part)) for part in choice) for swap in swaps} | {choice}


def as_choice(group, assignment, elements):
    """Return an assignment as positions per element."""
    index = {position.letter: place for place, position in enumerate(group.positions)}
    return tuple(tuple(index[letter] for symbol, letter in assignment.sites if symbol == name) for name in elements)


def test_general_position_has_exactly_the_requested_group():
    for number in ALL_GROUPS:
        group = space_group(number)
        letter = group.general_position.letter
        assignment = Assignment((('Na', letter), ('Cl', letter)), 6)
        structure = build_structure(number, LATTICES[group.system], assignment, generic(6))
        dataset = found_group(structure)
        assert dataset.number == number
        assert len(set(dataset.mapping_to_primitive)) == len(structure)


def test_every_position_with_the_general_one_has_the_requested_group():
    for number in ALL_GROUPS:
        group = space_group(number)
        for position in group.positions:
            sites = (('Na', position.letter), ('Cl', group.general_position.letter))
            assignment = Assignment(sites, position.freedom + 3)
            structure = build_structure(number, LATTICES[group.system], assignment, generic(position.freedom + 3))
            dataset = found_group(structure)
            assert dataset.number == number, (number, position.letter)
            assert len(set(dataset.crystallographic_orbits)) == 2, (number, position.letter)


def test_special_position_alone_keeps_the_operations_of_the_group():
    for number in range(1, 231, 3):
        group = space_group(number)
        general = group.general_position
        for position in group.positions:
            assignment = Assignment((('Na', position.letter),), position.freedom)
            structure = build_structure(number, LATTICES[group.system], assignment, generic(position.freedom))
            operations = len(found_group(structure).rotations)
            assert operations % general.multiplicity == 0, (number, position.letter)


def test_multiplicities_are_conventional_ones_over_the_centring():
    for number in ALL_GROUPS:
        group = space_group(number)
        centring = round(1 / np.linalg.det(group.basis))
        for position in group.positions:
            assert position.multiplicity * centring == position.conventional_multiplicity
            assert position.rotations.shape == (position.multiplicity, 3, position.freedom)


@pytest.mark.parametrize('counts', [{'Na': 1, 'Cl': 1}, {'Ti': 1, 'O': 2}, {'Sr': 1, 'Ti': 1, 'O': 3}], ids=str)
def test_enumeration_loses_none_and_repeats_none_in_all_groups(counts):
    for number in ALL_GROUPS:
        group = space_group(number)
        found = enumerate_assignments(number, counts, parameters=LATTICES[group.system])
        classes = [equivalents(group, as_choice(group, assignment, counts)) for assignment in found]
        together = set().union(*classes)
        assert len(together) == sum(len(members) for members in classes), number
        assert len(together) == number_of_choices(group, counts), number


def test_few_sites_come_first_and_a_limit_only_cuts():
    counts = {'Ca': 2, 'Ti': 2, 'O': 6}
    everything = enumerate_assignments(51, counts)
    sizes = [(len(assignment.sites), assignment.freedom) for assignment in everything]
    assert sizes == sorted(sizes)
    assert enumerate_assignments(51, counts, limit=20) == everything[:20]


def test_perovskite_leaves_two_assignments_in_its_own_group():
    group = space_group(221)
    labels = [item.label(group) for item in enumerate_assignments(221, {'Sr': 1, 'Ti': 1, 'O': 3})]
    assert labels == ['Sr 1a, Ti 1b, O 3c', 'Sr 1a, Ti 1b, O 3d']


def test_a_content_that_does_not_fit_has_no_assignment():
    assert enumerate_assignments(225, {'Sr': 1, 'Ti': 5}) == ()


def test_allowed_letters_restrict_an_element():
    group = space_group(221)
    found = enumerate_assignments(221, {'Sr': 1, 'Ti': 1, 'O': 3}, allowed={'Sr': {'a'}, 'O': {'d'}})
    assert [item.label(group) for item in found] == ['Sr 1a, Ti 1b, O 3d']


def test_build_rutile():
    assignment = Assignment((('Ti', 'a'), ('O', 'f')), 1)
    structure = build_structure(136, (4.6, 4.6, 2.96, 90, 90, 90), assignment, [0.305])
    assert structure.composition.formula == 'Ti2 O4'
    assert found_group(structure).number == 136
    assert structure.get_distance(0, 2) == pytest.approx(4.6 * 0.305 * math.sqrt(2), abs=1e-9)


def test_free_coordinates_have_period_one():
    for number in (5, 62, 141, 166, 227):
        group = space_group(number)
        atoms = orbit_map(group, Assignment((('Na', group.general_position.letter),), 3))
        shift = atoms.coordinates(generic(3) + np.eye(3)) - atoms.coordinates(generic(3))
        assert np.allclose(shift, np.round(shift), atol=1e-9)


def test_lattices_obey_their_system():
    assert np.allclose(conventional_lattice(225, (4.0, 4.1, 4.2, 91, 90, 89)), np.eye(3) * np.cbrt(4.0 * 4.1 * 4.2))
    lattice = primitive_lattice(166, (4.4, 4.4, 30.5, 90, 90, 120))
    assert np.linalg.det(lattice) == pytest.approx(4.4**2 * 30.5 * math.sqrt(3) / 2 / 3)
    assert np.ptp(np.linalg.norm(lattice, axis=1)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize('number', [0, 231, '62', True])
def test_unknown_groups_are_refused(number):
    with pytest.raises(SettingsError, match='give an international number from 1 to 230'):
        space_group(number)


def test_unknown_letters_are_refused():
    with pytest.raises(SettingsError, match="Pm-3m has no Wyckoff position 'z'"):
        space_group(221).position('z')


@pytest.mark.parametrize(('number', 'count'), [(2, 2), (47, 2), (65, 3), (166, 6), (221, 4)])
def test_fillings_are_all_multisets_of_few_orbits(number, count):
    group = space_group(number)
    multiplicities = [position.multiplicity for position in group.positions]
    fixed = {place for place, position in enumerate(group.positions) if position.freedom == 0}
    expected = set()
    for orbits in (1, 2):
        for places in itertools.combinations_with_replacement(range(len(multiplicities)), orbits):
            points = [place for place in places if place in fixed]
            if sum(multiplicities[place] for place in places) == count and len(set(points)) == len(points):
                expected.add(places)
    found = fillings(group, count, 2, 10_000)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert [len(places) for places in found] == sorted(len(places) for places in found)
    assert fillings(group, count, 2, 3) == found[:3]


def test_of_equivalent_multisets_the_first_is_kept():
    """The normalizer of P-1 carries each centre of inversion into each other one."""
    group = space_group(2)
    permutations = normalizer_permutations(group)
    kept = {place: first_of_its_class((place,), permutations) for place in range(8)}
    assert [place for place, left in kept.items() if left is not None] == [0]
    assert all(permutation[0] == 0 for permutation in kept[0])
    assert first_of_its_class((8,), permutations) == permutations
