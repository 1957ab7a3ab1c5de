"""Tests of the votes of the known compounds."""

import dataclasses

import numpy as np
import pytest

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted, gather_votes, substitutions
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.training import train_templates


def wanted_of(library, formula, units=1):
    return Wanted.of(library, parse_formula(formula), units)


def test_a_cell_holds_its_elements_by_decreasing_count(library):
    wanted = wanted_of(library, 'PbTiO3', 2)
    assert wanted.symbols == ('O', 'Pb', 'Ti')
    assert wanted.counts == (6, 2, 2)
    assert wanted.natoms == 10
    assert wanted.numbers.tolist() == [8, 82, 22]


def test_a_known_compound_votes_most_for_its_own_prototype(library):
    found = substitutions(library, wanted_of(library, 'NaCl'))
    prototype, assignment = np.unravel_index(found.votes.argmax(), found.votes.shape)
    assert library.spacegroups[found.prototypes[prototype]] == 225
    row = library.member_elements[found.nearest[prototype, assignment]]
    assert set(row.tolist()) == {11, 17, 0}
    assert found.volumes[prototype, assignment] == pytest.approx(5.64**3 / 8, rel=0.1)


def test_every_prototype_of_the_cell_is_weighed_in_every_order(library):
    found = substitutions(library, wanted_of(library, 'KF'))
    assert found.votes.shape == (3, 2)
    assert np.isfinite(found.votes).all()
    assert substitutions(library, wanted_of(library, 'PbTiO3')).votes.shape == (1, 2)
    assert substitutions(library, wanted_of(library, 'Al2O3')) is None


def test_votes_are_added_up_over_the_compounds_of_a_prototype(library):
    wanted = wanted_of(library, 'KF')
    everyone = substitutions(library, wanted)
    members = library.members_of((1, 1))
    alone = []
    for member in members:
        excluded = np.ones(len(library.member_prototypes), dtype=bool)
        excluded[member] = False
        alone.append(substitutions(library, wanted, excluded).votes)
    for place in range(len(everyone.prototypes)):
        total = np.logaddexp.reduce([votes[place] for votes in alone])
        assert everyone.votes[place] == pytest.approx(total, abs=1e-4)


def test_without_voters_there_is_nothing(library):
    nobody = np.ones(len(library.member_prototypes), dtype=bool)
    wanted = wanted_of(library, 'KF')
    assert substitutions(library, wanted, nobody) is None
    slots = np.array([0])
    assert gather_votes(library, wanted, (7,), slots, np.array([7]), np.array([[0]])) is None


def test_three_slots_of_one_site_keep_their_elements_apart(library, tmp_path):
    """The order of these elements is no exchange of two, so that an inverted permutation would show."""
    lattice, coords = (
        np.array([[0, 2.5, 2.5], [2.5, 0, 2.5], [2.5, 2.5, 0]]),
        np.array([[0.5] * 3, [0.25] * 3, [0] * 3]),
    )
    train_templates((Crystal('', lattice, ('Li', 'Mg', 'N'), coords, spacegroup=216),), {}, tmp_path, base=library)
    found = substitutions(load_library(tmp_path / 'templates.safetensors'), wanted := wanted_of(library, 'NaSrAs'))
    assert wanted.symbols == ('As', 'Na', 'Sr')
    best = found.assignments[found.votes[0].argmax()]
    assert [wanted.symbols[element] for element in best] == ['Na', 'Sr', 'As']


def test_a_compound_above_the_hull_says_less(library):
    wanted = wanted_of(library, 'KF')
    raised = dataclasses.replace(library, member_hulls=np.full(len(library.member_hulls), 0.1))
    difference = substitutions(raised, wanted).votes - substitutions(library, wanted).votes
    weight = library.substitution['hull_weight'].item()
    assert weight < 0
    assert difference == pytest.approx(np.full((3, 2), 0.1 * weight), abs=1e-4)


def with_hulls(library, hulls):
    """Return the library with energies above the hull for the compounds with given elements."""
    values = np.zeros(len(library.member_hulls))
    for row, elements in enumerate(library.member_elements.tolist()):
        values[row] = hulls.get(frozenset(elements) - {0}, 0.0)
    return dataclasses.replace(library, member_hulls=values)


