"""Bayesian optimisation of the symmetric variables of a crystal, from energies alone.

A Gaussian process is fitted to the energies of the points that have been evaluated, and the next point is the one from
which most is expected to be gained. This is the relaxation of BOWSR: Y. Zuo et al., Materials Today 51, 126 (2021),
https://doi.org/10.1016/j.mattod.2021.08.012.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_alphacrystal.engine.relax.run import Point, Run
from aiida_alphacrystal.engine.relax.soundness import out_of_bounds, unsound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from aiida_alphacrystal.engine.settings import RelaxSettings

__all__ = ('BayesianRun',)

#: How far the search goes from the start: the farthest atom in A, and the logarithmic strain.
_REACH = 0.5
_STRAIN_REACH = 0.2
#: Energies above the lowest enter as logarithms from this one on, eV/atom, so that clashes do not hide the valley.
_SCALE = 0.1
#: Points before the first fit: these, and so many for each variable.
_FIRST_POINTS = 4
_POINTS_PER_VARIABLE = 2
#: Where the gain is looked for: points all over the box, a power of two, and around the best one, at each width.
_ANYWHERE = 512
_NEARBY = 128
_WIDTHS = (0.3, 0.1, 0.03, 0.01, 0.003)
#: The length scales are fitted to each new point at first, and to every so many later.
_FIT_ALWAYS = 30
_FIT_EVERY = 5
#: Expected gain, eV/atom, below which there is nothing left to look for.
_LEAST_GAIN = 1e-6
#: Variance of the noise in the values, of variance one.
_NOISE = 1e-8


class BayesianRun(Run):
    """One crystal whose energy is minimised as a black box.

    Nothing is drawn: the first points are those of a fixed Sobol sequence, and all that follows is a function of the
    energies. Forces only tell when a minimum has been reached.

    :param structure: where it starts.
    :param settings: when it stops; a step is an evaluation.
    """

    def __init__(self, structure: Structure, settings: RelaxSettings) -> None:
        super().__init__(structure, settings)
        self._reach = self._reaches()
        self._points = np.zeros((0, len(self._reach)))
        self._values = np.zeros(0)
        self._theta = np.zeros(0)

    def _reaches(self) -> NDArray[np.float64]:
        """Return half the width of the box in every variable."""
        of_atoms, of_cell = self._freedom.sizes
        lengths = self._freedom.displacements.reshape(self._atoms, 3, of_atoms)
        farthest = np.linalg.norm(lengths, axis=1).max(axis=0)
        return np.concatenate([_REACH / farthest, np.full(of_cell, _STRAIN_REACH)])

    def _memory(self) -> dict[str, NDArray[np.float64]]:
        return {'points': self._points, 'values': self._values, 'theta': self._theta}

    def _recall(self, arrays: Mapping[str, NDArray[np.float64]]) -> None:
        self._points, self._values, self._theta = (arrays[name] for name in ('points', 'values', 'theta'))

    def _use(self, point: Point) -> None:
        """Remember the energy, and set the next trial or finish."""
        self._remember(point.energy / self._atoms)
        if self._point is None or point.energy < self._point.energy:
            self._point = point
        self._converged = self._largest_force(self._point) <= self._settings.force_tolerance
        if self._converged or self._spent():
            self._finish()
        else:
            self._propose()

    def _refuse(self, reason: str) -> None:
        """Remember a bad point, or fail where the start is one."""
        if self._point is None:
            self.fail(reason)
            return
        self._remember(np.inf)
        if self._spent():
            self._finish()
        else:
            self._propose()

    def _remember(self, energy: float) -> None:
        self._points = np.vstack([self._points, self._variables / self._reach])
        self._values = np.append(self._values, energy)

    def _propose(self) -> None:
        """Set the next sound trial; what is not sound is remembered without an evaluation."""
        while len(self._values) <= self._settings.max_steps:
            place = self._next()
            if place is None:
                break
            self._try(place * self._reach)
            if out_of_bounds(self.trial.lattice, self._start.lattice) is None and unsound(self.trial) is None:
                return
            self._remember(np.inf)
        self._finish()

    def _next(self) -> NDArray[np.float64] | None:
        """Return where to look next, in units of the box; None where nothing is to be gained."""
        from scipy.stats import norm

        dimension = len(self._reach)
        first = _FIRST_POINTS + _POINTS_PER_VARIABLE * dimension
        known = len(self._values)
        if known < first:
            start: NDArray[np.float64] = _sobol(dimension, first)[known]
            return start
        worst = self._values[np.isfinite(self._values)].max()
        values = np.log1p((np.minimum(self._values, worst) - self._values.min()) / _SCALE)
        process = self._fit(values)
        best = int(values.argmin())
        candidates = _candidates(self._points[best])
        mean, deviation = process.predict(candidates, return_std=True)
        deviation = np.maximum(deviation, 1e-12)
        below = (values[best] - mean) / deviation
        gain = deviation * (below * norm.cdf(below) + norm.pdf(below))
        chosen = int(gain.argmax())
        place: NDArray[np.float64] = candidates[chosen]
        return None if gain[chosen] * _SCALE < _LEAST_GAIN else place

    def _fit(self, values: NDArray[np.float64]) -> Any:
        """Return the Gaussian process of the known points."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        dimension = len(self._reach)
        kernel = ConstantKernel(1.0, (1e-3, 1e4)) * RBF(np.ones(dimension), (0.05, 50.0))
        known = len(values)
        anew = not len(self._theta) or known <= _FIT_ALWAYS or known % _FIT_EVERY == 0
        if len(self._theta):
            kernel = kernel.clone_with_theta(self._theta)
        process = GaussianProcessRegressor(
            kernel, alpha=_NOISE, normalize_y=True, optimizer='fmin_l_bfgs_b' if anew else None
        )
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # a length scale at its bound is a variable that hardly matters
            process.fit(self._points, values)
        self._theta = np.array(process.kernel_.theta)
        return process


def _sobol(dimension: int, number: int) -> NDArray[np.float64]:
    """Return points of the unit box from -1 to 1, the first of a fixed sequence; its zeroth is the middle."""
    from scipy.stats import qmc

    exponent = max(1, int(np.ceil(np.log2(number + 1))))
    points: NDArray[np.float64] = 2 * qmc.Sobol(dimension, scramble=False).random_base2(exponent) - 1
    points[0] = 0  # the corner of the box
    return points[:number]


def _candidates(best: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the next point may lie: anywhere in the box, and around the best one, also outside."""
    dimension = len(best)
    moves = np.random.default_rng(0).normal(size=(len(_WIDTHS), _NEARBY, dimension))
    nearby = best + np.array(_WIDTHS)[:, None, None] * moves / np.sqrt(dimension)
    return np.concatenate([_sobol(dimension, _ANYWHERE), nearby.reshape(-1, dimension)])
