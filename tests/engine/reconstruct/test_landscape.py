"""The batched fitness of all crystals of a cell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.landscape import Crystals, Landscape, length_scale
from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    build_structure,
    enumerate_assignments,
    primitive_lattice,
    space_group,
)

CPU = torch.device('cpu')
LENGTH = st.floats(3.0, 14.0)
CASES = [
    (1, {'Na': 2, 'Cl': 2}),
    (2, {'Ti': 1, 'O': 4}),
    (14, {'Ti': 2, 'O': 6}),
    (15, {'Ti': 2, 'O': 4}),
    (43, {'Ti': 2, 'O': 4}),
    (62, {'Ti': 4, 'O': 8}),
    (141, {'Ti': 2, 'O': 4}),
    (146, {'Ti': 1, 'O': 4}),
    (166, {'Ti': 2, 'O': 3}),
    (194, {'Ti': 2, 'O': 4}),
    (221, {'Ti': 1, 'O': 6}),
    (227, {'Ti': 2, 'O': 6}),
]


def landscape_of(number, counts, parameters, limit=40):
    assignments = enumerate_assignments(number, counts, limit=limit)
    lattice = reduced_lattice(primitive_lattice(number, parameters))
    return Landscape(space_group(number), assignments, lattice, CPU), assignments


def sorted_blocks(structure):
    """Return the distances of a structure, sorted within each pair of elements."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    species = np.array([site.specie.symbol for site in structure])
    blocks = []
    for first, second in itertools.combinations_with_replacement(dict.fromkeys(species.tolist()), 2):
        block = distances[np.ix_(species == first, species == second)]
        blocks.append(np.sort(block[np.triu_indices(len(block), 1)] if first == second else block.ravel()))
    return np.concatenate(blocks)


@settings(max_examples=40, deadline=None)
@given(
    case=st.sampled_from(CASES),
    lengths=st.tuples(LENGTH, LENGTH, LENGTH),
    beta=st.floats(70, 120),
    seed=st.integers(0, 1000),
)
def test_batched_distances_are_minimum_image_distances(case, lengths, beta, seed):
    number, counts = case
    parameters = (*lengths, 80.0, beta, 100.0)
    landscape, assignments = landscape_of(number, counts, parameters)
    generator = torch.Generator().manual_seed(seed)
    owners = torch.randint(len(assignments), (4,), generator=generator)
    crystals = Crystals(owners, landscape.draw((4,), generator), torch.zeros(4))
    sorted_rows, matrices = landscape.sorted_distances(crystals), landscape.matrices(crystals)
    scales = length_scale(crystals.genes[:, -1])
    for owner, genes, scale, row, matrix in zip(
        owners.tolist(), crystals.genes.double(), scales.tolist(), sorted_rows, matrices, strict=True
    ):
        assignment = assignments[owner]
        structure = build_structure(number, parameters, assignment, genes[: assignment.freedom].numpy(), scale)
        assert np.allclose(row, sorted_blocks(structure), atol=2e-4)
        expected = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
        np.fill_diagonal(expected, 0.0)
        assert np.allclose(matrix, expected, atol=2e-4)


