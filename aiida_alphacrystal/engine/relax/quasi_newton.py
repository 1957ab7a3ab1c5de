"""Follow the gradient to a minimum: a small quasi-Newton method (BFGS) with a trust radius."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.relax.freedom import Freedom
from aiida_alphacrystal.engine.relax.run import Point, Run
from aiida_alphacrystal.engine.relax.soundness import out_of_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from aiida_alphacrystal.engine.settings import RelaxSettings

__all__ = ('QuasiNewtonRun',)

#: Curvature that the first step assumes: eV/A^2 per atom coordinate, eV per atom and unit of strain.
_ATOM_CURVATURE = 10.0
_CELL_CURVATURE = 20.0
#: Longest step of an atom in A: at first, at most, and where a relaxation gives up.
_FIRST_STEP = 0.3
_LONGEST_STEP = 0.4
_SHORTEST_STEP = 1e-4
#: Energy in eV/atom that single precision cannot resolve.
_ENERGY_NOISE = 2e-6
#: How far a released crystal is pushed: the farthest atom in A, and the strain.
_PUSH = 0.1
_PUSH_STRAIN = 0.02
#: Share of the tolerance at which a released crystal is at rest that has gained nothing: saddles have small forces too.
_RELEASED_SHARE = 0.25
#: Energy in eV/atom that breaking the symmetry has to gain.
_RELEASE_GAIN = 1e-3


class QuasiNewtonRun(Run):
    """One crystal that follows the gradient of its energy.

    With ``settings.symmetry`` at ``then_free`` the minimum of the symmetric crystal is pushed out of its symmetry,
    always in the same way, and followed once more with all coordinates. Where that gains less than a meV per atom, the
    symmetric minimum is the result.

    :param structure: where it starts.
    :param settings: when it stops.
    """

    def __init__(self, structure: Structure, settings: RelaxSettings) -> None:
        super().__init__(structure, settings)
        self._kept: Point | None = None
        self._kept_converged = False
        self._begin()

    def _begin(self) -> None:
        """Forget what is known about the curvature."""
        of_atoms, of_cell = self._freedom.sizes
        curvature = np.repeat([_ATOM_CURVATURE, _CELL_CURVATURE * self._atoms], [of_atoms, of_cell])
        self._inverse = np.diag(1 / curvature)
        self._radius = _FIRST_STEP
        self._step = np.zeros(of_atoms + of_cell)
        self._scale = 1.0

    def fail(self, reason: str) -> None:
        """Stop with a reason, or with the symmetric minimum where there is one.

        :param reason: one sentence without a capital and a stop.
        """
        if self._kept is None:
            super().fail(reason)
        else:
            self._return_kept()

    def _memory(self) -> dict[str, NDArray[np.float64]]:
        arrays = {
            'inverse': self._inverse.copy(),
            'step': self._step,
            'lengths': np.array([self._radius, self._scale]),
        }
        if self._kept is not None:
            arrays |= self._kept.arrays('kept_') | {'kept_converged': np.array(float(self._kept_converged))}
        return arrays

    def _recall(self, arrays: Mapping[str, NDArray[np.float64]]) -> None:
        self._kept = Point.of(arrays, 'kept_', self._start.numbers)
        if self._kept is not None:
            self._kept_converged = bool(arrays['kept_converged'])
            self._freedom = Freedom.free(self._kept.crystal)
        self._inverse, self._step = arrays['inverse'].copy(), arrays['step']
        self._radius, self._scale = (float(length) for length in arrays['lengths'])

    def _use(self, point: Point) -> None:
        """Accept or refuse the trial, and set the next one or finish."""
        self._point = point = point if self._point is None else self._judge(self._point, point)
        largest, tolerance = self._largest_force(point), self._settings.force_tolerance
        self._converged = largest <= tolerance
        at_rest = largest <= (tolerance if self._gained(point) else _RELEASED_SHARE * tolerance)
        if self._spent():
            self._finish()
        elif at_rest or self._radius < _SHORTEST_STEP:
            self._rest(point)
        else:
            self._propose(point)

    def _gained(self, point: Point) -> bool:
        """Return whether a crystal that was released has gained energy by it; true for all others."""
        return self._kept is None or point.energy < self._kept.energy - _RELEASE_GAIN * self._atoms

    def _rest(self, point: Point) -> None:
        """Finish at a minimum, or leave it with another freedom."""
        if self._settings.symmetry == 'then_free' and self._freedom.symmetric:
            self._release(point)
        else:
            self._finish()

    def _release(self, point: Point) -> None:
        """Push the crystal out of its symmetry and let it go on without."""
        push = _push(self._freedom)
        self._kept, self._kept_converged = point, self._converged
        self._freedom = Freedom.free(point.crystal)
        self._point = None
        self._begin()
        self._try(push)

    def _stay(self) -> Point | None:
        """Return the point at which the crystal would be left now: the symmetric minimum where that is no worse."""
        return self._kept if self._point is None or not self._gained(self._point) else self._point

    def _finish(self) -> None:
        """Stop where the crystal has come to, or at the symmetric minimum where that is no worse."""
        if self._stay() is self._point:
            super()._finish()
        else:
            self._return_kept()

    def _return_kept(self) -> None:
        self._point, self._converged, self._kept = self._kept, self._kept_converged, None
        super()._finish()

    def _refuse(self, reason: str) -> None:
        """Try a much shorter step from the last sound point, or fail where there is none or it does not help."""
        self._radius = 0.25 * min(self._radius, self._freedom.length(self._scale * self._step))
        if self._point is None or self._radius < _SHORTEST_STEP:
            self.fail(reason)
        elif self._spent():
            self._finish()
        else:
            self._propose(self._point)

    def _judge(self, old: Point, new: Point) -> Point:
        """Learn the curvature from the trial, adapt the step length, and return the point to go on from."""
        slope = self._gradient(old)
        self._learn(slope, self._gradient(new))
        predicted = float(slope @ self._step) * (self._scale - 0.5 * self._scale**2)
        gain = new.energy - old.energy
        noise = _ENERGY_NOISE * self._atoms * max(1.0, abs(new.energy) / self._atoms)
        quality = gain / predicted if abs(predicted) > noise else 1.0
        if gain > noise:
            self._radius = 0.4 * min(self._radius, self._freedom.length(self._scale * self._step))
            return old
        if quality > 0.5 and self._scale < 1:
            self._radius = min(1.6 * self._radius, _LONGEST_STEP)
        elif quality < 0.1:
            self._radius *= 0.6
        return new

    def _gradient(self, point: Point) -> NDArray[np.float64]:
        return self._freedom.gradient(point.variables, point.forces, point.stress)

    def _learn(self, old: NDArray[np.float64], new: NDArray[np.float64]) -> None:
        """Update the inverse curvature (BFGS with Powell's damping, which keeps it positive definite)."""
        move = self._scale * self._step
        change = new - old
        expected = -self._scale * old
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

    def _propose(self, point: Point) -> None:
        """Set the next trial."""
        self._step = -self._inverse @ self._gradient(point)
        self._scale = min(1.0, self._radius / max(self._freedom.length(self._step), 1e-12))
        self._try(point.variables + self._scale * self._step)
        reason = out_of_bounds(self.trial.lattice, self._start.lattice)
        if reason is not None:
            self.fail(reason)


def _push(freedom: Freedom) -> NDArray[np.float64]:
    """Return a step of all coordinates that leaves the symmetry of a freedom in no special direction.

    It follows from the number of atoms and the freedom alone, so that neither the batch nor the order of the candidates
    changes it.
    """
    draws = np.random.default_rng(0)
    atoms, cell = draws.normal(size=3 * freedom.atoms), draws.normal(size=6)
    atoms -= freedom.displacements @ (freedom.displacements.T @ atoms)
    atoms = (atoms.reshape(-1, 3) - atoms.reshape(-1, 3).mean(axis=0)).ravel()
    cell -= freedom.strains @ (freedom.strains.T @ cell)
    farthest = float(np.linalg.norm(atoms.reshape(-1, 3), axis=1).max())
    return np.concatenate(
        [_PUSH * atoms / max(farthest, 1e-6), _PUSH_STRAIN * cell / max(float(np.linalg.norm(cell)), 1e-6)]
    )
