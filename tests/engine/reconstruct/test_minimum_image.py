"""Minimum-image distances of many crystals at once, against the plain ones."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.reconstruct import minimum_image
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice, shortest_images, shortest_lengths

LENGTH = st.floats(2.5, 15.0)
ANGLE = st.floats(55.0, 125.0)


@settings(max_examples=60, deadline=None)
@given(lengths=st.tuples(LENGTH, LENGTH, LENGTH), angles=st.tuples(ANGLE, ANGLE, ANGLE), seed=st.integers(0, 1000))
def test_vectors_are_as_short_as_they_can_be(lengths, angles, seed):
    cosines = np.cos(np.radians(angles))
    if 1.0 + 2.0 * cosines.prod() - (cosines**2).sum() < 0.05:
        return
    lattice = Lattice.from_parameters(*lengths, *angles).matrix
    coordinates = np.random.default_rng(seed).random((6, 3))
    reduced = reduced_lattice(lattice)
    difference = (coordinates[None] - coordinates[:, None]) @ reduced.transformation
    matrix, images = torch.from_numpy(reduced.matrix), torch.from_numpy(reduced.images)
    difference = torch.from_numpy(difference).movedim(-1, 0)
    found = torch.linalg.vector_norm(shortest_images(difference, matrix, images), dim=0).numpy()
    expected = minimum_image_distances(lattice, coordinates)
    assert reduced.shortest == pytest.approx(expected[0, 0], abs=1e-9)
    np.fill_diagonal(expected, 0.0)
    assert np.allclose(found, expected, atol=1e-6)
    assert np.allclose(shortest_lengths(difference, matrix, images).numpy(), found, atol=1e-6)


def test_an_orthogonal_lattice_needs_no_images_and_a_cubic_close_packed_one_six_pairs():
    assert len(reduced_lattice(np.diag([3.0, 4.0, 5.0])).images) == 0
    primitive = [[0, 2, 2], [2, 0, 2], [2, 2, 0]]
    assert len(reduced_lattice(primitive).images) <= 7


@settings(max_examples=30, deadline=None)
@given(lengths=st.tuples(LENGTH, LENGTH, LENGTH), angles=st.tuples(ANGLE, ANGLE, ANGLE))
def test_images_are_left_out_without_a_linear_program_only_where_it_would_say_so(lengths, angles):
    cosines = np.cos(np.radians(angles))
    if 1.0 + 2.0 * cosines.prod() - (cosines**2).sum() < 0.05:
        return
    lattice = Lattice.from_parameters(*lengths, *angles).matrix
    with mock.patch.object(minimum_image, '_never_beat_zero', lambda images, _: np.zeros(len(images), dtype=bool)):
        expected = reduced_lattice(lattice).images
    assert np.array_equal(reduced_lattice(lattice).images, expected)
