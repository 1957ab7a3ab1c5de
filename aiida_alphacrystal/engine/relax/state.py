"""What becomes of a crystal that is relaxed, and where a relaxation of many has come to, to go on from there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ('FinishedRun', 'Relaxation', 'RelaxationState', 'RunState')


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """What became of one crystal.

    :param structure: the relaxed crystal, atoms in the order of the start; the last sound one where it failed.
    :param energy: eV/atom, not a number where it failed.
    :param forces: eV/A, (atoms, 3).
    :param max_force: length of the largest force, eV/A.
    :param stress: derivative of the energy by strain over the volume, eV/A^3, (3, 3).
    :param steps: evaluations after the first one.
    :param converged: whether atomic and cell forces are within the tolerance.
    :param reason: why it failed, None where it did not.
    :param initial_energy: of the crystal as it was given, eV/atom; None where it could not be evaluated or where the
        outcome is of a version that did not keep it.
    """

    structure: Structure
    energy: float
    forces: NDArray[np.float64]
    max_force: float
    stress: NDArray[np.float64]
    steps: int
    converged: bool
    reason: str | None = None
    initial_energy: float | None = None

    @property
    def failed(self) -> bool:
        """Return whether there is no energy."""
        return self.reason is not None


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A crystal that has been relaxed, as arrays.

    :param arrays: ``lattice`` (A, (3, 3)), ``coordinates`` (fractional, (atoms, 3)), ``forces`` (eV/A, (atoms, 3)),
        ``stress`` (eV/A^3, (3, 3)) and ``numbers``, the energy (eV/atom) and the largest force (eV/A).
    :param steps: evaluations after the first one.
    :param converged: whether it is within the tolerance.
    :param reason: why it failed, None where it did not.
    :param initial_energy: before its relaxation, eV/atom; None where it is not known.
    """

    arrays: Mapping[str, NDArray[np.float64]]
    steps: int
    converged: bool
    reason: str | None
    initial_energy: float | None = None

    @classmethod
    def of(cls, relaxation: Relaxation) -> FinishedRun:
        """Take the arrays out of an outcome.

        :param relaxation: the outcome.
        """
        arrays = {
            'lattice': np.asarray(relaxation.structure.lattice.matrix),
            'coordinates': np.asarray(relaxation.structure.frac_coords),
            'forces': relaxation.forces,
            'stress': relaxation.stress,
            'numbers': np.array([relaxation.energy, relaxation.max_force]),
        }
        return cls(arrays, relaxation.steps, relaxation.converged, relaxation.reason, relaxation.initial_energy)

    def to_relaxation(self, start: Structure) -> Relaxation:
        """Return the outcome.

        :param start: the crystal before its relaxation.
        """
        energy, max_force = (float(number) for number in self.arrays['numbers'])
        structure = Structure(
            self.arrays['lattice'], start.species, self.arrays['coordinates'], site_properties=start.site_properties
        )
        return Relaxation(
            structure=structure,
            energy=energy,
            forces=self.arrays['forces'],
            max_force=max_force,
            stress=self.arrays['stress'],
            steps=self.steps,
            converged=self.converged,
            reason=self.reason,
            initial_energy=self.initial_energy,
        )


@dataclasses.dataclass(frozen=True)
class RunState:
    """Where one crystal has come to on its way.

    :param arrays: what its method remembers, by name.
    :param evaluations: so far.
    :param seconds: that it has been in a batch.
    :param initial_energy: eV, of the first point; None before its evaluation.
    """

    arrays: Mapping[str, NDArray[np.float64]]
    evaluations: int
    seconds: float
    initial_energy: float | None = None


@dataclasses.dataclass(frozen=True)
class RelaxationState:
    """Where the relaxation of a list of crystals has come to.

    :param finished: crystals that have been relaxed, by their place in the list.
    :param running: crystals on their way, or waiting for the choice of those that go on.
    :param seconds: since the first crystal entered, of all processes together.
    """

    finished: Mapping[int, FinishedRun]
    running: Mapping[int, RunState]
    seconds: float = 0.0
