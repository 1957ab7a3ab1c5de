"""Potentials and crystals for the tests of stage 5."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from aiida_alphacrystal.engine.relax import load_potential, resolve_potential

M3GNET = Path(__file__).parents[4] / 'shared' / 'potentials' / 'M3GNet-MP-2021.2.8-PES'


@pytest.fixture(scope='session')
def chgnet():
    return load_potential(resolve_potential('chgnet').files)


@pytest.fixture(scope='session')
def m3gnet_directory():
    if not (M3GNET / 'state.pt').exists():
        pytest.skip(f'the old M3GNet checkpoint is not at {M3GNET}')
    return M3GNET


@pytest.fixture(scope='session')
def m3gnet(m3gnet_directory):
    return load_potential(resolve_potential(str(m3gnet_directory)).files)


@pytest.fixture(params=['chgnet', 'm3gnet'])
def potential(request):
    return request.getfixturevalue(request.param)


def rocksalt(cation, anion, a):
    lattice = Lattice.cubic(a)
    return Structure.from_spacegroup(
        'Fm-3m', lattice, [cation, anion], [(0, 0, 0), (0.5, 0.5, 0.5)]
    ).get_primitive_structure()


@pytest.fixture(scope='session')
def crystals():
    """Return NaCl, MgO, Si and Al at the lattices for which the energies of the old M3GNet are known."""

    def cubic(spacegroup, symbol, a):
        return Structure.from_spacegroup(spacegroup, Lattice.cubic(a), [symbol], [(0, 0, 0)]).get_primitive_structure()

    return {
        'NaCl': rocksalt('Na', 'Cl', 5.69),
        'MgO': rocksalt('Mg', 'O', 4.21),
        'Si': cubic('Fd-3m', 'Si', 5.47),
        'Al': cubic('Fm-3m', 'Al', 4.04),
    }


@pytest.fixture(scope='session')
def distorted():
    """Return crystals with strained cells and displaced atoms, the same ones every time."""
    import numpy as np

    rng = np.random.default_rng(7)
    lattice = Lattice.cubic(3.94)
    starts = [
        rocksalt('Na', 'Cl', 5.5),
        Structure(
            lattice, ['Sr', 'Ti', 'O', 'O', 'O'], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
        ),
        Structure.from_spacegroup(
            'P4_2/mnm', Lattice.tetragonal(4.62, 2.97), ['Ti', 'O'], [(0, 0, 0), (0.305, 0.305, 0)]
        ),
        Structure.from_spacegroup('F-43m', Lattice.cubic(5.7), ['Ga', 'As'], [(0, 0, 0), (0.25, 0.25, 0.25)]),
        rocksalt('Ca', 'O', 5.0),
    ]
    crystals = []
    for start in starts:
        strain = rng.normal(0, 0.03, (3, 3))
        matrix = start.lattice.matrix @ (np.eye(3) + 0.5 * (strain + strain.T))
        cell = Structure(matrix, start.species, start.frac_coords)
        moved = cell.cart_coords + rng.normal(0, 0.06, (len(start), 3))
        crystals.append(Structure(matrix, start.species, moved, coords_are_cartesian=True))
    return crystals
