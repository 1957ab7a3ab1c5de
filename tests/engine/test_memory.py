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


def test_what_is_loaded_is_passed_over():
    gc.unfreeze()
    kept = ['loaded']
    exempt_from_collection()
    assert gc.get_freeze_count() > 0
    assert not any(one is kept for one in gc.get_objects())


def test_garbage_is_not_kept():
    class Left:
        pass

    gc.disable()
    try:
        left = Left()
        left.itself = left
        del left
        exempt_from_collection()
        gc.unfreeze()
        assert not any(isinstance(one, Left) for one in gc.get_objects())
    finally:
        gc.enable()


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
