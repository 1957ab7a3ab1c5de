"""The likelihood of distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Structure

from aiida_alphacrystal.engine.distances import DistancePrediction, minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood, element_blocks

CPU = torch.device('cpu')


def measured(structure):
    """Return the upper triangle of the distances and the shortest lattice vector."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    return distances[np.triu_indices(len(structure), 1)], distances[0, 0]


def sorted_by_block(distances, species):
    blocks = element_blocks(species)
    return distances[np.lexsort((distances, blocks))]


def value(likelihood, distances, own, *, matched=False):
    trial = torch.tensor(distances[None], dtype=torch.float32)
    return float(likelihood(trial, own, torch.ones(1), matched=matched)[0][0])


def own_share(likelihood, own):
    """Return the log-likelihood of the distance of one atom to its own images."""
    return float(likelihood._look_up(torch.tensor([[own]], dtype=torch.float32), likelihood._starts[True][-1:])[0])


def test_blocks_number_the_pairs_of_elements():
    assert element_blocks(['Ti', 'O', 'O']).tolist() == [1, 1, 2]
    assert element_blocks(['Na']).tolist() == []


def test_truth_scores_best_and_order_inside_an_element_does_not_count(rutile, certain):
    prediction = certain(rutile)
    likelihood = DistanceLikelihood(prediction, 0.1, CPU)
    swapped = Structure.from_sites([rutile[index] for index in (1, 0, 4, 2, 5, 3)])
    moved = rutile.copy()
    moved.translate_sites([3], [0.1, 0.05, 0.0])
    values = [
        value(likelihood, sorted_by_block(measured(item)[0], prediction.species), measured(item)[1])
        for item in (rutile, swapped, moved)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-5)
    assert values[2] < values[0] - 0.3
    assert values[0] <= likelihood.bound + 1e-5


def test_matched_distances_keep_their_rows(perovskite, certain):
    likelihood = DistanceLikelihood(certain(perovskite), 0.1, CPU)
    distances, own = measured(perovskite)
    turned = np.roll(distances, 1)
    assert value(likelihood, distances, own, matched=True) > value(likelihood, turned, own, matched=True) + 0.5


def test_clashes_and_far_outliers_cost_but_a_coarse_score_still_leads_home(perovskite, certain):
    distances, own = measured(perovskite)
    species = certain(perovskite).species
    true = sorted_by_block(distances, species)
    sharp, coarse = (DistanceLikelihood(certain(perovskite), weight, CPU) for weight in (0.1, 1.0))
    near, far, clash = true.copy(), true.copy(), true.copy()
    near[-1] += 1.0
    far[-1] += 3.0
    clash[-1] = 0.4
    assert value(coarse, true, own) > value(coarse, near, own) > value(coarse, far, own)
    assert value(sharp, far, own) - value(sharp, clash, own) > 1.0


def test_slopes_are_those_of_the_value(rutile, certain):
    likelihood = DistanceLikelihood(certain(rutile), 0.5, CPU)
    likelihood._table = likelihood._table.to(torch.complex128)
    likelihood._weights = likelihood._weights.double()
    distances, own = measured(rutile)
    trial = torch.tensor(np.sort(distances)[None] + 0.0031)
    scale = torch.tensor([1.013], dtype=torch.float64)
    _, slopes, by_scale = likelihood(trial, own, scale, matched=False)
    step = 1e-6
    for place in range(trial.shape[1]):
        moved = torch.zeros_like(trial)
        moved[0, place] = step
        up, down = (likelihood(trial + sign * moved, own, scale, matched=False)[0] for sign in (1, -1))
        assert float((up - down) / (2 * step)) == pytest.approx(float(slopes[0, place]), abs=1e-6)
    up, down = (likelihood(trial, own, scale + sign * step, matched=False)[0] for sign in (1, -1))
    assert float((up - down) / (2 * step)) == pytest.approx(float(by_scale), abs=1e-5)


def test_some_of_the_atoms_are_judged_as_a_prediction_of_them_alone(rutile, certain):
    prediction = certain(rutile)
    whole = DistanceLikelihood(prediction, 0.5, CPU)
    rows = np.array([0, 1, 3, 5])
    part = DistancePrediction(
        ('Ti', 'Ti', 'O', 'O'), prediction.bin_edges, prediction.probabilities[np.ix_(rows, rows)]
    )
    alone, among = DistanceLikelihood(part, 0.5, CPU), whole.among(rows, part.species)
    distances = np.array([2.0, 2.5, 2.9, 3.1, 3.3, 4.0])
    pairs = len(distances)
    for matched in (True, False):
        values = [value(judge, distances, 2.9, matched=matched) for judge in (alone, among)]
        own = [own_share(judge, 2.9) for judge in (alone, whole)]
        shares = [(pairs + 4) * found - 4 * shortest for found, shortest in zip(values, own, strict=True)]
        assert shares[0] == pytest.approx(shares[1], abs=1e-4)


def test_kinds_narrower_than_elements_are_sorted_apart(rutile, certain):
    whole = DistanceLikelihood(certain(rutile), 0.1, CPU)
    kinds = ['Ti', 'Ti', 'near', 'near', 'far', 'far']
    narrow = whole.among(np.arange(6), kinds)
    assert narrow.bound == whole.bound
    distances, own = measured(rutile)
    blocks = element_blocks(kinds)
    apart = distances[np.lexsort((distances, blocks))]
    assert value(narrow, apart, own) == pytest.approx(value(whole, distances, own, matched=True), abs=1e-5)


def test_distances_of_the_last_atoms_make_up_what_those_of_the_others_leave(rutile, certain):
    whole = DistanceLikelihood(certain(rutile), 0.5, CPU)
    rows = np.arange(6)
    distances, own = measured(rutile)
    first, second = np.triu_indices(6, 1)
    last = whole.among(rows, whole_species := ['Ti'] * 2 + ['O'] * 4, last=2)
    rest = whole.among(rows[:4], whole_species[:4])
    sums = [
        (pairs.sum() + atoms) * value(judge, distances[pairs], own, matched=True)
        for judge, pairs, atoms in ((whole, second >= 0, 6), (last, second >= 4, 6), (rest, second < 4, 4))
    ]
    shortest = own_share(whole, own)
    assert sums[0] - 6 * shortest == pytest.approx(sums[1] + sums[2] - 10 * shortest, abs=1e-3)
    assert first.size == 15
