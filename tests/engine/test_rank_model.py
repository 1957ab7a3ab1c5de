"""Tests of the model that gives relaxed structures their confidence."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.rank_model import (
    FEATURES,
    OTHER,
    CandidateFacts,
    confidences,
    features,
    shipped_weights,
    with_weights,
)
from aiida_alphacrystal.engine.reconstruct import Candidate
from aiida_alphacrystal.engine.relax import Relaxation, resolve_potential
from aiida_alphacrystal.engine.settings import RankSettings


def relaxation(energy, initial=None, volume=64.0):
    structure = Structure(Lattice.cubic(volume ** (1 / 3)), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
    zeros = np.zeros((2, 3))
    return Relaxation(structure, energy, zeros, 0.0, np.zeros((3, 3)), 1, True, None, initial)


def described(groups, facts, relaxations):
    rows = features(groups, facts, relaxations, [one.energy for one in relaxations])
    return [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]


def test_features():
    facts = [
        CandidateFacts(1.0, False, 30.0, 0.2, -2.0),
        CandidateFacts(8.0, True, 32.0, None, -3.0),
        CandidateFacts(2.0, False, 32.0, 0.1, None),
    ]
    relaxations = [relaxation(-3.0, -2.9), relaxation(-2.99, -2.98), relaxation(-2.98, -2.98)]
    one, two = described([[0, 1], [2]], facts, relaxations)
    assert one['energy'] == 0.0
    assert two['energy'] == pytest.approx(-math.log(2.0))
    assert one['prior'] == pytest.approx(math.log(math.exp(-1.0) + math.exp(-8.0) + math.exp(-5.0)))
    assert (one['search'], two['search']) == (1.0, 0.0)
    assert one['relaxation'] == pytest.approx(-math.log(0.013))
    assert two['relaxation'] == pytest.approx(-math.log(0.003))
    assert (one['volume'], two['volume']) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert one['cell'] == pytest.approx(math.log(0.201))
    assert two['cell'] == pytest.approx(math.log(0.101))
    assert (one['distances'], two['distances']) == (0.0, 0.0)  # what is not known counts as the worst that is


def test_what_is_not_known_says_nothing():
    relaxations = [relaxation(-3.0), relaxation(-3.0, volume=80.0)]
    one, two = described([[0], [1]], [CandidateFacts(1.0), CandidateFacts(1.0)], relaxations)
    assert one == two


def test_swelling_counts_in_tenths_of_the_logarithm():
    (row,) = described([[0]], [CandidateFacts(0.0, volume_per_atom=32.0 * math.exp(-0.3))], [relaxation(-3.0)])
    assert row['volume'] == pytest.approx(-3.0)


@given(
    st.lists(st.lists(st.floats(-30, 30), min_size=7, max_size=7), min_size=1, max_size=6),
    st.lists(st.floats(-5, 5), min_size=8, max_size=8),
)
def test_confidences_and_that_of_none_add_up_to_one(rows, weights):
    found = confidences(np.array(rows), weights)
    without = confidences(np.array(rows), [*weights[:-1], -1e9])
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum() <= 1 + 1e-12
    assert without.sum() == pytest.approx(1.0)


def test_facts_of_a_candidate():
    structure = relaxation(0.0).structure
    candidate = Candidate(structure, 'descent', 'by hand', 221, 1, 8.0, fitness=-1.5, cell_probability=0.25)
    assert CandidateFacts.of(candidate) == CandidateFacts(8.0, True, pytest.approx(32.0), 0.25, -1.5)
    template = dataclasses.replace(candidate, source='template', fitness=None)
    assert CandidateFacts.of(template) == CandidateFacts(8.0, False, pytest.approx(32.0), 0.25, None)


def test_shipped_weights():
    chgnet = resolve_potential('chgnet').files.sha256
    for sha256 in (chgnet, OTHER):
        weights = shipped_weights(sha256)
        assert len(weights) == len(FEATURES) + 1
        assert weights[FEATURES.index('energy')] > 0
        assert weights[FEATURES.index('prior')] > 0
    assert shipped_weights('unheard of') == shipped_weights(OTHER)


def test_own_weights_stay():
    own = RankSettings(weights=(1.0,) * 8)
    assert with_weights(own, OTHER) == own
    assert with_weights(RankSettings(top=3), OTHER) == RankSettings(top=3, weights=shipped_weights(OTHER))
