"""Successive narrowing: a few steps for every crystal, the others for the best, within a budget of time."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.jobs.results import pack_state, unpack_state
from aiida_alphacrystal.engine.relax import load_potential, narrowing, relax_structures, resolve_potential
from aiida_alphacrystal.engine.relax.base import Potential
from aiida_alphacrystal.engine.settings import RelaxSettings

ALL = RelaxSettings(force_tolerance=0.001, max_steps=80, symmetry='free', batch_size=3)
NARROW = dataclasses.replace(ALL, narrow_steps=4, narrow_to=3)


class Counting(Potential):
    """A potential that counts what it is asked, on a clock that takes a second for each batch."""

    def __init__(self, potential):
        self.__dict__.update(potential.__dict__)
        self._potential, self.batches = potential, []

    def evaluate_crystals(self, crystals):
        self.batches.append(len(crystals))
        return self._potential.evaluate_crystals(crystals)

    def _evaluate(self, crystals):
        raise NotImplementedError

    def monotonic(self):
        return float(len(self.batches))


@pytest.fixture(scope='module')
def emt():
    """Return a potential that takes crystals one by one, so that company changes no bit."""
    return load_potential(resolve_potential('ase:ase.calculators.emt:EMT').files)


@pytest.fixture
def counting(emt, monkeypatch):
    potential = Counting(emt)
    monkeypatch.setattr(narrowing, 'time', SimpleNamespace(monotonic=potential.monotonic))
    return potential


@pytest.fixture(scope='module')
def starts():
    """Return eleven crystals of CuAu, the first one at rest, the third one not sound."""
    rng = np.random.default_rng(3)
    crystals = []
    for ratio in np.linspace(0.8, 1.25, 9):
        lattice = Lattice.tetragonal(2.8 * ratio ** (-1 / 3), 3.9 * ratio ** (2 / 3))
        strain = rng.normal(0, 0.03, (3, 3))
        matrix = lattice.matrix @ (np.eye(3) + 0.5 * (strain + strain.T))
        moved = [[0, 0, 0], np.array([0.5] * 3) + rng.normal(0, 0.04, 3)]
        crystals.append(Structure(matrix, ['Cu', 'Au'], moved))
    potential = load_potential(resolve_potential('ase:ase.calculators.emt:EMT').files)
    rest = relax_structures(crystals[3:4], potential, dataclasses.replace(ALL, force_tolerance=1e-4, max_steps=300))[0]
    assert rest.converged
    clashing = Structure(Lattice.cubic(4), ['Cu', 'Au'], [[0, 0, 0], [0.05, 0, 0]])
    return [rest.structure, crystals[0], clashing, *crystals[1:]]


def numbers_of(relaxations):
    return [
        (
            None if math.isnan(one.energy) else one.energy,
            one.initial_energy,
            one.steps,
            one.converged,
            one.reason,
            one.structure.lattice.matrix.tolist(),
            one.structure.frac_coords.tolist(),
        )
        for one in relaxations
    ]


@pytest.fixture(scope='module')
def full(emt, starts):
    """Return the outcome of all crystals without narrowing, and where they were after the first steps."""
    few = dataclasses.replace(ALL, max_steps=NARROW.narrow_steps)
    return numbers_of(relax_structures(starts, emt, ALL)), numbers_of(relax_structures(starts, emt, few))


def test_best_go_on_and_the_others_stay(emt, starts, full):
    whole, few = full
    narrowed = numbers_of(relax_structures(starts, emt, NARROW))
    candidates = [row for row, one in enumerate(few) if one[4] is None and not one[3]]
    chosen = sorted(candidates, key=lambda row: few[row][0])[: NARROW.narrow_to]
    assert 0 not in candidates
    assert len(candidates) > 2 * NARROW.narrow_to
    assert {whole[row][3] for row in chosen} == {True}
    for row, one in enumerate(narrowed):
        assert one == (whole[row] if row in chosen or row not in candidates else few[row])
    left = [narrowed[row] for row in candidates if row not in chosen]
    assert [(one[2], one[3], one[4]) for one in left] == [(NARROW.narrow_steps, False, None)] * len(left)
    assert all(one[0] < one[1] for one in left)


def test_as_many_as_there_are_or_no_first_steps_changes_nothing(emt, starts, full):
    for changes in ({'narrow_to': 20}, {'narrow_steps': 0}, {'narrow_steps': 500}):
        assert numbers_of(relax_structures(starts, emt, dataclasses.replace(NARROW, **changes))) == full[0]


def test_steps_and_batches(counting, starts, full):
    narrowed = relax_structures(starts, counting, NARROW)
    assert sum(counting.batches) == sum(one.steps + 1 for one in narrowed if one.reason is None)
    assert max(counting.batches) == NARROW.batch_size
    assert sum(one.steps for one in narrowed) < 0.75 * sum(one[2] for one in full[0])


def test_more_than_a_batch_goes_on(counting, starts, full):
    settings = dataclasses.replace(NARROW, narrow_to=7)
    narrowed = numbers_of(relax_structures(starts, counting, settings))
    assert sum(one[3] for one in narrowed) == 8
    assert max(counting.batches) == NARROW.batch_size
    assert all(one in (first, few) for one, first, few in zip(narrowed, *full, strict=True))


def test_goes_on_from_any_state_to_the_same_bits(emt, starts):
    states = []
    whole = numbers_of(relax_structures(starts, emt, NARROW, keep=states.append))
    before = [state for state in states if len(state.finished) + len(state.running) < len(starts)]
    waiting = [len(state.running) > NARROW.batch_size for state in states]
    assert before
    assert any(waiting)
    assert len(states) - waiting.index(True) > 10
    for state in states:
        again = relax_structures(starts, emt, NARROW, state=unpack_state(*pack_state(state)))
        assert numbers_of(again) == whole


def test_chgnet_goes_on_to_the_same_bits(chgnet, distorted):
    settings = RelaxSettings(force_tolerance=1e-4, narrow_steps=3, narrow_to=2, batch_size=2, max_steps=9)
    states = []
    whole = numbers_of(relax_structures(distorted, chgnet, settings, keep=states.append))
    assert sum(not one[3] and one[2] == 3 for one in whole) == 3
    for state in (states[2], states[len(states) // 2], states[-2]):
        again = relax_structures(distorted, chgnet, settings, state=unpack_state(*pack_state(state)))
        assert numbers_of(again) == whole


def test_bayesian_relaxations_are_narrowed_too(emt, starts):
    first = starts[3:6]
    settings = RelaxSettings(method='bayesian', max_steps=25, narrow_steps=18, narrow_to=1, batch_size=2)
    whole = numbers_of(relax_structures(first, emt, dataclasses.replace(settings, narrow_steps=0)))
    few = numbers_of(relax_structures(first, emt, dataclasses.replace(settings, narrow_steps=0, max_steps=18)))
    best = min(range(3), key=lambda row: few[row][0])
    states = []
    narrowed = numbers_of(relax_structures(first, emt, settings, keep=states.append))
    assert narrowed == [whole[row] if row == best else few[row] for row in range(3)]
    for state in states[10::13]:
        again = relax_structures(first, emt, settings, state=unpack_state(*pack_state(state)))
        assert numbers_of(again) == narrowed


def test_crystals_left_after_their_release_are_at_their_symmetric_minimum(chgnet):
    positions = [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    cubes = [
        Structure(Lattice.cubic(a), [cation, 'Ti', 'O', 'O', 'O'], positions)
        for cation, a in (('Sr', 4.0), ('Pb', 4.05))
    ]
    settings = RelaxSettings(force_tolerance=0.01, max_steps=200, symmetry='then_free', batch_size=1, narrow_to=1)
    kept = relax_structures(cubes, chgnet, dataclasses.replace(settings, symmetry='keep'))
    first = dataclasses.replace(settings, narrow_steps=max(one.steps for one in kept) + 1)
    better, worse = sorted((0, 1), key=lambda row: kept[row].energy)
    narrowed = relax_structures(cubes, chgnet, first)
    assert narrowed[worse].energy == kept[worse].energy
    assert narrowed[worse].steps == first.narrow_steps
    assert numbers_of(narrowed)[better] == numbers_of(relax_structures(cubes, chgnet, settings))[better]


def test_budget_ends_it(counting, starts):
    settings = dataclasses.replace(ALL, budget=5.0)
    ended = relax_structures(starts, counting, settings)
    assert [one.steps for one in ended if one.reason is None] == [0, 4, 4, 3, 0, 0, 0, 0, 0, 0]
    assert counting.batches == [3] * 5 + [3, 3]
    assert [one.converged for one in ended] == [True] + [False] * 10
    assert all(one.energy == one.initial_energy for one in ended if one.steps == 0 and one.reason is None)


def test_budget_ends_the_second_phase(counting, starts, full):
    relax_structures(starts, counting, NARROW)
    whole = len(counting.batches)
    counting.batches.clear()
    ended = numbers_of(relax_structures(starts, counting, dataclasses.replace(NARROW, budget=whole - 4.0)))
    assert len(counting.batches) == whole - 4
    few = full[1]
    assert all(one[0] <= first[0] for one, first in zip(ended, few, strict=True) if first[0] is not None)
    assert all(one[4] == first[4] for one, first in zip(ended, few, strict=True))
    assert any(one[2] > NARROW.narrow_steps and not one[3] for one in ended)


def test_budget_counts_on_where_the_work_was_interrupted(counting, starts):
    settings = dataclasses.replace(NARROW, budget=18.0)
    states = []
    whole = numbers_of(relax_structures(starts, counting, settings, keep=states.append))
    assert len(counting.batches) == 18
    assert any(one[2] > NARROW.narrow_steps for one in whole)
    assert [state.seconds for state in states] == [*range(1, 19), 18]
    for state in (states[0], states[5], states[15], states[-1]):
        again = relax_structures(starts, counting, settings, state=unpack_state(*pack_state(state)))
        assert numbers_of(again) == whole


def test_a_budget_that_is_not_spent_changes_nothing(emt, starts, full):
    assert numbers_of(relax_structures(starts, emt, dataclasses.replace(ALL, budget=1e6))) == full[0]


def test_time_of_a_crystal_stands_still_while_it_waits(emt, starts, monkeypatch):
    from aiida_alphacrystal.engine.relax import run

    potential = Counting(emt)
    monkeypatch.setattr(run, 'time', SimpleNamespace(monotonic=potential.monotonic))
    states = []
    relax_structures(starts, potential, NARROW, keep=states.append)
    for state in states:
        assert all(one.seconds == one.evaluations for one in state.running.values())
