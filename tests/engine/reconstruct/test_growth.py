"""Crystals that grow where distances are sure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.reconstruct.alike import AlikeRows, alike_rows
from aiida_alphacrystal.engine.reconstruct.growth import grow
from aiida_alphacrystal.engine.reconstruct.landscape import length_scale
from aiida_alphacrystal.engine.reconstruct.matched import Likelihoods, polish
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    build_structure,
    normalizer_permutations,
    primitive_lattice,
    space_group,
)
from tests.engine.reconstruct.conftest import MONOCLINIC, PLACES, spread_prediction

CPU = torch.device('cpu')
TRICLINIC = (5.1, 5.9, 6.8, 81.0, 97.0, 106.0)


@pytest.fixture(scope='module')
def inverted():
    """Return nine atoms in P-1, two of them on centres of inversion."""
    symbols, places = ['Mg', 'Mg', 'Si', 'O', 'O'], [[0, 0, 0], [0.5, 0.5, 0], [0.3, 0.2, 0.6], *PLACES[2:4]]
    structure = Structure.from_spacegroup('P-1', Lattice.from_parameters(*TRICLINIC), symbols, places)
    return Structure.from_sites(sorted(structure, key=lambda site: ['Mg', 'Si', 'O'].index(site.specie.symbol)))


def grown(structure, number, parameters, rows=None, most_orbits=(1,), seed=0):
    """Grow a crystal from its own distances; return also what the distances say."""
    prediction = spread_prediction(structure, 0.05)
    group = space_group(number)
    lattice = reduced_lattice(primitive_lattice(number, parameters))
    rows = rows or alike_rows(prediction)
    generator = torch.Generator().manual_seed(seed)
    permutations = normalizer_permutations(group, parameters)
    return grow(group, lattice, Likelihoods.of(prediction, CPU), rows, permutations, generator, most_orbits), prediction


def rows_of(structure, kinds, sizes):
    """Return sets of rows that somebody else has found."""
    species = tuple(site.specie.symbol for site in structure)
    return AlikeRows(species, np.array(kinds).repeat(sizes), spread_prediction(structure, 0.05).expectation)


def polished(result, prediction, number, parameters):
    """Return the assignment and the structure of the best crystal once its atoms are matched with the rows."""
    generator = torch.Generator().manual_seed(0)
    likelihoods = Likelihoods.of(prediction, CPU)
    crystals = polish(result.landscape, likelihoods, result.crystals, generator, result.order)
    best = int(crystals.fitness.argmax())
    assignment = result.assignments[int(crystals.assignments[best])]
    genes = crystals.genes[best].double()
    scale = float(length_scale(genes[-1]))
    return assignment, build_structure(number, parameters, assignment, genes[: assignment.freedom].numpy(), scale)


def test_twenty_atoms_in_general_positions(oxide):
    result, prediction = grown(oxide, 14, MONOCLINIC)
    assignment, structure = polished(result, prediction, 14, MONOCLINIC)
    assert assignment.sites == (('Ti', 'e'), ('Ti', 'e'), ('O', 'e'), ('O', 'e'), ('O', 'e'))
    assert normalised_rms(structure, oxide) < 0.01
    assert [site.specie.symbol for site in structure] == list(prediction.species)
    assert result.judged > 0
    best = int(result.crystals.fitness.argmax())
    order = result.order[best]
    matrix = result.landscape.matrices(result.crystals.take(torch.tensor([best])))[0][order][:, order].numpy()
    rows = alike_rows(prediction).kinds
    for kind in range(rows.max() + 1):
        own, others = np.flatnonzero(rows == kind), np.flatnonzero(rows != kind)
        found, wanted = (np.sort(values[np.ix_(own, others)].ravel()) for values in (matrix, prediction.expectation))
        assert np.abs(found - wanted).mean() < 0.15


def test_points_without_freedom_and_orbits_with_it(inverted):
    assignment, structure = polished(*grown(inverted, 2, TRICLINIC), 2, TRICLINIC)
    assert [letter for element, letter in assignment.sites if element != 'Mg'] == ['i'] * 3
    assert sum(element == 'Mg' for element, _ in assignment.sites) == 2
    assert normalised_rms(structure, inverted) < 0.02


def test_alike_rows_may_lie_on_several_orbits(oxide):
    """No position of the group holds eight titanium atoms."""
    rows = rows_of(oxide, [0, 1, 2, 3], [8, 4, 4, 4])
    assert grown(oxide, 14, MONOCLINIC, rows)[0] is None
    for most_orbits in ((2,), (1, 2)):
        assignment, structure = polished(*grown(oxide, 14, MONOCLINIC, rows, most_orbits), 14, MONOCLINIC)
        assert assignment.sites == (('Ti', 'e'), ('Ti', 'e'), ('O', 'e'), ('O', 'e'), ('O', 'e'))
        assert normalised_rms(structure, oxide) < 0.01


def test_a_set_is_divided_where_one_orbit_does_not_meet_its_distances():
    """No orbit of two atoms is as wide as the two points in the corner and the centre of the cell are apart."""
    parameters = (3.0, 3.0, 7.0, 90.0, 90.0, 90.0)
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.2], [0.5, 0.5, 0.8]]
    structure = Structure(Lattice.from_parameters(*parameters), ['Ti', 'Ti', 'O', 'O'], places)
    rows = rows_of(structure, [0, 1], [2, 2])
    for most_orbits, right in (((1,), False), ((1, 2), True)):
        assignment, found = polished(*grown(structure, 123, parameters, rows, most_orbits), 123, parameters)
        assert (len(assignment.sites) == 3) is right
        assert (normalised_rms(found, structure) is not None) is right


def test_no_position_holds_a_single_atom(oxide):
    assert grown(oxide, 14, MONOCLINIC, rows_of(oxide, [0, 1, 2], [1, 7, 12]))[0] is None


def test_the_same_seed_gives_the_same_crystals(inverted):
    first, again, other = (grown(inverted, 2, TRICLINIC, seed=seed)[0].crystals for seed in (3, 3, 4))
    assert torch.equal(first.genes, again.genes)
    assert torch.equal(first.fitness, again.fitness)
    assert not torch.equal(first.genes, other.genes)