@pytest.mark.parametrize('matched', [False, True])
def test_gradient_is_the_slope_of_the_fitness(rutile, certain, matched):
    landscape, assignments = landscape_of(7, {'Ti': 2, 'O': 4}, (4.6, 4.5, 3.1, 90, 97, 90))
    likelihood = DistanceLikelihood(certain(rutile), 1.0, CPU)
    landscape._rotations, landscape._translations = landscape._rotations.double(), landscape._translations.double()
    landscape._matrix, landscape._images = landscape._matrix.double(), landscape._images.double()
    landscape._incidence = {key: value.double() for key, value in landscape._incidence.items()}
    landscape._offsets = landscape._offsets.double()
    likelihood._table = likelihood._table.to(torch.complex128)
    likelihood._weights = likelihood._weights.double()
    generator = torch.Generator().manual_seed(5)
    owners = torch.randint(len(assignments), (30,), generator=generator)
    genes = landscape.draw((30,), generator).double()
    order = torch.tensor([[1, 0, 4, 2, 5, 3]]).expand(30, -1) if matched else None
    _, slopes = landscape.with_gradient(likelihood, Crystals(owners, genes, genes[:, 0]), order)
    step = 1e-6
    for place in range(genes.shape[1]):
        moved = torch.zeros_like(genes)
        moved[:, place] = step
        up, down = (
            landscape.with_gradient(likelihood, Crystals(owners, genes + sign * moved, genes[:, 0]), order)[0]
            for sign in (1, -1)
        )
        assert float(((up - down) / (2 * step) - slopes[:, place]).abs().median()) < 1e-5


@pytest.mark.parametrize('matched', [False, True])
def test_fitness_is_the_same_with_and_without_its_slopes(rutile, certain, matched):
    landscape, assignments = landscape_of(15, {'Ti': 2, 'O': 4}, (5.1, 4.7, 6.2, 90, 103, 90))
    likelihood = DistanceLikelihood(certain(rutile), 1.0, CPU)
    generator = torch.Generator().manual_seed(2)
    owners = torch.randint(len(assignments), (50,), generator=generator)
    genes = landscape.draw((50,), generator)
    order = torch.tensor([[1, 0, 4, 2, 5, 3]]).expand(50, -1) if matched else None
    alone = landscape.evaluate(likelihood, owners, genes[:, None], order)[:, 0]
    crystals = Crystals(owners, genes, torch.zeros_like(alone))
    assert torch.equal(landscape.judged(likelihood, crystals, order).fitness, alone)
    with_slopes = landscape.with_gradient(likelihood, crystals, order)[0]
    assert torch.allclose(alone, with_slopes, atol=1e-5)


def test_matched_distances_are_those_of_the_ordered_atoms(rutile, certain):
    landscape, assignments = landscape_of(15, {'Ti': 2, 'O': 4}, (5.1, 4.7, 6.2, 90, 103, 90))
    likelihood = DistanceLikelihood(certain(rutile), 1.0, CPU)
    generator = torch.Generator().manual_seed(3)
    owners = torch.randint(len(assignments), (20,), generator=generator)
    crystals = Crystals(owners, landscape.draw((20,), generator), torch.zeros(20))
    order = torch.stack([torch.cat([torch.randperm(2), 2 + torch.randperm(4)]) for _ in range(20)])
    found = landscape.evaluate(likelihood, owners, crystals.genes[:, None], order)[:, 0]
    scale = length_scale(crystals.genes[:, -1])
    rows, columns = np.triu_indices(6, 1)
    for place, matrix in enumerate(landscape.matrices(crystals)):
        lengths = (matrix[order[place]][:, order[place]] / scale[place])[rows, columns][None]
        expected = likelihood(lengths, landscape.lattice.shortest, scale[place : place + 1], matched=True)[0]
        assert float(found[place]) == pytest.approx(float(expected[0]), abs=1e-4)


def test_chunks_and_company_change_nothing_but_the_last_bits(rutile, certain):
    landscape, assignments = landscape_of(14, {'Ti': 2, 'O': 4}, (4.6, 4.7, 5.1, 90, 97, 90))
    likelihood = DistanceLikelihood(certain(rutile), 0.1, CPU)
    owners = torch.arange(len(assignments))
    genes = landscape.draw((len(assignments), 5), torch.Generator().manual_seed(0))
    together = landscape.evaluate(likelihood, owners, genes)
    landscape._chunk = 3
    assert torch.allclose(landscape.evaluate(likelihood, owners, genes), together, atol=1e-5)
    assert landscape.evaluations == 2 * genes.shape[:2].numel()


