"""One crystal on its way to a minimum: what every method of relaxation has in common."""

from __future__ import annotations

import abc
import dataclasses
import math
import time
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.structure import Structure

from aiida_alphacrystal.engine.relax.base import AtomArrays
from aiida_alphacrystal.engine.relax.freedom import Freedom
from aiida_alphacrystal.engine.relax.soundness import absurd, unsound
from aiida_alphacrystal.engine.relax.state import Relaxation, RunState
from aiida_alphacrystal.engine.relax.symmetrise import symmetric_freedom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aiida_alphacrystal.engine.relax.base import Evaluation
    from aiida_alphacrystal.engine.settings import RelaxSettings

__all__ = ('Point', 'Run', 'failure')


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of the search that has been evaluated.

    :param variables: of its freedom, (variables,).
    :param crystal: the crystal there.
    :param energy: eV.
    :param forces: eV/A, (atoms, 3), as far as the variables can follow them.
    :param stress: eV/A^3, (3, 3), the same.
    """

    variables: NDArray[np.float64]
    crystal: AtomArrays
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]

    def arrays(self, prefix: str) -> dict[str, NDArray[np.float64]]:
        """Return all of it as arrays.

        :param prefix: of their names.
        """
        return {
            f'{prefix}variables': self.variables,
            f'{prefix}lattice': self.crystal.lattice,
            f'{prefix}positions': self.crystal.positions,
            f'{prefix}energy': np.array(self.energy),
            f'{prefix}forces': self.forces,
            f'{prefix}stress': self.stress,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float64]], prefix: str, numbers: NDArray[np.int64]) -> Point | None:
        """Return the point that arrays hold, None where they hold none.

        :param arrays: as :meth:`arrays` makes them.
        :param prefix: of their names.
        :param numbers: atomic numbers, (atoms,).
        """
        if f'{prefix}energy' not in arrays:
            return None
        crystal = AtomArrays(numbers, arrays[f'{prefix}lattice'], arrays[f'{prefix}positions'])
        variables, forces, stress = (arrays[f'{prefix}{name}'] for name in ('variables', 'forces', 'stress'))
        return cls(variables, crystal, float(arrays[f'{prefix}energy']), forces, stress)


def failure(structure: Structure, reason: str) -> Relaxation:
    """Return the outcome of a crystal that could not be evaluated.

    :param structure: the crystal.
    :param reason: why.
    """
    forces = np.full((len(structure), 3), np.nan)
    return Relaxation(structure, math.nan, forces, math.nan, np.full((3, 3), np.nan), 0, False, reason)


class Run(abc.ABC):
    """One crystal on its way to a minimum.

    ``trial`` is what has to be evaluated next, until ``finished``.

    :param structure: where it starts.
    :param settings: when it stops.
    """

    def __init__(self, structure: Structure, settings: RelaxSettings) -> None:
        self._structure = structure
        self._start = AtomArrays.from_structure(structure)
        self._settings = settings
        self._atoms = len(structure)
        free = settings.symmetry == 'free'
        self._freedom = Freedom.free(self._start) if free else symmetric_freedom(structure)
        self._variables = np.zeros(sum(self._freedom.sizes))
        self.trial = self._freedom.crystal(self._variables)
        self._point: Point | None = None
        self._initial_energy: float | None = None
        self._evaluations = 0
        self._seconds_before = 0.0
        self._woke: float | None = None
        self.finished = False
        self._converged = False
        self._reason: str | None = None

    def resume(self, state: RunState) -> None:
        """Go on from where the crystal had come to in another process.

        :param state: where it had come to.
        """
        self._recall(state.arrays)
        self._point = Point.of(state.arrays, 'point_', self._start.numbers)
        self._variables = state.arrays['trial']
        self._evaluations, self._initial_energy = state.evaluations, state.initial_energy
        self._seconds_before = state.seconds
        self.trial = self._freedom.crystal(self._variables)

    def state(self) -> RunState:
        """Return where the crystal has come to; what happens to it later does not change that."""
        arrays = {'trial': self._variables, **self._memory()}
        if self._point is not None:
            arrays |= self._point.arrays('point_')
        return RunState(arrays, self._evaluations, self._seconds, self._initial_energy)

    @property
    def evaluated(self) -> bool:
        """Return whether the crystal has been evaluated at all."""
        return self._evaluations > 0

    @property
    def steps(self) -> int:
        """Return the evaluations after the first one."""
        return max(self._evaluations - 1, 0)

    def wake(self) -> None:
        """Let the time of the crystal run until its trial has been used."""
        if self._woke is None:
            self._woke = time.monotonic()

    def standing(self) -> tuple[bool, float]:
        """Return whether the crystal is unsound where it has come to, and its energy there in eV/atom."""
        point = self._stay()
        return (True, math.inf) if point is None else (unsound(point.crystal) is not None, point.energy / self._atoms)

    def leave(self) -> None:
        """Leave the crystal where it has come to; it does not go on."""
        self._finish()

    def fail(self, reason: str) -> None:
        """Stop with a reason.

        :param reason: one sentence without a capital and a stop.
        """
        self.finished = True
        self._reason = reason

    def take(self, evaluation: Evaluation, row: int) -> None:
        """Use the evaluation of the trial: set the next trial or finish.

        :param evaluation: of the batch.
        :param row: of this crystal in it.
        """
        self._evaluations += 1
        self._take(evaluation, row)
        self._seconds_before, self._woke = self._seconds, None

    def _take(self, evaluation: Evaluation, row: int) -> None:
        energy, forces, stress = float(evaluation.energies[row]), evaluation.forces[row], evaluation.stresses[row]
        wrong = absurd(energy, forces, stress)
        if wrong is not None:
            self._refuse(wrong)
            return
        if self._initial_energy is None:
            self._initial_energy = energy
        self._use(Point(self._variables, self.trial, energy, *self._freedom.project(forces, stress)))

    def result(self) -> Relaxation:
        """Return what has become of the crystal."""
        point = self._point
        if point is None:
            return failure(self._structure, self._reason or 'it was never evaluated')
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
            steps=self.steps,
            converged=self._converged and self._reason is None,
            reason=self._reason,
            initial_energy=None if self._initial_energy is None else self._initial_energy / self._atoms,
        )

    @property
    def _seconds(self) -> float:
        """Return the time that the crystal has been in a batch, of all processes together."""
        return self._seconds_before + (0.0 if self._woke is None else time.monotonic() - self._woke)

    def _spent(self) -> bool:
        """Return whether the crystal has used up its steps or its time."""
        settings = self._settings
        return self._evaluations > settings.max_steps or 0 < settings.seconds <= self._seconds

    def _try(self, variables: NDArray[np.float64]) -> None:
        """Set the next trial."""
        self._variables = variables
        self.trial = self._freedom.crystal(variables)

    def _finish(self) -> None:
        """Stop where the crystal has come to."""
        self.finished = True
        reason = None if self._point is None else unsound(self._point.crystal)
        if reason is not None:
            self.fail(f'{reason} at the end')

    def _stay(self) -> Point | None:
        """Return the point at which the crystal would be left now."""
        return self._point

    def _largest_force(self, point: Point) -> float:
        """Return the largest force on an atom and on the cell (virial per atom), in eV/A and eV."""
        volume = abs(np.linalg.det(point.crystal.lattice))
        cell = np.linalg.norm(point.stress, axis=1).max() * volume / self._atoms
        return float(max(cell, np.linalg.norm(point.forces, axis=1).max()))

    @abc.abstractmethod
    def _use(self, point: Point) -> None:
        """Use the evaluation of the trial."""

    @abc.abstractmethod
    def _refuse(self, reason: str) -> None:
        """Do without the evaluation of the trial, which is absurd."""

    @abc.abstractmethod
    def _memory(self) -> dict[str, NDArray[np.float64]]:
        """Return what the method remembers, as copies where it will change."""

    @abc.abstractmethod
    def _recall(self, arrays: Mapping[str, NDArray[np.float64]]) -> None:
        """Take up what the method has remembered."""
