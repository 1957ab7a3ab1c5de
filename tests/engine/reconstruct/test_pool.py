"""Tests of the pool of both sources."""

import numpy as np
import pytest

from aiida_alphacrystal.engine.cells import CellHypothesis
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.distances import DistancePrediction, fine_bins, minimum_image_distances
from aiida_alphacrystal.engine.reconstruct import reconstruct
from aiida_alphacrystal.engine.reconstruct.templates import is_new
from aiida_alphacrystal.engine.settings import PredictionSettings

ROCK_SALT = CellHypothesis(225, 1, (5.64, 5.64, 5.64, 90.0, 90.0, 90.0), 0.6)
ZINC_BLENDE = CellHypothesis(216, 1, (6.2, 6.2, 6.2, 90.0, 90.0, 90.0), 0.4)


@pytest.fixture(scope='module')
def distances():
    edges = fine_bins()
    lattice = np.array([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]])
    truth = minimum_image_distances(lattice, [[0, 0, 0], [0.5, 0.5, 0.5]])
    return {1: DistancePrediction(('Na', 'Cl'), edges, np.eye(len(edges) - 1)[np.searchsorted(edges, truth) - 1])}


def settings(templates, search):
    return PredictionSettings.from_dict(
        {'templates': {'max_candidates': templates}, 'search': {'max_candidates': search, 'evaluations': 5000}}
    )


def test_both_sources_feed_one_pool_without_repetitions(library, distances):
    pool = reconstruct(parse_formula('NaCl'), [ROCK_SALT, ZINC_BLENDE], distances, library, settings(20, 5), seed=1)
    sources = [candidate.source for candidate in pool.candidates]
    assert sources == sorted(sources, reverse=True), 'templates come first'
    assert all(is_new(entry, list(pool.candidates[:place])) for place, entry in enumerate(pool.candidates))
    assert {candidate.spacegroup for candidate in pool.candidates} >= {216, 221, 225}


def test_the_search_alone_finds_rock_salt(library, distances):
    pool = reconstruct(parse_formula('NaCl'), [ROCK_SALT, ZINC_BLENDE], distances, library, settings(0, 5), seed=1)
    assert {candidate.source for candidate in pool.candidates} == {'descent'}
    assert pool.candidates[0].spacegroup == 225
    assert pool.reasons == ()


def test_an_empty_pool_says_why(library, distances):
    pool = reconstruct(parse_formula('Li3N'), [], {}, library, settings(20, 0), seed=1)
    assert pool.candidates == ()
    assert pool.reasons == ('No known prototype takes the atoms of Li3N.',)
    unknown_size = CellHypothesis(225, 7, ROCK_SALT.lattice, 1.0)
    pool = reconstruct(parse_formula('Li3N'), [unknown_size], distances, library, settings(20, 5), seed=1)
    assert len(pool.reasons) == 2
    assert '7 formula units' in pool.reasons[1]


def test_templates_are_as_the_user_wants_the_cell(library, distances):
    def spacegroups(**cells):
        settings = PredictionSettings.from_dict({'cells': cells, 'search': {'max_candidates': 0}})
        found = reconstruct(parse_formula('NaCl'), (), distances, library, settings, 0)
        return {candidate.spacegroup for candidate in found.candidates}

    assert {221, 225} <= spacegroups()
    assert spacegroups(spacegroup=221) == {221}
    assert spacegroups(crystal_system='cubic') == spacegroups()
    assert spacegroups(crystal_system='hexagonal') == set()
