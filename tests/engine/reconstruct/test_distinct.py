"""Which crystals of a search become candidates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.distinct import SEARCH_COST, Trial, distinct_rows, select


def trial(structure, score, hypothesis=0):
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    row = np.sort(distances[np.triu_indices(len(structure), 1)])
    return Trial(hypothesis, structure, 'descent', 'by hand', 1, 1, score + 0.5, score, row, np.zeros(0))


def moved(structure, *shift):
    other = structure.copy()
    other.translate_sites([3], shift)
    return other


def test_rows_nearer_than_the_tolerance_are_one():
    rows = np.array([[1.0, 2.0], [1.0, 2.04], [1.2, 2.0], [1.0, 1.93]])
    assert distinct_rows(rows, 0.05) == [0, 2, 3]
    assert distinct_rows(np.zeros((3, 0)), 0.05) == [0]


def test_repetitions_are_dropped_and_the_best_score_comes_first(rutile):
    other = moved(rutile, 0.15, 0.05, 0.2)
    found = select([trial(rutile, 0.1), trial(moved(rutile, 0.003, 0, 0), 0.4), trial(other, 0.2)], 5, seed=3)
    assert [candidate.fitness for candidate in found] == [pytest.approx(0.9), pytest.approx(0.7)]
    assert {(candidate.cost, candidate.seed, candidate.source) for candidate in found} == {(SEARCH_COST, 3, 'descent')}


def test_no_hypothesis_takes_more_than_twice_its_share_while_others_wait(rutile):
    shifts = [(0.15, 0.05, 0.2), (0.2, 0.1, 0.1), (0.1, 0.25, 0.15), (0.05, 0.3, 0.3), (0.3, 0.2, 0.45)]
    first = [trial(moved(rutile, *shift), 1.0 - 0.1 * place) for place, shift in enumerate(shifts)]
    others = [trial(rutile, -1.0, hypothesis=1), trial(moved(rutile, 0.4, 0.1, 0.3), -2.0, hypothesis=2)]
    found = select([*first, *others], 3, seed=0)
    assert len(found) == 3
    assert pytest.approx(-0.5) in [candidate.fitness for candidate in found]


def test_rivals_fill_what_is_left(rutile):
    close = moved(rutile, 0.06, 0.0, 0.0)
    trials = [trial(rutile, 0.4), trial(moved(rutile, 0.003, 0, 0), 0.3), trial(close, 0.1)]
    far = trial(moved(rutile, 0.15, 0.05, 0.2), 0.2)
    assert [item.fitness for item in select([*trials, far], 5, seed=0)] == pytest.approx([0.9, 0.7])
    assert [item.fitness for item in select([*trials, far], 5, seed=0, rivals=True)] == pytest.approx([0.9, 0.7, 0.6])
    assert [item.fitness for item in select([*trials, far], 2, seed=0, rivals=True)] == pytest.approx([0.9, 0.7])


def test_crystals_that_share_all_nearest_distances_are_told_apart_by_their_surroundings(rutile):
    first = trial(rutile, 0.4)
    other = dataclasses.replace(trial(moved(rutile, 0.15, 0.05, 0.2), 0.2), distances=first.distances)
    surrounded = [
        dataclasses.replace(one, surroundings=np.array([value])) for one, value in ((first, 0.5), (other, 0.9))
    ]
    assert len(select([first, other], 5, seed=0)) == 1
    assert len(select(surrounded, 5, seed=0)) == 2


def test_layers_that_are_shifted_are_another_crystal():
    """A cell that is 40 A long is sheared by less than 5 degrees when one end of it moves by one lattice vector."""
    lattice, heights = Lattice.tetragonal(3.2, 40.0), 0.04 * np.arange(6)
    lower = [[0.0, 0.0, height] for height in heights]
    layers, shifted = (
        Structure(lattice, ['Mo', 'S'] * 6, [*lower, *([shift, shift, height + 0.5] for height in heights)])
        for shift in (0.0, 0.5)
    )
    assert StructureMatcher().fit(layers, shifted)
    assert len(select([trial(layers, 0.4), trial(shifted, 0.2, hypothesis=1)], 5, seed=0)) == 2
