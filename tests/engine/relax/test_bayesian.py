"""The Bayesian route: the minima of the gradient route from energies alone, within the symmetry."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from aiida_alphacrystal.engine.jobs.results import pack_state, unpack_state
from aiida_alphacrystal.engine.relax import relax_structures
from aiida_alphacrystal.engine.relax.base import Evaluation
from aiida_alphacrystal.engine.settings import RelaxSettings

BAYESIAN = RelaxSettings(method='bayesian', max_steps=60)
GROUPS = (225, 136, 221)


@pytest.fixture(scope='module')
def starts():
    """Return NaCl, TiO2 and SrTiO3, stretched and with their free coordinate moved, in their space groups."""
    perovskite = [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return [
        Structure.from_spacegroup(
            225, Lattice.cubic(6.1), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]
        ).get_primitive_structure(),
        Structure.from_spacegroup(136, Lattice.tetragonal(4.9, 3.05), ['Ti', 'O'], [[0] * 3, [0.28, 0.28, 0]]),
        Structure(Lattice.cubic(3.7), ['Sr', 'Ti', 'O', 'O', 'O'], perovskite),
    ]


def numbers_of(relaxation):
    arrays = (relaxation.forces, relaxation.structure.lattice.matrix, relaxation.structure.frac_coords)
    facts = (relaxation.energy, relaxation.initial_energy, relaxation.steps, relaxation.converged)
    return (*facts, *(array.tolist() for array in arrays))


def test_minima_of_the_gradient_route(chgnet, starts):
    ours = relax_structures(starts, chgnet, BAYESIAN)
    others = relax_structures(starts, chgnet, RelaxSettings(max_steps=60))
    for start, one, other, group in zip(starts, ours, others, GROUPS, strict=True):
        assert one.reason is None
        assert one.energy == pytest.approx(other.energy, abs=2e-3)
        assert one.initial_energy == other.initial_energy == pytest.approx(chgnet.energy_per_atom(start), abs=1e-5)
        assert other.initial_energy - other.energy > 0.02
        assert one.structure.volume == pytest.approx(other.structure.volume, rel=0.02)
        assert SpacegroupAnalyzer(one.structure, symprec=1e-6).get_space_group_number() == group
    assert ours[0].converged
    assert ours[0].max_force < 1e-10


def test_goes_on_from_any_state_to_the_same_bits(chgnet, starts):
    settings = dataclasses.replace(BAYESIAN, max_steps=25, batch_size=2)
    states = []
    whole = relax_structures(starts, chgnet, settings, keep=states.append)
    for state in (states[0], states[9], states[20], states[-1]):
        again = relax_structures(starts, chgnet, settings, state=unpack_state(*pack_state(state)))
        assert [numbers_of(one) for one in again] == [numbers_of(one) for one in whole]


def test_step_limit(chgnet, starts):
    none, few = (
        relax_structures(starts[1:2], chgnet, dataclasses.replace(BAYESIAN, max_steps=steps))[0] for steps in (0, 15)
    )
    assert (none.steps, few.steps) == (0, 15)
    assert not few.converged
    assert none.energy == none.initial_energy > few.energy


class Valley:
    """A potential that knows the volume alone and cannot answer below a limit."""

    device = 'cpu'

    def __init__(self, limit):
        self._limit = limit

    def check_elements(self, symbols):
        pass

    def evaluate_crystals(self, crystals):
        volumes = np.array([abs(np.linalg.det(crystal.lattice)) for crystal in crystals])
        energies = np.where(volumes < self._limit, math.nan, 50 * np.log(volumes / 60) ** 2)
        slopes = 100 * np.log(volumes / 60) / volumes
        forces = tuple(np.zeros((len(crystal.numbers), 3)) for crystal in crystals)
        return Evaluation(energies, forces, slopes[:, None, None] * np.eye(3))


def test_points_without_an_answer_are_passed_over(starts):
    cube = starts[2].copy()
    cube.scale_lattice(70)
    settings = dataclasses.replace(BAYESIAN, force_tolerance=1e-3)
    whole = relax_structures([cube], Valley(0), settings)[0]
    holes = relax_structures([cube], Valley(59.5), settings)[0]
    for relaxation in (whole, holes):
        assert relaxation.energy == pytest.approx(0, abs=1e-3)
        assert relaxation.structure.volume == pytest.approx(60, rel=0.02)
    assert numbers_of(whole) != numbers_of(holes)


def test_a_start_without_an_answer_fails(starts):
    relaxation = relax_structures([starts[2]], Valley(1e6), BAYESIAN)[0]
    assert relaxation.reason == 'its energy or forces are not numbers'
    assert math.isnan(relaxation.energy)


def test_a_minimum_outside_the_box_is_reached(starts):
    far = starts[2].copy()
    far.scale_lattice(150)
    relaxation = relax_structures([far], Valley(0), BAYESIAN)[0]
    assert relaxation.converged
    assert relaxation.structure.volume == pytest.approx(60, rel=0.01)
