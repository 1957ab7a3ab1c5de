"""Crystals and a prototype library for the tests of the reconstruction."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from scipy.special import ndtr

from aiida_alphacrystal.engine.datasets import read_crystals
from aiida_alphacrystal.engine.distances import DistancePrediction, minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.landscape import Landscape
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.training import train_templates
from aiida_alphacrystal.engine.reconstruct.wyckoff import enumerate_assignments, primitive_lattice, space_group

MONOCLINIC = (7.1, 5.3, 6.4, 90.0, 98.0, 90.0)
#: Free coordinates of two Ti and three O in general positions of P2_1/c, far from one another.
PLACES = [[0.21, 0.13, 0.08], [0.72, 0.62, 0.17], [0.43, 0.31, 0.34], [0.07, 0.44, 0.27], [0.55, 0.05, 0.42]]


@pytest.fixture(scope='session')
def crystals(crystals_file):
    """Return the textbook crystals."""
    return read_crystals(crystals_file)


@pytest.fixture(scope='session')
def library_dir(crystals, tmp_path_factory):
    """Return the directory of a library of the textbook crystals."""
    directory = tmp_path_factory.mktemp('library')
    train_templates(crystals, {'file': 'textbook'}, directory)
    return directory


@pytest.fixture(scope='session')
def library(library_dir):
    """Return a library of the textbook crystals."""
    return load_library(library_dir / 'templates.safetensors')


def certain_prediction(structure):
    """Return a prediction that is sure of the distances of a structure."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    edges = np.linspace(0.0, 24.0, 481)
    place = np.searchsorted(edges, distances) - 1
    species = tuple(site.specie.symbol for site in structure)
    return DistancePrediction(species, edges, np.eye(len(edges) - 1)[place])


def spread_prediction(structure, width):
    """Return normal distributions around the distances of a structure."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    edges = np.linspace(0.0, 24.0, 481)
    probabilities = np.diff(ndtr((edges - distances[..., None]) / width)) + 1e-9
    species = tuple(site.specie.symbol for site in structure)
    return DistancePrediction(species, edges, probabilities / probabilities.sum(axis=-1, keepdims=True))


@pytest.fixture(scope='session')
def certain():
    """Return what makes a prediction that is sure of the distances of a structure."""
    return certain_prediction


@pytest.fixture(scope='session')
def rutile():
    """Return rutile."""
    lattice = Lattice.from_parameters(4.594, 4.594, 2.959, 90.0, 90.0, 90.0)
    return Structure.from_spacegroup('P4_2/mnm', lattice, ['Ti', 'O'], [[0, 0, 0], [0.3053, 0.3053, 0]])


@pytest.fixture(scope='session')
def oxide():
    """Return twenty atoms in P2_1/c, titanium first."""
    symbols = ['Ti', 'Ti', 'O', 'O', 'O']
    structure = Structure.from_spacegroup('P2_1/c', Lattice.from_parameters(*MONOCLINIC), symbols, PLACES)
    return Structure.from_sites(sorted(structure, key=lambda site: site.specie.symbol != 'Ti'))


@pytest.fixture(scope='session')
def perovskite():
    """Return cubic strontium titanate."""
    coordinates = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(3.905), ['Sr', 'Ti', 'O', 'O', 'O'], coordinates)


@pytest.fixture
def landscape():
    """Return the crystals of two TiO2 in Pnnm, a subgroup of that of rutile, in the lattice of rutile."""
    assignments = enumerate_assignments(58, {'Ti': 2, 'O': 4})
    lattice = reduced_lattice(primitive_lattice(58, (4.594, 4.594, 2.959, 90.0, 90.0, 90.0)))
    return Landscape(space_group(58), assignments, lattice, torch.device('cpu'))


@pytest.fixture
def likelihood(rutile):
    """Return a coarse likelihood of the distances of rutile."""
    return DistanceLikelihood(certain_prediction(rutile), 1.0, torch.device('cpu'))
