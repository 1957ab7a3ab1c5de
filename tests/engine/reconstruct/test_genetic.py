"""The genetic algorithm, on rutile in a space group below its own."""

from __future__ import annotations

import torch

from aiida_alphacrystal.engine.reconstruct.genetic import evolve


def run(landscape, likelihood, generations, seed=1):
    rounds = []

    def finished(field):
        rounds.append((float(field.fitness.max()), len(field)))
        return len(rounds) > generations

    return evolve(landscape, likelihood, torch.Generator().manual_seed(seed), finished), rounds


def test_the_best_survive_and_the_truth_is_found(landscape, likelihood):
    found, rounds = run(landscape, likelihood, 8)
    best = [fitness for fitness, _ in rounds]
    assert len(rounds) == 9
    assert best == sorted(best)
    assert found.fitness.tolist() == sorted(found.fitness.tolist(), reverse=True)
    assert float(found.fitness[0]) > likelihood.bound - 0.12
    assert bool(((found.genes[:, -1] >= -1.0) & (found.genes[:, -1] <= 1.0)).all())


def test_populations_become_fewer_but_stay_whole(landscape, likelihood):
    found, rounds = run(landscape, likelihood, 4)
    numbers = [number for _, number in rounds]
    assert numbers == sorted(numbers, reverse=True)
    assert {number % 24 for number in numbers} == {0}
    assert set(torch.unique(found.assignments, return_counts=True)[1].tolist()) == {24}


def test_the_same_seed_gives_the_same_generations(landscape, likelihood):
    first, again, other = (run(landscape, likelihood, 2, seed)[0].genes for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