def test_a_climb_reaches_the_top_and_never_goes_down(rutile, certain):
    landscape, assignments = landscape_of(136, {'Ti': 2, 'O': 4}, (4.594, 4.594, 2.959, 90, 90, 90))
    likelihood = DistanceLikelihood(certain(rutile), 1.0, CPU)
    owner = [item.sites for item in assignments].index((('Ti', 'a'), ('O', 'f')))
    genes = torch.zeros(1, landscape.freedom + 1)
    genes[0, 0] = 0.28
    start = Crystals(torch.tensor([owner]), genes, torch.zeros(1))
    top = landscape.climb(likelihood, start, 40)
    assert float(top.genes[0, 0]) == pytest.approx(0.3053, abs=0.01)
    assert float(top.fitness[0]) > float(landscape.with_gradient(likelihood, start)[0][0]) + 0.05
    assert float(top.fitness[0]) > likelihood.bound - 0.1


def test_best_keeps_to_its_limits():
    crystals = Crystals(
        torch.tensor([0, 0, 0, 1, 1, 2]), torch.arange(6.0)[:, None], torch.tensor([5.0, 6.0, 4.0, 1.0, 3.0, 2.0])
    )
    assert crystals.best(6, 2).fitness.tolist() == [6.0, 5.0, 3.0, 2.0, 1.0]
    assert crystals.best(3, 1).assignments.tolist() == [0, 1, 2]
    assert crystals.best(2, 9).genes[:, 0].tolist() == [1.0, 0.0]


def test_surroundings_tell_crystals_apart_that_share_their_nearest_distances():
    parameters = (3.84, 3.84, 9.2, 90.0, 90.0, 120.0)
    landscape, assignments = landscape_of(160, {'Cu': 1, 'Cl': 1}, parameters)
    owner = [assignment.freedom for assignment in assignments].index(2)
    genes = torch.stack([torch.zeros(97), torch.linspace(0.02, 0.98, 97), torch.zeros(97)], dim=1)
    crystals = Crystals(torch.full((97,), owner), genes, torch.zeros(97))
    nearest, around = landscape.sorted_distances(crystals)[:, 0], landscape.surroundings(crystals)[:, 1]
    for place in (3, 20, 47):
        built = build_structure(160, parameters, assignments[owner], genes[place, :2].double().numpy())
        sites = built.get_sites_in_sphere(built[0].coords, 15.0)
        distances = np.array([site.nn_distance for site in sites if site.specie.symbol == 'Cl'])
        assert float(around[place]) == pytest.approx(float(np.exp(-(distances**2) / 4.5).sum()), rel=0.03)
    as_near = (nearest[:, None] - nearest).abs() < 0.01
    assert float((around[:, None] - around).abs()[as_near].max()) > 0.03


def test_places_of_the_last_atoms_are_judged_as_in_the_whole_crystal(rutile, certain):
    landscape, assignments = landscape_of(58, {'Ti': 2, 'O': 4}, (4.6, 4.5, 3.0, 90, 90, 90))
    whole = DistanceLikelihood(certain(rutile), 1.0, CPU)
    rows, kinds = np.arange(6), ['Ti'] * 2 + ['O'] * 4
    lot = torch.tensor([next(index for index, item in enumerate(assignments) if item.freedom == 2)])
    genes = landscape.draw((1, 50), torch.Generator().manual_seed(1))
    genes[..., -1] = 0.0  # the titanium atoms have no freedom: their share is the same in all
    part = landscape.of_last(4)
    narrow = part.evaluate(whole.among(rows, kinds, 4), lot, genes)[0]
    full = landscape.evaluate(whole, lot, genes)[0]
    assert part.pairs == 14
    assert landscape.pairs == 15
    scale = (15 + 6) / (14 + 6)
    assert torch.allclose(narrow - narrow[0], (full - full[0]) * scale, atol=1e-4)
    assert narrow.std() > 0.1
