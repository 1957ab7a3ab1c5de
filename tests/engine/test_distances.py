"""Tests of distance matrices and bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.distances import DistancePrediction, equal_bins, fine_bins, minimum_image_distances


def test_bins_cover_the_range_of_the_paper():
    edges = fine_bins()
    assert len(edges) == 65
    assert (np.diff(edges) > 0).all()
    assert edges[1] == pytest.approx(0.9488)
    assert edges[-1] == pytest.approx(23.3361)
    fine = edges[(edges >= 1.2) & (edges <= 5.2)]
    assert np.allclose(np.diff(fine), 1 / 12)


def test_rock_salt_by_hand():
    structure = Structure.from_spacegroup('Fm-3m', Lattice.cubic(5.64), ['Na', 'Cl'], [[0, 0, 0], [0.5] * 3])
    primitive = structure.get_primitive_structure()
    distances = minimum_image_distances(primitive.lattice.matrix, primitive.frac_coords)
    assert distances == pytest.approx(np.array([[5.64 / 2**0.5, 2.82], [2.82, 5.64 / 2**0.5]]))


_lengths = st.floats(2.0, 12.0)
_angles = st.floats(50.0, 130.0)


@given(_lengths, _lengths, _lengths, _angles, _angles, _angles, st.integers(0, 2**16))
def test_agrees_with_brute_force_and_does_not_depend_on_the_cell(a, b, c, alpha, beta, gamma, seed):
    if not 30 < alpha + beta + gamma < 330 or max(alpha, beta, gamma) * 2 > alpha + beta + gamma - 5:
        return
    lattice = Lattice.from_parameters(a, b, c, alpha, beta, gamma)
    fractional = np.random.default_rng(seed).random((4, 3))
    distances = minimum_image_distances(lattice.matrix, fractional)
    assert np.allclose(distances, distances.T)
    images = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3), axis=-1).reshape(-1, 3)
    for i in range(4):
        for j in range(4):
            lengths = np.linalg.norm((fractional[j] - fractional[i] + images) @ lattice.matrix, axis=1)
            assert distances[i, j] == pytest.approx(lengths[lengths > 1e-8].min())
    shear = np.array([[1, 1, 0], [0, 1, 2], [0, 0, 1]])
    other = minimum_image_distances(shear @ lattice.matrix, fractional @ np.linalg.inv(shear))
    assert np.allclose(other, distances)


def test_expectation_of_a_certain_prediction():
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    prediction = DistancePrediction(('Na',), edges, np.array([[[0.0, 0.5, 0.5]]]))
    assert prediction.bin_centres == pytest.approx([0.5, 1.5, 3.0])
    assert prediction.expectation == pytest.approx(np.array([[2.25]]))


def test_bins_of_the_paper():
    edges = equal_bins(20)
    assert len(edges) == 21
    assert (edges[0], edges[-1]) == (0.9488, 23.3361)
    assert np.allclose(np.diff(edges), (23.3361 - 0.9488) / 20)


def test_quantiles_by_hand():
    edges = np.array([1.0, 2.0, 4.0, 5.0])
    prediction = DistancePrediction(('Na',), edges, np.array([[[0.2, 0.6, 0.2]]]))
    for share, value in ((0.0, 1.0), (0.1, 1.5), (0.2, 2.0), (0.5, 3.0), (0.8, 4.0), (0.9, 4.5), (1.0, 5.0)):
        assert prediction.quantile(share)[0, 0] == pytest.approx(value), share
    assert prediction.median[0, 0] == pytest.approx(3.0)
    low, high = prediction.interval(0.8)
    assert (low[0, 0], high[0, 0]) == (pytest.approx(1.5), pytest.approx(4.5))


@given(st.integers(0, 2**16), st.floats(0.0, 1.0))
def test_a_quantile_has_its_share_below_it(seed, share):
    rng = np.random.default_rng(seed)
    chances = rng.random((2, 2, 64)) * (rng.random((2, 2, 64)) > 0.5)
    chances[..., 3] += 0.1
    chances /= chances.sum(axis=-1, keepdims=True)
    edges = fine_bins()
    found = DistancePrediction(('Na', 'Cl'), edges, chances).quantile(share)
    for index in np.ndindex(2, 2):
        below = np.interp(found[index], edges, np.concatenate([[0.0], chances[index].cumsum()]))
        assert below == pytest.approx(share, abs=1e-9)
