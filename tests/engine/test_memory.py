"""Tests of what the collector of garbage passes over."""

from __future__ import annotations

import gc

import pytest

from aiida_alphacrystal.engine.memory import exempt_from_collection
from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential


@pytest.fixture(autouse=True)
def usual_collection():
    yield
    gc.unfreeze()


def test_what_is_loaded_is_passed_over_and_what_is_left_behind_is_not():
    class Left:
        pass

    gc.unfreeze()
    kept, left = ['loaded'], Left()
    left.itself = left
    del left
    exempt_from_collection()
    collected = gc.get_objects()
    assert not any(one is kept for one in collected)
    assert gc.get_freeze_count() > 0
    assert not any(isinstance(one, Left) for one in collected)


def test_a_potential_is_loaded_for_good(monkeypatch):
    monkeypatch.setattr('aiida_alphacrystal.engine.relax.potentials._LOADED', {})
    gc.unfreeze()
    files = resolve_potential('chgnet').files
    potential = load_potential(files)
    assert gc.get_freeze_count() > 0
    assert not any(one is potential for one in gc.get_objects())
    gc.unfreeze()
    assert load_potential(files) is potential
    assert gc.get_freeze_count() == 0
