"""Orbits put somewhere else, on rutile in a space group below its own."""

from __future__ import annotations

import torch

from aiida_alphacrystal.engine.reconstruct.descent import scan
from aiida_alphacrystal.engine.reconstruct.relocation import relocate, relocate_each


def moved_orbits(landscape, owner, before, after):
    """Return the orbits whose free coordinates differ."""
    return set(landscape.sites[owner][before[:-1] != after[:-1]].tolist())


def test_a_relocation_moves_one_orbit_only(landscape, likelihood):
    generator = torch.Generator().manual_seed(0)
    before = scan(landscape, likelihood, generator)
    after = relocate(landscape, likelihood, before, generator)
    assert torch.equal(after.genes[:, -1], before.genes[:, -1])
    for owner, old, new in zip(before.assignments.tolist(), before.genes, after.genes, strict=True):
        assert len(moved_orbits(landscape, owner, old, new)) <= 1


def test_each_orbit_is_moved_in_its_turn(landscape, likelihood):
    generator = torch.Generator().manual_seed(0)
    crystals = scan(landscape, likelihood, generator).best(20, 2)
    order = torch.stack([torch.cat([torch.randperm(2), 2 + torch.randperm(4)]) for _ in range(len(crystals))])
    moved, orders = relocate_each(landscape, likelihood, crystals, order, generator)
    assert len(moved) == int(landscape.site_counts[crystals.assignments].sum())
    place = 0
    for number, owner in enumerate(crystals.assignments.tolist()):
        for orbit in range(int(landscape.site_counts[owner])):
            assert int(moved.assignments[place]) == owner
            assert moved_orbits(landscape, owner, crystals.genes[number], moved.genes[place]) == {orbit}
            assert torch.equal(orders[place], order[number])
            place += 1
    again = landscape.evaluate(likelihood, moved.assignments, moved.genes[:, None], orders)[:, 0]
    assert torch.allclose(again, moved.fitness, atol=1e-5)
