"""Gradient search on many assignments, on rutile in a space group below its own."""

from __future__ import annotations

import torch

from aiida_alphacrystal.engine.reconstruct.descent import descend, scan


def test_the_scan_keeps_some_of_every_assignment(landscape, likelihood):
    found = scan(landscape, likelihood, torch.Generator().manual_seed(0))
    owners, counts = torch.unique(found.assignments, return_counts=True)
    assert owners.tolist() == list(range(len(landscape.freedoms)))
    assert counts[landscape.freedoms[owners] == 0].tolist() == [1] * int((landscape.freedoms == 0).sum())
    assert set(counts[landscape.freedoms[owners] > 0].tolist()) == {16}
    again = landscape.with_gradient(likelihood, found)[0]
    assert torch.allclose(again, found.fitness, atol=1e-5)


def test_the_truth_is_found_and_a_stop_is_heard(landscape, likelihood):
    rounds = []

    def finished(field):
        rounds.append(float(field.fitness.max()))
        return len(rounds) > 6

    found = descend(landscape, likelihood, torch.Generator().manual_seed(1), finished)
    assert len(rounds) == 7
    assert rounds == sorted(rounds)
    assert found.fitness.tolist() == sorted(found.fitness.tolist(), reverse=True)
    assert float(found.fitness[0]) > likelihood.bound - 0.12
