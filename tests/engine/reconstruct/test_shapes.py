"""The distances inside known compounds: in the order of the sites, and of one scale."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.reconstruct.prototypes import sort_crystals
from aiida_alphacrystal.engine.reconstruct.shapes import flatten, scaled_distances, unflatten


def crystal_of(structure, spacegroup):
    return Crystal(
        '', structure.lattice.matrix, tuple(site.specie.symbol for site in structure), structure.frac_coords, spacegroup
    )


@given(st.integers(1, 6), st.integers(0, 1000))
def test_triangles_are_symmetric_matrices(sites, seed):
    matrix = np.random.default_rng(seed).random((sites, sites))
    matrix = matrix + matrix.T
    assert (unflatten(flatten(matrix)[None], sites)[0] == matrix).all()


def test_a_crystal_in_another_order_and_size_has_the_distances_of_its_prototype(rutile):
    founder = crystal_of(rutile, 136)
    order = [5, 0, 2, 4, 1, 3]
    mixed = dataclasses.replace(
        founder,
        lattice=1.1 * founder.lattice,
        species=tuple(founder.species[place] for place in order),
        frac_coords=founder.frac_coords[order],
    )
    found = sort_crystals([founder, mixed])
    assert len(found.prototypes) == 1
    prototype = found.prototypes[0]
    expected = minimum_image_distances(prototype.lattice, prototype.frac_coords)
    for crystal, elements in zip((founder, mixed), found.elements, strict=True):
        np.testing.assert_allclose(scaled_distances(crystal, prototype, elements), expected, atol=1e-8)


def test_another_axial_ratio_is_kept(rutile):
    founder = crystal_of(rutile, 136)
    longer = dataclasses.replace(founder, lattice=founder.lattice @ np.diag([1.0, 1.0, 1.01]))
    prototype, *others = sort_crystals([founder, longer]).prototypes
    assert others == []
    own = scaled_distances(longer, prototype, ('O', 'Ti'))
    scale = (longer.volume / longer.natoms) ** (1 / 3)
    assert np.diag(own) * scale == pytest.approx([2.959 * 1.01] * 6)


def test_a_library_returns_the_distances_of_its_compounds(library, crystals):
    perovskites = np.flatnonzero(library.member_elements[:, 2])
    matrices = library.distances_of(perovskites)
    assert matrices.shape == (4, 5, 5)
    volumes = library.member_volumes[perovskites]
    shortest = np.sort(matrices.reshape(4, -1), axis=1)[:, 0] * volumes ** (1 / 3)
    assert shortest == pytest.approx(volumes ** (1 / 3) * 5 ** (1 / 3) / 2, rel=1e-3)
    assert len(library.member_distances) == sum(crystal.natoms * (crystal.natoms + 1) // 2 for crystal in crystals)
