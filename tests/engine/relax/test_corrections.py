"""Tests of the corrections of bare PBE energies."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.relax import energy_correction, resolve_potential
from aiida_alphacrystal.engine.relax.corrections import MP2020, NO_CORRECTIONS
from aiida_alphacrystal.engine.relax.references import correction_scheme

#: Corrections in eV for each atom, from Table 2 of Wang et al. 2021.
OXIDE, PEROXIDE, CHLORIDE, IRON = -0.687, -0.465, -0.614, -2.256


def rock_salt(cation, anion, a):
    conventional = Structure.from_spacegroup(225, Lattice.cubic(a), [cation, anion], [[0] * 3, [0.5] * 3])
    return conventional.get_primitive_structure()


def pyrite(cation, anion, a, u):
    return Structure.from_spacegroup(205, Lattice.cubic(a), [cation, anion], [[0] * 3, [u] * 3])


@pytest.mark.parametrize(
    ('structure', 'expected'),
    [
        (rock_salt('Na', 'Cl', 5.64), CHLORIDE / 2),
        (rock_salt('Mg', 'O', 4.21), OXIDE / 2),
        (rock_salt('Fe', 'O', 4.33), (OXIDE + IRON) / 2),
        (pyrite('Mg', 'O', 4.84, 0.41), 2 * PEROXIDE / 3),
        (pyrite('Mg', 'O', 5.0, 0.25), 2 * OXIDE / 3),  # fluorite: its oxygen atoms are far apart
        (Structure(Lattice.cubic(2.9), ['Ni', 'Al'], [[0] * 3, [0.5] * 3]), 0.0),
        (Structure(Lattice.cubic(3.0), ['Fe', 'Fe'], [[0] * 3, [0.5] * 3]), 0.0),
    ],
    ids=['NaCl', 'MgO', 'FeO', 'peroxide', 'fluorite', 'NiAl', 'element'],
)
def test_values(structure, expected):
    assert energy_correction(structure, MP2020) == pytest.approx(expected, abs=1e-6)
    assert energy_correction(structure, NO_CORRECTIONS) == 0.0


def test_unknown_scheme():
    with pytest.raises(ValueError, match="no scheme of corrections 'MP2030'"):
        energy_correction(rock_salt('Na', 'Cl', 5.64), 'MP2030')


def test_which_potentials_need_them():
    assert correction_scheme(resolve_potential('chgnet').files.sha256) == NO_CORRECTIONS
    m3gnet = '5bcc2597f9e3980fc5d792d1e5e09c23f6149286d86642fc4d1a222aad758274'
    assert correction_scheme(m3gnet) == MP2020
    assert correction_scheme('unheard of') == NO_CORRECTIONS
