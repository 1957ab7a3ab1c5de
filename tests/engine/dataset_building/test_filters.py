"""Which crystals are taken, and how their formulas are shared."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.dataset_building import Filters, Split
from aiida_alphacrystal.engine.errors import SettingsError


def test_presets_come_together():
    assert Filters.from_presets([]) == Filters(20, False, (), None)
    assert Filters.from_presets(['mp12']).max_atoms == 12
    assert Filters.from_presets(['mp12'], max_atoms=8).max_atoms == 8
    assert Filters.from_presets(['cubic', 'ternary', 'binary'], 10, 0.1) == Filters(10, True, (2, 3), 0.1)
    with pytest.raises(SettingsError, match="'mp21' is no preset"):
        Filters.from_presets(['mp21'])


def test_refusals(salts):
    crystal = salts[0]
    assert Filters(2, True, (2,), 0.0).refusal(crystal) is None
    assert Filters(1).refusal(crystal) == 'more than 1 atoms in the primitive cell'
    assert Filters(elements=(3,)).refusal(crystal) == 'not of 3 elements'
    assert Filters(elements=(1, 3)).refusal(crystal) == 'not of 1 or 3 elements'
    assert Filters(cubic=True).refusal(dataclasses.replace(crystal, spacegroup=194)) == 'not cubic'
    high, unknown = (dataclasses.replace(crystal, e_above_hull=value) for value in (0.2, None))
    assert Filters(max_above_hull=0.1).refusal(high) == 'above the hull by over 0.1 eV/atom'
    assert Filters(max_above_hull=0.1).refusal(unknown) == 'energy above the hull not known'


@given(formula=st.text(), seed=st.integers(0, 9))
def test_a_formula_has_one_part_and_moves_only_out_of_training(formula, seed):
    small, large = Split(0.1, 0.1, seed), Split(0.2, 0.1, seed)
    assert small.part_of(formula) == small.part_of(formula)
    assert small.part_of(formula) in {'train', large.part_of(formula)}


def test_shares_hold_for_many_formulas():
    split = Split(0.05, 0.1)
    parts = [split.part_of(f'formula {number}') for number in range(20_000)]
    assert parts.count('val') / len(parts) == pytest.approx(0.05, abs=0.005)
    assert parts.count('test') / len(parts) == pytest.approx(0.1, abs=0.007)
    other = dataclasses.replace(split, seed=1)
    assert [other.part_of(f'formula {number}') for number in range(20_000)] != parts


def test_parts_without_a_share_are_none():
    assert Split(0, 0).parts == ('train',)
    assert Split(0.1, 0).parts == ('train', 'val')
    assert Split(0, 0).part_of('NaCl') == 'train'


@pytest.mark.parametrize('shares', [(-0.1, 0.1), (0.5, 0.5), (float('nan'), 0)])
def test_impossible_shares(shares):
    with pytest.raises(SettingsError, match='leave nothing to train on'):
        Split(*shares)
