"""Tests of the choice of candidates."""

import dataclasses

import numpy as np
import pytest

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted, substitutions
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.likeness import find_likenesses
from aiida_alphacrystal.engine.reconstruct.selection import KINDS, rank_proposals


def test_what_adds_most_comes_first_and_nothing_twice(library):
    found = rank_proposals(library, parse_formula('PbTiO3'), 20, 20)
    shares = [proposal.share for proposal in found]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-5
    described = [(proposal.prototype, proposal.elements) for proposal in found]
    assert len(set(described)) == len(described)
    assert {proposal.support for proposal in found} == {found[0].support}


def test_no_more_are_chosen_than_asked_for(library):
    every = rank_proposals(library, parse_formula('KF'), 20, 20)
    assert len(every) > 2
    assert rank_proposals(library, parse_formula('KF'), 20, 2) == every[:2]


def test_a_candidate_takes_the_votes_of_all_that_it_matches(library):
    """In cells of two atoms the other order of rock salt is the same crystal, so it has nothing to add."""
    likenesses = find_likenesses(library.prototypes())
    assert likenesses.orders.tolist() == library.alike_orders.tolist()
    found = rank_proposals(library, parse_formula('KF'), 2, 20)
    salts = [proposal for proposal in found if library.spacegroups[proposal.prototype] == 225]
    assert len(salts) == 2
    assert salts[0].share > 0.5
    assert salts[1].share < 0.05
    assert [salt.overlaps for salt in salts] == [False, True]


def test_types_that_the_criterion_does_not_tell_apart_come_last_by_their_own_votes():
    """Zincblende matches rock salt, and takes all its votes."""
    shipped = load_library()
    formula = parse_formula('MgO')
    chosen = rank_proposals(shipped, formula, 20, 20)
    every = rank_proposals(shipped, formula, 20, 20, types=10)
    assert every[:20] == chosen
    spacegroups = [int(shipped.spacegroups[proposal.prototype]) for proposal in every]
    assert 216 in spacegroups[:20]
    assert 225 not in spacegroups[:20]
    assert 225 in spacegroups[20:]
    own = [proposal.own_share for proposal in every[20:]]
    assert own == sorted(own, reverse=True)
    assert all(proposal.overlaps for proposal in every[20:] if proposal.own_share > proposal.share)


def test_only_one_order_of_the_cations_is_likely(library):
    first, second = rank_proposals(library, parse_formula('PbTiO3'), 5, 20)
    assert first.prototype == second.prototype
    assert sorted(first.elements) == sorted(second.elements) == ['O', 'O', 'O', 'Pb', 'Ti']
    assert first.elements != second.elements
    assert first.share > second.share


def test_decorations_are_tried_only_where_they_are_wanted(library):
    formula = parse_formula('PbO4')
    found = rank_proposals(library, formula, 20, 20)
    assert {proposal.kind for proposal in found} == {KINDS[1]}
    assert all(proposal.elements.count('O') == 4 for proposal in found)
    assert rank_proposals(library, formula, 20, 20, decorate=False) == []
    shared = rank_proposals(library, parse_formula('NaKCl2F'), 20, 20)
    assert {proposal.kind for proposal in shared} == {KINDS[2]}


def test_volumes_follow_the_elements(library):
    small, large = (rank_proposals(library, parse_formula(formula), 2, 1)[0] for formula in ('LiF', 'KBr'))
    assert small.volume_per_atom == pytest.approx(4.03**3 / 8, rel=0.2)
    assert large.volume_per_atom == pytest.approx(6.60**3 / 8, rel=0.2)


def test_without_voters_nothing_is_chosen(library):
    nobody = np.ones(len(library.member_prototypes), dtype=bool)
    assert rank_proposals(library, parse_formula('KF'), 20, 20, excluded=nobody) == []


def test_excluded_compounds_count_as_if_they_were_not_there(library):
    formula = parse_formula('KF')
    excluded = np.zeros(len(library.member_prototypes), dtype=bool)
    excluded[::2] = True
    kept = ('member_prototypes', 'member_elements', 'member_volumes', 'member_hulls')
    smaller = dataclasses.replace(library, **{name: getattr(library, name)[~excluded] for name in kept})
    found, expected = rank_proposals(library, formula, 20, 20, excluded), rank_proposals(smaller, formula, 20, 20)
    places = np.flatnonzero(~excluded)
    assert len(found) > 2
    assert found == [
        dataclasses.replace(
            entry,
            nearest=int(places[entry.nearest]),
            voters=tuple(voter._replace(member=int(places[voter.member])) for voter in entry.voters),
        )
        for entry in expected
    ]
    assert found != rank_proposals(library, formula, 20, 20)


def test_the_compounds_of_its_prototype_speak_for_a_proposal(library):
    first = rank_proposals(library, parse_formula('KF'), 20, 20)[0]
    members = [voter.member for voter in first.voters]
    assert set(library.member_prototypes[members].tolist()) == {first.prototype}
    assert members[0] == first.nearest
    weights = np.array([voter.weight for voter in first.voters])
    assert (np.diff(weights) <= 0.0).all()
    assert weights.sum() == pytest.approx(1.0)
    volumes = np.array([voter.volume_per_atom for voter in first.voters])
    assert weights @ volumes == pytest.approx(first.volume_per_atom)


@pytest.mark.parametrize('formula', ['KF', 'PbTiO3', 'PbO4', 'Fe'])
def test_shares_fall_and_what_is_counted_again_stays_small(library, formula):
    """A crystal that is already matched leaves 3 % open, which may be counted once more."""
    found = rank_proposals(library, parse_formula(formula), 20, 20)
    shares = [proposal.share for proposal in found]
    assert shares == sorted(shares, reverse=True)
    assert 0.99 < sum(shares) <= 1 / 0.97 + 1e-5
    described = [(proposal.prototype, proposal.elements, proposal.formula_units) for proposal in found]
    assert len(set(described)) == len(described)


def test_the_first_share_is_that_of_all_votes_for_what_it_matches(library):
    formula = parse_formula('KF')
    votes = substitutions(library, Wanted.of(library, formula, 1))
    salt = library.spacegroups[votes.prototypes] == 225
    total = np.logaddexp.reduce(votes.votes.ravel())
    first = rank_proposals(library, formula, 2, 1, decorate=False)[0]
    assert first.share == pytest.approx(np.exp(votes.votes[salt] - total).sum(), abs=1e-5)
    assert first.support == pytest.approx(total)
