"""The variables that keep a symmetry: what they reach has it, and nothing of it is lost in forces and stresses."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.relax.base import AtomArrays
from aiida_alphacrystal.engine.relax.freedom import Freedom
from aiida_alphacrystal.engine.relax.symmetrise import symmetric_freedom


def crystal_of(group, lattice, species, positions):
    return Structure.from_spacegroup(group, lattice, species, positions)


#: Crystals with the numbers of their free coordinates and of their free lattice parameters.
CRYSTALS = {
    'rock salt': (crystal_of(225, Lattice.cubic(5.6), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]), (0, 1)),
    'primitive rock salt': (
        crystal_of(225, Lattice.cubic(5.6), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]).get_primitive_structure(),
        (0, 1),
    ),
    'rutile': (crystal_of(136, Lattice.tetragonal(4.6, 2.96), ['Ti', 'O'], [[0] * 3, [0.305, 0.305, 0]]), (1, 2)),
    'pyrite': (crystal_of(205, Lattice.cubic(5.4), ['Fe', 'S'], [[0] * 3, [0.385] * 3]), (1, 1)),
    'wurtzite': (
        crystal_of(186, Lattice.hexagonal(3.25, 5.2), ['Zn', 'O'], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.38]]),
        (1, 2),
    ),
    'corundum': (
        crystal_of(
            167, Lattice.hexagonal(4.76, 13.0), ['Al', 'O'], [[0, 0, 0.352], [0.306, 0, 0.25]]
        ).get_primitive_structure(),
        (2, 2),
    ),
    'monoclinic': (
        crystal_of(14, Lattice.monoclinic(5.1, 5.2, 5.3, 99), ['Zr', 'O'], [[0.27, 0.04, 0.21], [0.07, 0.33, 0.34]]),
        (6, 4),
    ),
    'triclinic': (
        crystal_of(2, Lattice.from_parameters(4, 5, 6, 80, 85, 95), ['Al', 'F'], [[0.2, 0.1, 0.3], [0.4, 0.7, 0.6]]),
        (6, 6),
    ),
}


def group_of(crystal, tolerance=1e-6):
    cell = (crystal.lattice, crystal.positions @ np.linalg.inv(crystal.lattice), crystal.numbers)
    return spglib.get_symmetry_dataset(cell, symprec=tolerance)


@pytest.mark.parametrize('name', CRYSTALS)
def test_degrees_of_freedom(name):
    structure, sizes = CRYSTALS[name]
    freedom = symmetric_freedom(structure)
    assert freedom.symmetric
    assert freedom.sizes == sizes
    for basis in (freedom.displacements, freedom.strains):
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    np.testing.assert_allclose(freedom.displacements.reshape(len(structure), 3, -1).sum(axis=0), 0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(CRYSTALS)), seed=st.integers(0, 2**32 - 1))
def test_what_the_variables_reach_has_the_space_group(name, seed):
    structure, sizes = CRYSTALS[name]
    freedom = symmetric_freedom(structure)
    reached = freedom.crystal(np.random.default_rng(seed).normal(0, 0.04, sum(sizes)))
    before, after = group_of(AtomArrays.from_structure(structure)), group_of(reached)
    assert after.number == before.number
    assert len(after.rotations) == len(before.rotations)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(CRYSTALS)), seed=st.integers(0, 2**32 - 1))
def test_a_broken_symmetry_is_mended(name, seed):
    structure, _ = CRYSTALS[name]
    rng = np.random.default_rng(seed)
    strain = rng.uniform(-1e-5, 1e-5, (3, 3))
    lattice = structure.lattice.matrix @ (np.eye(3) + strain)
    positions = structure.frac_coords @ lattice + rng.uniform(-1e-4, 1e-4, (len(structure), 3))
    broken = Structure(lattice, structure.species, positions, coords_are_cartesian=True)
    freedom = symmetric_freedom(broken)
    assert group_of(freedom.start, 1e-8).number == group_of(AtomArrays.from_structure(structure)).number
    np.testing.assert_allclose(freedom.start.lattice, lattice, atol=1e-3)
    np.testing.assert_allclose(freedom.start.positions, positions, atol=1e-3)


def test_atoms_outside_the_cell_stay_where_they_are():
    structure = CRYSTALS['rutile'][0].copy()
    far = structure.frac_coords + np.arange(len(structure))[:, None] * [1, -2, 3]
    outside = Structure(structure.lattice, structure.species, far)
    np.testing.assert_allclose(symmetric_freedom(outside).start.positions, outside.cart_coords, atol=1e-10)


def test_no_symmetry():
    structure = Structure(
        Lattice.from_parameters(4, 5, 6, 80, 85, 95), ['Al', 'F', 'O'], [[0, 0, 0], [0.4, 0.7, 0.6], [0.1, 0.3, 0.5]]
    )
    freedom = symmetric_freedom(structure)
    assert not freedom.symmetric
    assert freedom.sizes == (9, 6)
    assert (freedom.start.positions == structure.cart_coords).all()


def test_overlapping_atoms_are_free():
    assert not symmetric_freedom(Structure(Lattice.cubic(4), ['Na', 'Na'], [[0] * 3, [0] * 3])).symmetric


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(CRYSTALS)), seed=st.integers(0, 2**32 - 1))
def test_projected_forces_do_the_same_work(name, seed):
    """Along the variables the projected forces and stress do the work of the given ones, and a second time as much."""
    structure, sizes = CRYSTALS[name]
    freedom = symmetric_freedom(structure)
    rng = np.random.default_rng(seed)
    variables = rng.normal(0, 0.03, sum(sizes))
    forces, stress = rng.normal(size=(len(structure), 3)), rng.normal(size=(3, 3))
    projected = freedom.project(forces, stress)
    np.testing.assert_allclose(
        freedom.gradient(variables, *projected), freedom.gradient(variables, forces, stress), atol=1e-9
    )
    for once, twice in zip(projected, freedom.project(*projected), strict=True):
        np.testing.assert_allclose(twice, once, atol=1e-12)


@pytest.mark.parametrize('kind', [Freedom.free, None])
def test_gradient_is_that_of_the_energy(kind, chgnet):
    structure = CRYSTALS['rutile'][0]
    freedom = symmetric_freedom(structure) if kind is None else kind(AtomArrays.from_structure(structure))
    rng = np.random.default_rng(3)
    variables, direction = rng.normal(0, 0.02, (2, sum(freedom.sizes)))
    direction /= np.linalg.norm(direction)
    step = 2e-3
    ends = [freedom.crystal(variables + sign * step * direction) for sign in (1, -1)]
    up, down = chgnet.evaluate_crystals(ends).energies
    here = chgnet.evaluate_crystals([freedom.crystal(variables)])
    gradient = freedom.gradient(variables, here.forces[0], here.stresses[0])
    assert gradient @ direction == pytest.approx((up - down) / (2 * step), rel=0.01, abs=0.02)
