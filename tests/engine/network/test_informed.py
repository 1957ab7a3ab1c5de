"""Network and templates together: a mixture that is a probability, and an estimate that is a crystal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.distances import DistancePrediction, fine_bins
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.network.informed import (
    AlignedTemplates,
    Mixture,
    align_templates,
    inform,
    predict_informed,
    template_weights,
    with_templates,
)
from aiida_alphacrystal.engine.reconstruct import load_library

SPECIES = ('Na', 'Cl')
MATRIX = np.array([[4.0, 2.8], [2.8, 4.0]])


@pytest.fixture(scope='module')
def network():
    return load_network()


@pytest.fixture(scope='module')
def library():
    return load_library()


def flat(species=SPECIES):
    """Return a prediction that knows nothing between 1 and 6 A."""
    edges = fine_bins()
    chances = np.where((edges[:-1] >= 1.0) & (edges[1:] <= 6.0), np.diff(edges), 0.0)
    probabilities = np.broadcast_to(chances / chances.sum(), (len(species), len(species), len(chances)))
    return DistancePrediction(species, edges, probabilities)


def templates(*probabilities, matrices=(MATRIX,)):
    return AlignedTemplates(np.array(matrices), np.array(probabilities), flat(), 'known')


def test_a_certain_template_is_taken_as_it_is():
    found = inform(templates(0.99), dataclasses.replace(Mixture(), pull=0.0))
    np.testing.assert_array_equal(found.estimate, MATRIX)
    assert (found.template, found.probability) == ('known', 0.99)
    np.testing.assert_allclose(found.distribution.median, MATRIX, atol=0.03)
    low, high = found.distribution.interval(0.5)
    assert ((low < MATRIX) & (high > MATRIX) & (high - low < 0.12)).all()


def test_an_uncertain_template_gives_way_to_what_is_expected():
    found = inform(templates(0.05))
    assert found.template is None
    np.testing.assert_array_equal(found.estimate, found.distribution.expectation)
    assert (found.estimate > MATRIX.min()).all()
    assert (found.estimate < MATRIX.max()).all()


def test_its_size_is_pulled_towards_the_network():
    there = inform(templates(0.99), dataclasses.replace(Mixture(), pull=0.5))
    size = np.median(flat().expectation / MATRIX) ** 0.5
    np.testing.assert_allclose(there.estimate, MATRIX * size)


def test_without_a_template_the_network_speaks():
    found = inform(AlignedTemplates(np.empty((0, 2, 2)), np.empty(0), flat(), ''))
    assert (found.template, found.probability) == (None, 0.0)
    np.testing.assert_allclose(found.estimate, flat().expectation, atol=0.02)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_probabilities_add_up(chances, seed):
    chances = np.array(chances) / max(1.0, sum(chances))
    matrices = 1.5 + 9.0 * np.random.default_rng(seed).random((len(chances), 2, 2))
    matrices = 0.5 * (matrices + matrices.transpose(0, 2, 1))
    weights, left = template_weights(chances, Mixture())
    assert weights.sum() + left == pytest.approx(1.0)
    distribution = inform(templates(*chances, matrices=matrices)).distribution
    np.testing.assert_allclose(distribution.probabilities.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(distribution.probabilities, distribution.probabilities.transpose(1, 0, 2))
    assert (distribution.probabilities >= -1e-12).all()
    low, high = distribution.interval(0.9)
    assert (low <= distribution.median).all()
    assert (distribution.median <= high).all()


def test_a_known_compound_is_found_and_an_excluded_one_is_not(network, library):
    formula = parse_formula('NaCl')
    prediction = predict_distances(network, featurize(formula, 1), formula.species(1))
    known = with_templates(prediction, library, formula, 1)
    np.testing.assert_allclose(known.estimate, [[4.0, 2.83], [2.83, 4.0]], atol=0.06)
    numbers = sorted(featurize(formula, 1, 2)[:, -1].astype(int).tolist())
    own = np.array([sorted(row[row > 0].tolist()) == numbers for row in library.member_elements])
    without = align_templates(prediction, library, formula, 1, excluded=own)
    assert own.any()
    assert len(without.probabilities) > 0
    assert without.origin != align_templates(prediction, library, formula, 1).origin


def test_templates_stand_in_one_order(network, library):
    formula = parse_formula('SrTiO3')
    prediction = predict_distances(network, featurize(formula, 2), formula.species(2))
    aligned = align_templates(prediction, library, formula, 2)
    assert aligned.matrices.shape == (len(aligned.probabilities), 10, 10)
    first = aligned.matrices[0]
    for matrix in (*aligned.matrices[1:], aligned.network.expectation):
        order = match_atoms(matrix, first, prediction.species)
        apart = ~np.eye(10, dtype=bool)
        as_it_is = ((matrix - first)[apart] ** 2).sum()
        assert as_it_is == pytest.approx(((matrix[np.ix_(order, order)] - first)[apart] ** 2).sum(), rel=0.02, abs=1e-3)
    assert sorted(np.round(aligned.network.expectation, 6).ravel()) == sorted(
        np.round(prediction.expectation, 6).ravel()
    )


def test_many_cells_are_as_one(network, library):
    cells = [(parse_formula('NaCl'), 1), (parse_formula('SrTiO3'), 1), (parse_formula('KBr'), 1)]
    for (formula, units), found in zip(cells, predict_informed(network, library, cells), strict=True):
        alone = predict_distances(network, featurize(formula, units), formula.species(units))
        expected = with_templates(alone, library, formula, units)
        np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-5)
        assert found.template == expected.template
