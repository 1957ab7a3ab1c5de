"""Relax the cell and the positions of many crystals at once.

The optimiser is our own small quasi-Newton method (BFGS) over batched evaluations. The maintained batched optimisers
that could be had instead (torch-sim 0.3) are gradient descent and FIRE. On 40 distorted crystals FIRE needs 33
evaluations each where this needs 9, to the same minima (``benchmarks/relaxation.py``); torch-sim also leaves it to its
caller to single out a crystal that breaks the batch, and brings a compiled neighbour list and HDF5 along.

The variables are the positions in the frame of the starting cell and the logarithm of a symmetric deformation of that
cell, as in the Frechet cell filter of ASE, so that the gradient is exact and the crystal does not rotate.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.structure import Structure

from aiida_alphacrystal.engine import progress as progress_reports
from aiida_alphacrystal.engine.errors import UnsupportedElementError, one_sentence
from aiida_alphacrystal.engine.relax.base import AtomArrays, Evaluation, Potential
from aiida_alphacrystal.engine.relax.state import FinishedRun, Relaxation, RelaxationState, RunState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiida_alphacrystal.engine.settings import RelaxSettings

__all__ = ('MAX_FORCE', 'MAX_VOLUME_FACTOR', 'Relaxation', 'relax_structures')

#: A crystal whose volume has grown or shrunk by more than this factor has left the world of its candidate.
MAX_VOLUME_FACTOR = 3.0
#: A force in eV/A beyond any that a crystal can be relaxed from.
MAX_FORCE = 1000.0
#: Atoms nearer than this share of the sum of their covalent radii, or than ``_MIN_DISTANCE`` (A), clash.
MIN_RADII_SHARE = 0.4
_MIN_DISTANCE = 0.5
#: An atom with no other within this distance (A) is beyond the reach of the potentials, which then see no forces.
MAX_DISTANCE = 6.5
#: Distance between two faces of the cell, in A, below which the number of neighbours explodes.
_MIN_HEIGHT = 1.0

#: Curvature that the first step assumes: eV/A^2 per atom coordinate, eV per atom and unit of strain.
_ATOM_CURVATURE = 10.0
_CELL_CURVATURE = 20.0
#: Longest step of an atom in A: at first, at most, and where a relaxation gives up.
_FIRST_STEP = 0.3
_LONGEST_STEP = 0.4
_SHORTEST_STEP = 1e-4
#: Strain in one step, per A of the longest step of an atom.
_STRAIN_PER_STEP = 0.3
#: Energy in eV/atom that single precision cannot resolve.
_ENERGY_NOISE = 2e-6
#: What torch says where the memory of a CPU does not suffice.
_NO_MEMORY = "can't allocate memory"

_ROWS, _COLUMNS = np.triu_indices(3)
_WEIGHTS = np.where(_ROWS == _COLUMNS, 1.0, math.sqrt(2.0))


def relax_structures(
    structures: Sequence[Structure],
    potential: Potential,
    settings: RelaxSettings,
    progress: Callable[[int, int], None] | None = None,
    *,
    state: RelaxationState | None = None,
    keep: Callable[[RelaxationState], None] | None = None,
) -> tuple[Relaxation, ...]:
    """Relax cells and positions, ``settings.batch_size`` crystals at a time.

    A crystal that has converged or failed leaves the batch and the next one enters. Which crystals share a batch
    follows from the list alone, so that the same list gives the same result to the last bit, also where the work was
    interrupted and goes on from a state. A crystal that cannot be relaxed is returned with a reason. Where the memory
    does not suffice for a batch, it is halved.

    :param structures: ordered crystals.
    :param potential: any potential.
    :param settings: tolerance, steps and batch size.
    :param progress: called with the number of finished crystals and of all.
    :param state: where an earlier call with the same structures had come to.
    :param keep: called with where the work has come to, after every step.
    :raises MemoryError: if the memory does not suffice for one crystal.
    """
    results, running = _begin(structures, settings, state)
    total = len(structures)
    waiting = iter([entry for entry in enumerate(structures) if entry[0] not in results and entry[0] not in running])
    limit = settings.batch_size
    while True:
        _fill(running, waiting, results, potential, settings)
        active = list(running.values())[:limit]  # more are running where a state comes from larger batches
        try:
            _advance(active, potential)
        except MemoryError:
            if len(active) == 1:
                raise
            limit = len(active) // 2
            continue
        for index in [index for index, run in running.items() if run.finished]:
            results[index] = running.pop(index).result()
        _report(len(results), total, progress)
        if keep is not None:
            keep(_state(results, running))
        if len(results) == total:
            return tuple(results[index] for index in range(total))


def _begin(
    structures: Sequence[Structure], settings: RelaxSettings, state: RelaxationState | None
) -> tuple[dict[int, Relaxation], dict[int, _Run]]:
    """Return the crystals that have been relaxed and those on their way, by their place in the list."""
    if state is None:
        return {}, {}
    results = {index: relaxation.to_relaxation(structures[index]) for index, relaxation in state.finished.items()}
    running = {index: _Run.resume(structures[index], settings, run) for index, run in state.running.items()}
    return results, running


def _state(results: Mapping[int, Relaxation], running: Mapping[int, _Run]) -> RelaxationState:
    finished = {index: FinishedRun.of(result) for index, result in results.items()}
    return RelaxationState(finished, {index: run.state() for index, run in running.items()})


def _report(done: int, total: int, progress: Callable[[int, int], None] | None) -> None:
    progress_reports.report('relax', done, total)
    if progress is not None:
        progress(done, total)


def _fill(
    running: dict[int, _Run],
    waiting: Iterator[tuple[int, Structure]],
    results: dict[int, Relaxation],
    potential: Potential,
    settings: RelaxSettings,
) -> None:
    """Let crystals enter until the batch is full; those that cannot be evaluated are results at once."""
    while len(running) < settings.batch_size:
        index, structure = next(waiting, (None, None))
        if index is None or structure is None:
            return
        crystal, reason = _enter(structure, potential)
        if crystal is None:
            results[index] = _failure(structure, reason)
        else:
            running[index] = _Run(structure, crystal, settings)


def _enter(structure: Structure, potential: Potential) -> tuple[AtomArrays | None, str]:
    """Return the arrays of a crystal, or why it cannot be relaxed."""
    if not structure.is_ordered:
        return None, 'a site is disordered'
    try:
        potential.check_elements({site.specie.symbol for site in structure})
    except UnsupportedElementError as error:
        return None, str(error)
    crystal = AtomArrays.from_structure(structure)
    reason = unsound(crystal)
    return (crystal, '') if reason is None else (None, f'{reason} at the start')


def _failure(structure: Structure, reason: str) -> Relaxation:
    forces = np.full((len(structure), 3), np.nan)
    return Relaxation(structure, math.nan, forces, math.nan, np.full((3, 3), np.nan), 0, False, reason)


def _advance(runs: list[_Run], potential: Potential) -> None:
    """Evaluate the trial of every crystal and let it take its next step."""
    if not runs:
        return
    try:
        evaluation = potential.evaluate_crystals([run.trial for run in runs])
    except Exception as error:  # one of them breaks the batch: find out which
        _raise_memory_error(error)
        for run in runs:
            _advance_alone(run, potential)
        return
    for row, run in enumerate(runs):
        run.take(evaluation, row)


def _advance_alone(run: _Run, potential: Potential) -> None:
    """Evaluate the trial of one crystal, which fails if it cannot be evaluated."""
    try:
        evaluation = potential.evaluate_crystals([run.trial])
    except Exception as error:  # the reason goes to the user, the others go on
        _raise_memory_error(error)
        run.fail(f'the potential could not evaluate it ({type(error).__name__}: {error})')
        return
    run.take(evaluation, 0)


def _raise_memory_error(error: Exception) -> None:
    """Raise MemoryError where an exception says that the memory did not suffice: no crystal is to blame for that."""
    import torch

    no_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if no_memory or (isinstance(error, RuntimeError) and _NO_MEMORY in str(error)):
        raise MemoryError(one_sentence(error)) from error


def unsound(crystal: AtomArrays) -> str | None:
    """Say why a crystal should not be given to a potential, None if it may.

    :param crystal: bare arrays.
    """
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.positions).all()):
        return 'a coordinate is not a number'
    height = _height(crystal.lattice)
    if height < _MIN_HEIGHT:
        return f'the cell is only {height:.2f} A thick'
    return _odd_distance(crystal)


def _height(lattice: NDArray[np.float64]) -> float:
    """Return the smallest distance between two faces of a cell, in A."""
    normals = np.cross(lattice[[1, 2, 0]], lattice[[2, 0, 1]])
    return float(abs(np.linalg.det(lattice)) / max(np.linalg.norm(normals, axis=1).max(), 1e-12))


def _odd_distance(crystal: AtomArrays) -> str | None:
    """Name two atoms that are too close to each other, or one that is too far from all others, if there are any."""
    from ase.data import chemical_symbols, covalent_radii
    from pymatgen.optimization.neighbors import find_points_in_spheres

    periodic = np.ones(3, dtype=np.int64)
    one, two, _, distance = find_points_in_spheres(
        crystal.positions, crystal.positions, r=MAX_DISTANCE, pbc=periodic, lattice=crystal.lattice, tol=1e-8
    )
    real = (one != two) | (distance > 1e-8)
    one, two, distance = one[real], two[real], distance[real]
    radii = covalent_radii[crystal.numbers]
    ratio = distance / np.maximum(_MIN_DISTANCE, MIN_RADII_SHARE * (radii[one] + radii[two]))
    if (ratio < 1).any():
        worst = np.argmin(ratio)
        symbols = '-'.join(chemical_symbols[crystal.numbers[atom]] for atom in (one[worst], two[worst]))
        return f'two atoms ({symbols}) are {distance[worst]:.2f} A apart'
    alone = np.flatnonzero(np.bincount(one, minlength=len(crystal.numbers)) == 0)
    if len(alone):
        return f'an atom ({chemical_symbols[crystal.numbers[alone[0]]]}) has no other within {MAX_DISTANCE} A'
    return None


@dataclasses.dataclass(frozen=True)
class _Point:
    """A point of the search that has been evaluated."""

    variables: NDArray[np.float64]
    crystal: AtomArrays
    energy: float
    gradient: NDArray[np.float64]
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


class _Run:
    """One crystal on its way to a minimum.

    :param structure: where it starts.
    :param crystal: its arrays.
    :param settings: when it stops.
    """

    def __init__(self, structure: Structure, crystal: AtomArrays, settings: RelaxSettings) -> None:
        atoms = len(crystal.numbers)
        self._structure = structure
        self._start = crystal
        self._settings = settings
        self._atoms = atoms
        curvature = np.repeat([_ATOM_CURVATURE, _CELL_CURVATURE * atoms], [3 * atoms, 6])
        self._inverse = np.diag(1 / curvature)
        self._radius = _FIRST_STEP
        self._evaluations = 0
        self._point: _Point | None = None
        self._initial_energy: float | None = None
        self._step = np.zeros(3 * atoms + 6)
        self._scale = 1.0
        self._trial_variables = np.concatenate([crystal.positions.ravel(), np.zeros(6)])
        self.trial = crystal
        self.finished = False
        self._converged = False
        self._reason: str | None = None

    @classmethod
    def resume(cls, structure: Structure, settings: RelaxSettings, state: RunState) -> _Run:
        """Return a crystal that goes on from where it had come to.

        :param structure: where it started.
        :param settings: when it stops.
        :param state: where it had come to.
        """
        run = cls(structure, AtomArrays.from_structure(structure), settings)
        arrays = state.arrays
        run._inverse, run._step, run._trial_variables = (arrays[key].copy() for key in ('inverse', 'step', 'trial'))
        run._radius, run._scale, run._evaluations = state.radius, state.scale, state.evaluations
        run._initial_energy = state.initial_energy
        if state.energy is not None:
            crystal = AtomArrays(run._start.numbers, arrays['lattice'], arrays['positions'])
            run._point = _Point(
                arrays['variables'], crystal, state.energy, arrays['gradient'], arrays['forces'], arrays['stress']
            )
            run.trial = run._crystal(run._trial_variables)
        return run

    def state(self) -> RunState:
        """Return where the crystal has come to; what happens to it later does not change that."""
        arrays = {'inverse': self._inverse.copy(), 'step': self._step, 'trial': self._trial_variables}
        point = self._point
        if point is not None:
            arrays |= {'lattice': point.crystal.lattice, 'positions': point.crystal.positions}
            arrays |= {key: getattr(point, key) for key in ('variables', 'gradient', 'forces', 'stress')}
        return RunState(
            arrays,
            self._radius,
            self._scale,
            self._evaluations,
            None if point is None else point.energy,
            self._initial_energy,
        )

    def fail(self, reason: str) -> None:
        """Stop with a reason."""
        self.finished = True
        self._reason = reason

    def take(self, evaluation: Evaluation, row: int) -> None:
        """Use the evaluation of the trial: accept or refuse it, and set the next trial or finish.

        :param evaluation: of the batch.
        :param row: of this crystal in it.
        """
        self._evaluations += 1
        energy, forces, stress = float(evaluation.energies[row]), evaluation.forces[row], evaluation.stresses[row]
        absurd = _absurd(energy, forces, stress)
        if absurd is not None:
            self._refuse(absurd)
            return
        gradient = self._gradient(forces, stress)
        new = _Point(self._trial_variables, self.trial, energy, gradient, forces, stress)
        if self._point is None:
            self._initial_energy = energy
        self._point = point = new if self._point is None else self._judge(self._point, new)
        self._converged = self._within_tolerance(point)
        if self._converged or self._evaluations > self._settings.max_steps or self._radius < _SHORTEST_STEP:
            self._finish(point)
            return
        self._propose(point)

    def _refuse(self, reason: str) -> None:
        """Try a much shorter step from the last sound point, or fail where there is none or it does not help."""
        self._radius = 0.25 * min(self._radius, _longest(self._scale * self._step, self._atoms))
        if self._point is None or self._radius < _SHORTEST_STEP or self._evaluations > self._settings.max_steps:
            self.fail(reason)
            return
        self._propose(self._point)

    def result(self) -> Relaxation:
        """Return what has become of the crystal."""
        point = self._point
        if point is None:
            return _failure(self._structure, self._reason or 'it was never evaluated')
        structure = Structure(
            point.crystal.lattice,
            self._structure.species,
            point.crystal.positions,
            coords_are_cartesian=True,
            site_properties=self._structure.site_properties,
        )
        return Relaxation(
            structure=structure,
            energy=point.energy / self._atoms if self._reason is None else math.nan,
            forces=point.forces,
            max_force=float(np.linalg.norm(point.forces, axis=1).max()),
            stress=point.stress,
            steps=max(self._evaluations - 1, 0),
            converged=self._converged and self._reason is None,
            reason=self._reason,
            initial_energy=None if self._initial_energy is None else self._initial_energy / self._atoms,
        )

    def _judge(self, old: _Point, new: _Point) -> _Point:
        """Learn the curvature from the trial, adapt the step length, and return the point to go on from."""
        self._learn(old, new)
        predicted = float(old.gradient @ self._step) * (self._scale - 0.5 * self._scale**2)
        gain = new.energy - old.energy
        noise = _ENERGY_NOISE * self._atoms * max(1.0, abs(new.energy) / self._atoms)
        quality = gain / predicted if abs(predicted) > noise else 1.0
        if gain > noise:
            self._radius = 0.4 * min(self._radius, _longest(self._scale * self._step, self._atoms))
            return old
        if quality > 0.5 and self._scale < 1:
            self._radius = min(1.6 * self._radius, _LONGEST_STEP)
        elif quality < 0.1:
            self._radius *= 0.6
        return new

    def _learn(self, old: _Point, new: _Point) -> None:
        """Update the inverse curvature (BFGS with Powell's damping, which keeps it positive definite)."""
        move = self._scale * self._step
        change = new.gradient - old.gradient
        expected = -self._scale * old.gradient
        known = float(move @ expected)
        found = float(move @ change)
        if known <= 0:
            return
        if found < 0.2 * known:
            share = 0.8 * known / (known - found)
            change = share * change + (1 - share) * expected
            found = float(move @ change)
        mapped = self._inverse @ change
        factor = (1 + float(change @ mapped) / found) / found
        mixed = np.outer(mapped, move) / found
        self._inverse += factor * np.outer(move, move) - mixed - mixed.T

    def _propose(self, point: _Point) -> None:
        """Set the next trial."""
        self._step = -self._inverse @ point.gradient
        self._scale = min(1.0, self._radius / max(_longest(self._step, self._atoms), 1e-12))
        self._trial_variables = point.variables + self._scale * self._step
        self.trial = self._crystal(self._trial_variables)
        factor = abs(np.linalg.det(self.trial.lattice) / np.linalg.det(self._start.lattice))
        if not 1 / MAX_VOLUME_FACTOR <= factor <= MAX_VOLUME_FACTOR:
            self.fail(f'its volume changed by a factor of {factor:.2f}')
        elif _height(self.trial.lattice) < _MIN_HEIGHT:
            self.fail(f'its cell became less than {_MIN_HEIGHT} A thick')

    def _finish(self, point: _Point) -> None:
        self.finished = True
        reason = unsound(point.crystal)
        if reason is not None:
            self.fail(f'{reason} at the end')

    def _within_tolerance(self, point: _Point) -> bool:
        """Return whether no atomic force and no cell force (virial per atom) exceeds the tolerance."""
        volume = abs(np.linalg.det(point.crystal.lattice))
        cell = np.linalg.norm(point.stress, axis=1).max() * volume / self._atoms
        atomic = np.linalg.norm(point.forces, axis=1).max()
        return bool(max(cell, atomic) <= self._settings.force_tolerance)

    def _crystal(self, variables: NDArray[np.float64]) -> AtomArrays:
        """Return the crystal at a point of the search."""
        deformation = _deformation(variables[-6:])[0]
        positions = variables[:-6].reshape(-1, 3) @ deformation
        return AtomArrays(self._start.numbers, self._start.lattice @ deformation, positions)

    def _gradient(self, forces: NDArray[np.float64], stress: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivative of the energy with respect to the variables at the trial."""
        deformation, vectors, divided = _deformation(self._trial_variables[-6:])
        volume = abs(np.linalg.det(self.trial.lattice))
        by_deformation = np.linalg.solve(deformation, volume * 0.5 * (stress + stress.T))
        by_deformation = 0.5 * (by_deformation + by_deformation.T)
        by_logarithm = vectors @ (divided * (vectors.T @ by_deformation @ vectors)) @ vectors.T
        return np.concatenate([-(forces @ deformation).ravel(), by_logarithm[_ROWS, _COLUMNS] * _WEIGHTS])


def _absurd(energy: float, forces: NDArray[np.float64], stress: NDArray[np.float64]) -> str | None:
    """Say what is wrong with the answer of a potential, None if nothing is."""
    if not (math.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return 'its energy or forces are not numbers'
    largest = float(np.abs(forces).max(initial=0.0))
    return f'a force of {largest:.0f} eV/A is beyond any crystal' if largest > MAX_FORCE else None


def _longest(step: NDArray[np.float64], atoms: int) -> float:
    """Return how far a step goes, in A: the farthest moved atom, or the strain where that is the larger."""
    moved = float(np.linalg.norm(step[: 3 * atoms].reshape(-1, 3), axis=1).max())
    return max(moved, float(np.linalg.norm(step[-6:])) / _STRAIN_PER_STEP)


def _deformation(
    packed: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Exponentiate a symmetric matrix.

    :param packed: its upper triangle, the off-diagonal elements times the square root of two, (6,).
    :return: the exponential, the eigenvectors, and the divided differences of the exponential over the eigenvalues,
        which carry gradients from the exponential to the matrix.
    """
    matrix = np.zeros((3, 3))
    matrix[_ROWS, _COLUMNS] = packed / _WEIGHTS
    matrix[_COLUMNS, _ROWS] = packed / _WEIGHTS
    values, vectors = np.linalg.eigh(matrix)
    difference = values[:, None] - values[None, :]
    safe = np.where(np.abs(difference) > 1e-6, difference, 1.0)
    middle = np.exp(0.5 * (values[:, None] + values[None, :]))
    divided = middle * np.where(np.abs(difference) > 1e-6, 2 * np.sinh(0.5 * difference) / safe, 1.0)
    return (vectors * np.exp(values)) @ vectors.T, vectors, divided
