"""What ends a search."""

from aiida_alphacrystal.engine.reconstruct.budget import Budget


def test_without_a_limit_only_a_stop_ends_it():
    budget = Budget()
    assert not budget.spent
    budget.stop()
    assert budget.spent


def test_a_time_ends_it():
    assert not Budget(1000.0).spent
    assert Budget(1e-9).spent