def votes_of(library, wanted, numbers):
    """Return the votes of the compounds with given elements alone."""
    others = np.array([frozenset(row) - {0} != numbers for row in library.member_elements.tolist()])
    return substitutions(library, wanted, others).votes.max()


def test_a_metastable_crystal_of_the_formula_says_no_more_than_the_nearest_other(library):
    salt, wanted = frozenset({11, 17}), wanted_of(library, 'NaCl')
    apart = np.array([frozenset(row) - {0} == salt for row in library.member_elements.tolist()])
    assert apart.sum() == 1
    nearest = max(
        votes_of(library, wanted, frozenset(row) - {0})
        for row in library.member_elements[library.members_of((1, 1))].tolist()
        if frozenset(row) - {0} != salt
    )
    own = votes_of(library, wanted, salt)
    assert own > nearest + 1.0
    metastable = with_hulls(library, {salt: 0.01})
    assert metastable.substitution['hull_weight'].item() < 0
    everyone = substitutions(metastable, wanted)
    others = substitutions(metastable, wanted, apart)
    prototype = np.searchsorted(everyone.prototypes, library.member_prototypes[apart])[0]
    added = np.log(np.exp(everyone.votes[prototype]) - np.exp(others.votes[prototype])).max()
    assert added == pytest.approx(nearest + 0.01 * library.substitution['hull_weight'].item(), abs=1e-3)
    stable = substitutions(with_hulls(library, {salt: 0.001}), wanted)
    assert stable.votes.max() == pytest.approx(own, abs=0.01)


def test_a_metastable_crystal_in_a_cell_of_its_own_says_no_more_than_the_nearest_in_another(library, tmp_path):
    """As Cmcm silicon, which no other element has, once had all votes for silicon."""
    salt = frozenset({11, 17})
    lattice, coords = np.diag([4.0, 4.0, 7.0]), np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.45], [0, 0.5, 0.55]])
    train_templates(
        (Crystal('', lattice, ('Na', 'Na', 'Cl', 'Cl'), coords, spacegroup=59),), {}, tmp_path, base=library
    )
    larger = with_hulls(load_library(tmp_path / 'templates.safetensors'), {salt: 0.1})
    nearest = max(
        votes_of(larger, wanted_of(larger, 'NaCl'), frozenset(row) - {0})
        for row in larger.member_elements[larger.members_of((1, 1))].tolist()
        if frozenset(row) - {0} != salt
    )
    alone = substitutions(larger, wanted_of(larger, 'NaCl', 2))
    assert alone.votes.shape == (1, 2)
    assert alone.votes.max() == pytest.approx(nearest + 0.1 * larger.substitution['hull_weight'].item(), abs=1e-3)
    stable = substitutions(with_hulls(larger, {salt: 0.0}), wanted_of(larger, 'NaCl', 2))
    assert stable.votes.max() > nearest + 1.0


def test_a_metastable_crystal_that_is_all_that_is_known_keeps_its_vote(library):
    salt, wanted = frozenset({11, 17}), wanted_of(library, 'NaCl')
    weight = library.substitution['hull_weight'].item()
    metastable = votes_of(with_hulls(library, {salt: 0.2}), wanted, salt)
    assert metastable == pytest.approx(votes_of(library, wanted, salt) + 0.2 * weight, abs=1e-3)


def test_compounds_in_another_order_change_nothing(library):
    shuffled = np.random.default_rng(0).permutation(len(library.member_prototypes))
    assert (np.diff(library.member_prototypes[shuffled]) < 0).any()
    fields = ('member_prototypes', 'member_elements', 'member_volumes', 'member_hulls')
    other = dataclasses.replace(library, **{name: getattr(library, name)[shuffled] for name in fields})
    for formula in ('KF', 'PbTiO3'):
        expected = substitutions(library, wanted_of(library, formula))
        found = substitutions(other, wanted_of(other, formula))
        assert found.votes == pytest.approx(expected.votes, abs=1e-5)
        assert found.volumes == pytest.approx(expected.volumes, abs=1e-5)
        assert shuffled[found.nearest].tolist() == expected.nearest.tolist()
