"""Crystals whose atoms are matched with the rows of the prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from scipy.special import ndtr

from aiida_alphacrystal.engine.distances import DistancePrediction, minimum_image_distances
from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.reconstruct.landscape import Crystals, Landscape, length_scale
from aiida_alphacrystal.engine.reconstruct.matched import Likelihoods, mend, polish
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    build_structure,
    enumerate_assignments,
    primitive_lattice,
    space_group,
)

CPU = torch.device('cpu')
PARAMETERS = (7.1, 5.3, 6.4, 90.0, 98.0, 90.0)
#: Free coordinates of two Ti and three O in general positions of P2_1/c, far from one another.
PLACES = [[0.21, 0.13, 0.08], [0.72, 0.62, 0.17], [0.43, 0.31, 0.34], [0.07, 0.44, 0.27], [0.55, 0.05, 0.42]]


@pytest.fixture
def oxide():
    """Return twenty atoms in P2_1/c."""
    symbols = ['Ti', 'Ti', 'O', 'O', 'O']
    return Structure.from_spacegroup('P2_1/c', Lattice.from_parameters(*PARAMETERS), symbols, PLACES)


def sharp_prediction(structure):
    """Return normal distributions around the distances of a structure, 0.05 A wide."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    edges = np.linspace(0.0, 24.0, 481)
    probabilities = np.diff(ndtr((edges - distances[..., None]) / 0.05), axis=-1) + 1e-9
    species = tuple(site.specie.symbol for site in structure)
    return DistancePrediction(species, edges, probabilities / probabilities.sum(axis=-1, keepdims=True))


@pytest.fixture
def cell(oxide):
    """Return the crystals of the cell, its general assignment, and the likelihoods of the distances."""
    assignments = enumerate_assignments(14, {'Ti': 8, 'O': 12})
    general = [assignment for assignment in assignments if {letter for _, letter in assignment.sites} == {'e'}]
    lattice = reduced_lattice(primitive_lattice(14, PARAMETERS))
    landscape = Landscape(space_group(14), general, lattice, CPU)
    ordered = Structure.from_sites(sorted(oxide, key=lambda site: site.specie.symbol != 'Ti'))
    return landscape, general[0], Likelihoods.of(sharp_prediction(ordered), CPU)


def crystals_of(places):
    genes = torch.tensor([[*(value for place in places for value in place), 0.0]])
    return Crystals(torch.zeros(1, dtype=torch.int64), genes, torch.zeros(1))


def structure_of(crystals, assignment):
    genes = crystals.genes[0].double().numpy()
    scale = float(length_scale(crystals.genes[0, -1]))
    return build_structure(14, PARAMETERS, assignment, genes[: assignment.freedom], scale)


def test_a_polish_brings_atoms_home(cell, oxide):
    landscape, assignment, likelihoods = cell
    near = crystals_of([[value + 0.02 * (-1) ** place for value in row] for place, row in enumerate(PLACES)])
    polished = polish(landscape, likelihoods, near, torch.Generator().manual_seed(0))
    assert float(polished.fitness[0]) > likelihoods.sharp.bound - 0.3
    assert normalised_rms(structure_of(polished, assignment), oxide) < 0.01


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
