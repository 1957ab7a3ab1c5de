"""Assignments one step from another, and crystals in which one orbit is on the wrong position."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.reconstruct.exchange import exchange, neighbours
from aiida_alphacrystal.engine.reconstruct.landscape import Crystals, Landscape
from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    Assignment,
    enumerate_assignments,
    primitive_lattice,
    space_group,
)

PARAMETERS = (6.2, 5.4, 7.3, 90.0, 101.0, 90.0)


def content(group, assignment):
    counts = Counter()
    for element, letter in assignment.sites:
        counts[element] += group.position(letter).multiplicity
    return counts


@pytest.mark.parametrize(
    ('number', 'counts'), [(11, {'Ti': 2, 'O': 4}), (12, {'Ti': 2, 'O': 4}), (62, {'Ti': 4, 'O': 8})]
)
def test_neighbours_keep_content_and_coordinates(number, counts):
    group = space_group(number)
    fixed = {position.letter for position in group.positions if position.freedom == 0}
    for assignment in enumerate_assignments(number, counts):
        found = list(neighbours(group, assignment))
        names = [neighbour.assignment.sites for neighbour in found]
        assert assignment.sites not in names
        for neighbour in found:
            sites = neighbour.assignment.sites
            assert content(group, neighbour.assignment) == Counter(counts)
            assert list(sites) == sorted(sites, key=lambda site: (list(counts).index(site[0]), site[1]))
            points = [letter for _, letter in sites if letter in fixed]
            assert len(set(points)) == len(points)
            assert neighbour.assignment.freedom == len(neighbour.columns)
            assert neighbour.assignment.freedom == sum(group.position(letter).freedom for _, letter in sites)
            kept = [column for column in neighbour.columns if column >= 0]
            assert len(set(kept)) == len(kept)
            assert set(kept) <= set(range(assignment.freedom))


def test_neighbours_by_hand():
    group = space_group(11)  # a to d: inversion centres, two atoms; e: mirror plane, two; f: general, four
    assignment = Assignment((('Ti', 'e'), ('O', 'a'), ('O', 'e')), 4)
    found = {neighbour.assignment.sites: neighbour.columns for neighbour in neighbours(group, assignment)}
    assert found == {
        (('Ti', 'b'), ('O', 'a'), ('O', 'e')): (2, 3),
        (('Ti', 'c'), ('O', 'a'), ('O', 'e')): (2, 3),
        (('Ti', 'd'), ('O', 'a'), ('O', 'e')): (2, 3),
        (('Ti', 'e'), ('O', 'b'), ('O', 'e')): (0, 1, 2, 3),
        (('Ti', 'e'), ('O', 'c'), ('O', 'e')): (0, 1, 2, 3),
        (('Ti', 'e'), ('O', 'd'), ('O', 'e')): (0, 1, 2, 3),
        (('Ti', 'e'), ('O', 'e'), ('O', 'e')): (0, 1, 2, 3, -1, -1),
        (('Ti', 'e'), ('O', 'a'), ('O', 'b')): (0, 1),
        (('Ti', 'e'), ('O', 'a'), ('O', 'c')): (0, 1),
        (('Ti', 'e'), ('O', 'a'), ('O', 'd')): (0, 1),
        (('Ti', 'e'), ('O', 'f')): (0, 1, -1, -1, -1),
    }


def test_an_orbit_on_the_wrong_position_is_exchanged(certain):
    """Ti and two O lie on the mirror plane; the crystal has one of the O on an inversion centre."""
    places = [[0.21, 0.25, 0.37], [0.65, 0.25, 0.11], [0.43, 0.25, 0.72]]
    truth = Structure.from_spacegroup('P2_1/m', Lattice.from_parameters(*PARAMETERS), ['Ti', 'O', 'O'], places)
    likelihood = DistanceLikelihood(certain(truth), 1.0, torch.device('cpu'))
    group = space_group(11)
    wrong = Assignment((('Ti', 'e'), ('O', 'a'), ('O', 'e')), 4)
    landscape = Landscape(group, [wrong], reduced_lattice(primitive_lattice(11, PARAMETERS)), torch.device('cpu'))
    genes = torch.tensor([[0.21, 0.37, 0.43, 0.72, 0.0]])
    start = Crystals(torch.zeros(1, dtype=torch.int64), genes, torch.zeros(1))
    before = float(landscape.evaluate(likelihood, start.assignments, genes[None])[0, 0])
    found = exchange(group, [wrong], landscape, likelihood, start, torch.Generator().manual_seed(0))
    assignments, other, crystals = found
    best = int(crystals.fitness.argmax())
    assert assignments[int(crystals.assignments[best])].sites == (('Ti', 'e'), ('O', 'e'), ('O', 'e'))
    assert float(crystals.fitness[best]) > before + 0.2
    assert other.evaluations > landscape.evaluations


def test_a_group_of_one_position_has_no_neighbours(certain, rutile):
    group = space_group(1)
    assignment = Assignment((('Ti', 'a'), ('O', 'a')), 6)
    assert list(neighbours(group, assignment)) == []
    landscape = Landscape(group, [assignment], reduced_lattice(primitive_lattice(1, PARAMETERS)), torch.device('cpu'))
    likelihood = DistanceLikelihood(certain(rutile), 1.0, torch.device('cpu'))
    start = Crystals(torch.zeros(1, dtype=torch.int64), torch.rand(1, 7), torch.zeros(1))
    assert exchange(group, [assignment], landscape, likelihood, start, torch.Generator())[0] == []
