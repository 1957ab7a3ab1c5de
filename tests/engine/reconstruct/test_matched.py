"""Crystals whose atoms are matched with the rows of the prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.reconstruct.landscape import Crystals, Landscape, length_scale
from aiida_alphacrystal.engine.reconstruct.matched import Likelihoods, mend, polish
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    Assignment,
    build_structure,
    enumerate_assignments,
    primitive_lattice,
    space_group,
)
from tests.engine.reconstruct.conftest import MONOCLINIC, PLACES, spread_prediction

CPU = torch.device('cpu')


@pytest.fixture
def cell(oxide):
    """Return the crystals of the cell, its general assignment, and the likelihoods of the distances."""
    assignments = enumerate_assignments(14, {'Ti': 8, 'O': 12})
    general = [assignment for assignment in assignments if {letter for _, letter in assignment.sites} == {'e'}]
    lattice = reduced_lattice(primitive_lattice(14, MONOCLINIC))
    landscape = Landscape(space_group(14), general, lattice, CPU)
    return landscape, general[0], Likelihoods.of(spread_prediction(oxide, 0.05), CPU)


def crystals_of(places):
    genes = torch.tensor([[*(value for place in places for value in place), 0.0]])
    return Crystals(torch.zeros(1, dtype=torch.int64), genes, torch.zeros(1))


def structure_of(crystals, assignment):
    genes = crystals.genes[0].double().numpy()
    scale = float(length_scale(crystals.genes[0, -1]))
    return build_structure(14, MONOCLINIC, assignment, genes[: assignment.freedom], scale)


def test_a_polish_brings_atoms_home(cell, oxide):
    landscape, assignment, likelihoods = cell
    near = crystals_of([[value + 0.02 * (-1) ** place for value in row] for place, row in enumerate(PLACES)])
    polished = polish(landscape, likelihoods, near, torch.Generator().manual_seed(0))
    assert float(polished.fitness[0]) > likelihoods.sharp.bound - 0.3
    assert normalised_rms(structure_of(polished, assignment), oxide) < 0.01


def test_copies_of_the_best_leave_room_for_another():
    """Layers of CoCl2 have almost the same nearest distances in two stackings, here 0.07 A from one another."""
    parameters = (3.54, 3.54, 16.8, 90.0, 90.0, 120.0)
    layered = Assignment((('Co', 'a'), ('Cl', 'c')), 1)
    landscape = Landscape(space_group(166), [layered], reduced_lattice(primitive_lattice(166, parameters)), CPU)
    structure = build_structure(166, parameters, layered, np.array([0.2573]))
    likelihoods = Likelihoods.of(spread_prediction(structure, 0.05), CPU)
    heights = [0.2573 + 0.0001 * copy for copy in range(12)] + [0.4075]
    crystals = Crystals(torch.zeros(13, dtype=torch.int64), torch.tensor([[z, 0.0] for z in heights]), torch.zeros(13))
    polished = polish(landscape, likelihoods, crystals, torch.Generator().manual_seed(0))
    assert polished.genes[:, 0].tolist() == pytest.approx([0.2573, 0.4056], abs=0.002)


def test_an_orbit_in_the_wrong_place_is_mended(cell, oxide):
    landscape, assignment, likelihoods = cell
    generator = torch.Generator().manual_seed(0)
    wrong = crystals_of([*PLACES[:3], [0.91, 0.75, 0.36], PLACES[4]])
    rounds = []
    mended = mend(landscape, likelihoods, wrong, generator, lambda field: rounds.append(float(field.fitness.max())))
    assert rounds[0] < likelihoods.coarse.bound - 0.15
    assert float(mended.fitness[0]) > likelihoods.sharp.bound - 0.3
    assert normalised_rms(structure_of(mended, assignment), oxide) < 0.01
    assert rounds[-1] > rounds[0] + 0.05
    assert len(rounds) >= 4  # it goes on until nothing gets better


def test_what_is_finished_is_only_polished(cell):
    landscape, _, likelihoods = cell
    start = crystals_of(PLACES)
    mended = mend(landscape, likelihoods, start, torch.Generator().manual_seed(0), lambda field: True)
    assert float(mended.fitness.max()) > likelihoods.sharp.bound - 0.3
    assert landscape.evaluations < 200
