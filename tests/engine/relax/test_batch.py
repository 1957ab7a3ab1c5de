"""Batched relaxation: the same minima as ASE, and no crystal that disturbs another."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from aiida_alphacrystal.engine import progress
from aiida_alphacrystal.engine.jobs.results import pack_state, unpack_state
from aiida_alphacrystal.engine.relax import freedom, relax_structures, soundness
from aiida_alphacrystal.engine.relax.base import AtomArrays, Evaluation, Potential
from aiida_alphacrystal.engine.settings import RelaxSettings
from aiida_alphacrystal.engine.symmetry import spacegroup_of

TIGHT = RelaxSettings(force_tolerance=0.01, max_steps=200)


class AsePotential(Calculator):
    """Our potential as a calculator of ASE."""

    implemented_properties = ('energy', 'forces', 'stress')

    def __init__(self, potential):
        super().__init__()
        self.potential = potential

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        crystal = AtomArrays(atoms.numbers.astype(np.int64), atoms.cell[:], atoms.positions)
        evaluation = self.potential.evaluate_crystals([crystal])
        stress = evaluation.stresses[0]
        self.results = {
            'energy': evaluation.energies[0],
            'forces': evaluation.forces[0],
            'stress': stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


class Broken(Potential):
    """A potential that goes wrong for crystals of one element."""

    def __init__(self, potential, number, how):
        self.__dict__.update(potential.__dict__)
        self._potential, self._number, self._how = potential, number, how

    def evaluate_crystals(self, crystals):
        evaluation = self._potential.evaluate_crystals(crystals)
        bad = [self._number in crystal.numbers for crystal in crystals]
        if any(bad) and self._how == 'raise':
            raise RuntimeError('out of order')
        energies = np.where(bad, math.nan, evaluation.energies)
        return dataclasses.replace(evaluation, energies=energies)

    def _evaluate(self, crystals):
        raise NotImplementedError


def same_bits(one, two):
    return (
        one.energy == two.energy
        and one.initial_energy == two.initial_energy
        and one.steps == two.steps
        and (one.forces == two.forces).all()
        and (one.stress == two.stress).all()
        and (one.structure.lattice.matrix == two.structure.lattice.matrix).all()
        and (one.structure.frac_coords == two.structure.frac_coords).all()
    )


def test_same_minima_as_ase(potential, distorted):
    starts = distorted[:1]
    for start, relaxation in zip(starts, relax_structures(starts, potential, TIGHT), strict=True):
        atoms = AseAtomsAdaptor.get_atoms(start)
        atoms.calc = AsePotential(potential)
        assert FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.01, steps=500)
        assert relaxation.converged
        assert relaxation.reason is None
        assert relaxation.energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-3)
        assert relaxation.structure.volume == pytest.approx(atoms.get_volume(), rel=0.01)
        assert relaxation.structure.species == start.species


def test_result_describes_its_structure(chgnet, distorted):
    relaxation = relax_structures(distorted[:1], chgnet, TIGHT)[0]
    evaluation = chgnet.evaluate([relaxation.structure])
    assert relaxation.energy == pytest.approx(evaluation.energies[0] / 2, abs=1e-5)
    np.testing.assert_allclose(relaxation.forces, evaluation.forces[0], atol=1e-4)
    np.testing.assert_allclose(relaxation.stress, evaluation.stresses[0], atol=1e-5)
    assert relaxation.max_force == np.linalg.norm(relaxation.forces, axis=1).max()
    assert relaxation.max_force <= TIGHT.force_tolerance


def test_energy_before_the_relaxation(chgnet, distorted):
    relaxations = relax_structures(distorted, chgnet, RelaxSettings(batch_size=len(distorted)))
    first = chgnet.evaluate(distorted).energies / [len(start) for start in distorted]
    assert [relaxation.initial_energy for relaxation in relaxations] == first.tolist()
    assert all(relaxation.initial_energy > relaxation.energy for relaxation in relaxations)


def test_energy_before_the_relaxation_costs_no_evaluation(chgnet, distorted):
    potential = Forgetful(chgnet, 1, AssertionError('too many'))
    relaxation = relax_structures(distorted[:1], potential, RelaxSettings(batch_size=1))[0]
    assert len(potential.batches) == relaxation.steps + 1


def test_same_list_same_bits(potential, distorted):
    settings = RelaxSettings(batch_size=3)
    first = relax_structures(distorted, potential, settings)
    second = relax_structures(distorted, potential, settings)
    assert all(same_bits(one, two) for one, two in zip(first, second, strict=True))


def test_company_changes_nothing_but_rounding(chgnet, distorted):
    together = relax_structures(distorted, chgnet, TIGHT)[:3]
    alone = [relax_structures([start], chgnet, TIGHT)[0] for start in distorted[:3]]
    for one, two in zip(together, alone, strict=True):
        assert one.energy == pytest.approx(two.energy, abs=2e-4)


def test_bad_crystals_leave_the_others_alone(chgnet, distorted):
    clashing = Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0, 0, 0], [0.05, 0, 0]])
    exploding = Structure(Lattice.cubic(14), ['H', 'H', 'Ne'], [[0, 0, 0], [0.042, 0, 0], [0.3, 0, 0]])
    flat = Structure(Lattice.orthorhombic(5, 5, 0.8), ['Na'], [[0, 0, 0]])
    lonely = Structure(Lattice.cubic(9), ['Na'], [[0, 0, 0]])
    unknown = Structure(Lattice.cubic(3.35), ['Po'], [[0, 0, 0]])
    mixed = Structure(Lattice.cubic(3.6), [{'Cu': 0.5, 'Au': 0.5}], [[0, 0, 0]])
    broken = Structure(Lattice.cubic(4), ['Na', 'Cl'], [[0, 0, 0], [math.nan, 0, 0]])
    bad = [clashing, exploding, flat, lonely, unknown, mixed, broken]
    relaxations = relax_structures([distorted[0], *bad, distorted[1]], chgnet, RelaxSettings())
    reasons = [relaxation.reason for relaxation in relaxations]
    assert reasons[0] is reasons[-1] is None
    assert relaxations[0].converged
    assert relaxations[-1].converged
    assert reasons[1] == 'two atoms (Na-Cl) are 0.20 A apart at the start'
    assert reasons[3] == 'the cell is only 0.80 A thick at the start'
    assert reasons[4] == 'an atom (Na) has no other within 6.5 A at the start'
    assert reasons[5].startswith('The potential chgnet does not know Po')
    assert reasons[6] == 'a site is disordered'
    assert reasons[7] == 'a coordinate is not a number at the start'
    for start, relaxation in zip(bad[2:], relaxations[3:-1], strict=True):
        assert relaxation.structure is start
        assert math.isnan(relaxation.energy)
        assert relaxation.initial_energy is None
        assert not relaxation.converged


def test_volume_limit(chgnet, monkeypatch):
    monkeypatch.setattr(soundness, 'MAX_VOLUME_FACTOR', 1.2)
    compressed = Structure.from_spacegroup('Fm-3m', Lattice.cubic(4.6), ['Na', 'Cl'], [(0, 0, 0), (0.5, 0.5, 0.5)])
    relaxation = relax_structures([compressed], chgnet, RelaxSettings())[0]
    assert relaxation.reason.startswith('its volume changed by a factor of 1.')
    assert math.isnan(relaxation.energy)
    assert relaxation.initial_energy == pytest.approx(chgnet.energy_per_atom(compressed), abs=1e-6)
    assert 1 < relaxation.structure.volume / compressed.volume <= 1.2


@pytest.mark.parametrize(('how', 'reason'), [('raise', 'RuntimeError: out of order'), ('nan', 'are not numbers')])
def test_crystal_that_breaks_the_potential(chgnet, distorted, how, reason):
    relaxations = relax_structures(distorted, Broken(chgnet, 38, how), RelaxSettings())
    assert reason in relaxations[1].reason
    assert math.isnan(relaxations[1].energy)
    assert all(relaxation.converged for row, relaxation in enumerate(relaxations) if row != 1)


def test_step_limit(chgnet, distorted):
    none, few = (
        relax_structures(distorted[:1], chgnet, RelaxSettings(max_steps=steps, force_tolerance=1e-3))[0]
        for steps in (0, 2)
    )
    assert (none.steps, few.steps) == (0, 2)
    assert not none.converged
    assert none.reason is None
    assert none.energy == pytest.approx(chgnet.evaluate(distorted[:1]).energies[0] / 2, abs=1e-5)
    assert few.energy < none.energy


def test_time_limit(chgnet, distorted):
    settings = RelaxSettings(seconds=1e-9, force_tolerance=1e-4, batch_size=2)
    ended = relax_structures(distorted, chgnet, settings)
    assert [(one.steps, one.converged, one.reason) for one in ended] == [(0, False, None)] * len(distorted)
    assert [one.energy for one in ended] == [one.initial_energy for one in ended]
    patient = RelaxSettings(seconds=1e6)
    assert as_numbers(relax_structures(distorted, chgnet, patient)) == as_numbers(
        relax_structures(distorted, chgnet, RelaxSettings())
    )


def test_time_counts_on_where_the_work_was_interrupted(chgnet, distorted):
    states = []
    settings = RelaxSettings(force_tolerance=1e-4, batch_size=2)
    relax_structures(distorted, chgnet, settings, keep=states.append)
    running = {index: dataclasses.replace(run, seconds=1000.0) for index, run in states[1].running.items()}
    spent = dataclasses.replace(states[1], running=running)
    ended = relax_structures(distorted, chgnet, dataclasses.replace(settings, seconds=900.0), state=spent)
    assert [one.steps for one in ended[:2]] == [2, 2]
    assert not any(one.converged for one in ended[:2])
    assert all(one.converged for one in ended[2:])


def test_energy_never_rises(potential, distorted):
    energies = [
        [relaxation.energy for relaxation in relax_structures(distorted, potential, RelaxSettings(max_steps=steps))]
        for steps in (0, 1, 3, 6)
    ]
    assert (np.diff(energies, axis=0) <= 1e-4).all()


def test_progress_is_reported(chgnet, distorted):
    seen, reports = [], []
    with progress.reporting(lambda *report: reports.append(report)):
        relax_structures(
            distorted, chgnet, RelaxSettings(batch_size=2), progress=lambda done, total: seen.append((done, total))
        )
    assert seen[-1] == (5, 5)
    assert seen == sorted(seen)
    assert reports == [('relax', *step) for step in seen]


def test_nothing_to_relax(chgnet):
    assert relax_structures([], chgnet, RelaxSettings()) == ()


@given(
    packed=npst.arrays(float, 6, elements=st.floats(-0.5, 0.5)),
    direction=npst.arrays(float, 6, elements=st.floats(-1, 1)),
)
def test_gradient_through_the_exponential(packed, direction):
    weights = np.arange(9.0).reshape(3, 3)
    weights = weights + weights.T
    exponential, vectors, divided = freedom._deformation(packed)
    gradient = vectors @ (divided * (vectors.T @ weights @ vectors)) @ vectors.T
    step = 1e-5
    ends = [freedom._deformation(packed + sign * step * direction)[0] for sign in (1, -1)]
    numerical = float(((ends[0] - ends[1]) * weights).sum()) / (2 * step)
    flat = gradient[freedom._ROWS, freedom._COLUMNS] * freedom._WEIGHTS
    assert float(flat @ direction) == pytest.approx(numerical, abs=1e-5)
    assert np.linalg.det(exponential) == pytest.approx(math.exp(packed[[0, 3, 5]].sum()), rel=1e-9)


class Forgetful(Potential):
    """A potential whose memory suffices for so many crystals at once."""

    def __init__(self, potential, most, error):
        self.__dict__.update(potential.__dict__)
        self._potential, self._most, self._error, self.batches = potential, most, error, []

    def evaluate_crystals(self, crystals):
        if len(crystals) > self._most:
            raise self._error
        self.batches.append(len(crystals))
        return self._potential.evaluate_crystals(crystals)

    def _evaluate(self, crystals):
        raise NotImplementedError


class Flat:
    """A potential without forces."""

    def __init__(self):
        self.batches = []
        self.device = 'cpu'

    def check_elements(self, symbols):
        pass

    def evaluate_crystals(self, crystals):
        self.batches.append(len(crystals))
        forces = tuple(np.zeros((len(crystal.numbers), 3)) for crystal in crystals)
        return Evaluation(np.zeros(len(crystals)), forces, np.zeros((len(crystals), 3, 3)))


def as_numbers(relaxations):
    def arrays(one):
        return one.forces, one.stress, one.structure.lattice.matrix, one.structure.frac_coords

    return [
        (
            one.energy,
            one.initial_energy,
            one.max_force,
            one.steps,
            one.converged,
            one.reason,
            *(array.tolist() for array in arrays(one)),
        )
        for one in relaxations
    ]


def saddles():
    def perovskite(cation, metal, a):
        positions = [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
        return Structure(Lattice.cubic(a), [cation, metal, 'O', 'O', 'O'], positions)

    square = Structure(Lattice.tetragonal(3.3, 4.5), ['Ga', 'As'], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return [perovskite('Pb', 'Ti', 4.05), perovskite('Sr', 'Ti', 4.0), square]


def test_a_cubic_guess_stays_cubic(chgnet):
    for relaxation, group in zip(relax_structures(saddles(), chgnet, TIGHT), (221, 221, 123), strict=True):
        assert relaxation.converged
        assert SpacegroupAnalyzer(relaxation.structure, symprec=1e-6).get_space_group_number() == group
        if group == 221:
            assert np.ptp(relaxation.structure.lattice.abc) < 1e-10
            assert np.abs(np.array(relaxation.structure.lattice.angles) - 90).max() < 1e-10
            assert relaxation.max_force < 1e-10


def test_released_crystals_leave_saddles_and_nothing_else(chgnet):
    kept = relax_structures(saddles(), chgnet, TIGHT)
    released = relax_structures(saddles(), chgnet, dataclasses.replace(TIGHT, symmetry='then_free'))
    assert all(one.converged for one in released)
    assert [spacegroup_of(one.structure)[0] for one in released[:2]] == [99, 221]
    assert released[0].energy < kept[0].energy - 0.03
    zinc_blende = Structure.from_spacegroup('F-43m', Lattice.cubic(5.7), ['Ga', 'As'], [(0, 0, 0), (0.25, 0.25, 0.25)])
    assert StructureMatcher().fit(released[2].structure, zinc_blende)
    assert released[2].energy < kept[2].energy - 0.3
    assert released[2].energy == pytest.approx(relax_structures([zinc_blende], chgnet, TIGHT)[0].energy, abs=1e-3)
    assert released[1].energy == pytest.approx(kept[1].energy, abs=1e-4)
    assert np.ptp(released[1].structure.lattice.abc) < 1e-10
    assert released[1].steps > kept[1].steps


def test_released_crystals_go_on_from_any_state_to_the_same_bits(chgnet):
    settings = dataclasses.replace(TIGHT, symmetry='then_free', batch_size=2)
    states = []
    whole = relax_structures(saddles(), chgnet, settings, keep=states.append)
    for state in states[::7]:
        document, arrays = pack_state(state)
        again = relax_structures(saddles(), chgnet, settings, state=unpack_state(document, arrays))
        assert as_numbers(again) == as_numbers(whole)


def test_a_released_crystal_that_fails_stays_at_its_symmetric_minimum(chgnet):
    kept = relax_structures(saddles()[:1], chgnet, TIGHT)[0]
    potential = Forgetful(chgnet, 1, AssertionError('too many'))
    evaluate, evaluations = potential.evaluate_crystals, kept.steps + 1

    def once(crystals):
        if len(potential.batches) >= evaluations:
            raise RuntimeError('out of order')
        return evaluate(crystals)

    potential.evaluate_crystals = once
    released = relax_structures(saddles()[:1], potential, dataclasses.replace(TIGHT, symmetry='then_free'))[0]
    assert as_numbers([released]) == as_numbers([kept])


@pytest.mark.parametrize('batch_size', [2, 8])
def test_goes_on_from_any_state_to_the_same_bits(chgnet, distorted, batch_size):
    settings = RelaxSettings(max_steps=6, batch_size=batch_size)
    states = []
    whole = relax_structures(distorted, chgnet, settings, keep=states.append)
    assert len(states) > 4
    for state in (states[0], states[len(states) // 2], states[-2], states[-1]):
        again = relax_structures(distorted, chgnet, settings, state=state)
        assert as_numbers(again) == as_numbers(whole)


def test_goes_on_with_a_smaller_batch(chgnet, distorted):
    settings = RelaxSettings(max_steps=50, batch_size=5)
    states = []
    whole = relax_structures(distorted, chgnet, settings, keep=states.append)
    potential = Forgetful(chgnet, 2, AssertionError('too many'))
    smaller = dataclasses.replace(settings, batch_size=2)
    again = relax_structures(distorted, potential, smaller, state=states[2])
    assert max(potential.batches) == 2
    assert [one.energy for one in again] == pytest.approx([one.energy for one in whole], abs=1e-3)


@pytest.mark.parametrize(('device', 'size'), [('cpu', 8), ('cuda', 64), ('cuda:1', 64)])
def test_batch_size_that_suits_the_device(distorted, device, size):
    potential = Flat()
    potential.device = device
    relax_structures(distorted[:1] * 70, potential, RelaxSettings(max_steps=0))
    assert potential.batches[0] == size
    potential.batches.clear()
    relax_structures(distorted[:1] * 70, potential, RelaxSettings(max_steps=0, batch_size=3))
    assert set(potential.batches) == {3, 1}


def test_shipped_potentials_say_where_they_are(potential):
    assert potential.device == 'cpu'


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        torch.OutOfMemoryError('CUDA out of memory.'),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_lack_of_memory_halves_the_batch(chgnet, distorted, error):
    potential = Forgetful(chgnet, 1, error)
    relaxations = relax_structures(distorted, potential, RelaxSettings(max_steps=1, batch_size=4))
    assert set(potential.batches) == {1}
    assert all(relaxation.reason is None for relaxation in relaxations)
    with pytest.raises(MemoryError):
        relax_structures(distorted, Forgetful(chgnet, 0, error), RelaxSettings(batch_size=4))
