"""The variables of a relaxation: where the atoms and the cell of a crystal are free to go.

The variables are amplitudes of orthonormal displacements in the frame of the starting cell and of orthonormal
logarithmic strains of that cell, as in the Frechet cell filter of ASE, so that the gradient is exact and the crystal
does not rotate. Where there are fewer of them than coordinates, the crystal keeps a symmetry.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.relax.base import AtomArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ('STRAINS', 'STRAIN_PER_STEP', 'Freedom')

_ROWS, _COLUMNS = np.triu_indices(3)
_WEIGHTS = np.where(_ROWS == _COLUMNS, 1.0, math.sqrt(2.0))
#: Strain in one step, per A of the longest step of an atom.
STRAIN_PER_STEP = 0.3


def _unpack(packed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric matrix with an upper triangle whose off-diagonal elements stand times the root of two."""
    matrix = np.zeros((3, 3))
    matrix[_ROWS, _COLUMNS] = packed / _WEIGHTS
    matrix[_COLUMNS, _ROWS] = packed / _WEIGHTS
    return matrix


#: Orthonormal symmetric strains, (6, 3, 3).
STRAINS: NDArray[np.float64] = np.stack([_unpack(row) for row in np.eye(6)])


@dataclasses.dataclass(frozen=True)
class Freedom:
    """A crystal and its variables: first those of the atoms, then those of the cell.

    :param start: the crystal where all variables are zero.
    :param displacements: orthonormal displacements of the atoms as columns, (3 atoms, variables of the atoms).
    :param strains: orthonormal logarithmic strains as columns in terms of ``STRAINS``, (6, variables of the cell).
    :param symmetric: whether the variables keep a symmetry of the start.
    """

    start: AtomArrays
    displacements: NDArray[np.float64]
    strains: NDArray[np.float64]
    symmetric: bool = False

    @classmethod
    def free(cls, start: AtomArrays) -> Freedom:
        """Let every atom and the cell go anywhere.

        :param start: the crystal.
        """
        return cls(start, np.eye(3 * len(start.numbers)), np.eye(6))

    @property
    def atoms(self) -> int:
        """Return the number of atoms."""
        return len(self.start.numbers)

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of variables of the atoms and of the cell."""
        return self.displacements.shape[1], self.strains.shape[1]

    def crystal(self, variables: NDArray[np.float64]) -> AtomArrays:
        """Return the crystal at some values of the variables.

        :param variables: amplitudes in A and of strain, (variables,).
        """
        moved, strained = self._split(variables)
        deformation = _deformation(self.strains @ strained)[0]
        positions = self.start.positions + (self.displacements @ moved).reshape(-1, 3)
        return AtomArrays(self.start.numbers, self.start.lattice @ deformation, positions @ deformation)

    def project(
        self, forces: NDArray[np.float64], stress: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Leave of forces and stress what the variables can follow; the rest is noise where they keep a symmetry.

        :param forces: eV/A, (atoms, 3).
        :param stress: eV/A^3, (3, 3).
        """
        if not self.symmetric:
            return forces, stress
        kept = self.displacements @ (self.displacements.T @ forces.ravel())
        packed = 0.5 * (stress + stress.T)[_ROWS, _COLUMNS] * _WEIGHTS
        return kept.reshape(-1, 3), _unpack(self.strains @ (self.strains.T @ packed))

    def gradient(
        self, variables: NDArray[np.float64], forces: NDArray[np.float64], stress: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the derivative of the energy with respect to the variables.

        :param variables: where, (variables,).
        :param forces: eV/A, (atoms, 3), of the crystal there.
        :param stress: eV/A^3, (3, 3), of the crystal there.
        """
        deformation, vectors, divided = _deformation(self.strains @ self._split(variables)[1])
        volume = abs(np.linalg.det(self.start.lattice @ deformation))
        by_deformation = np.linalg.solve(deformation, volume * 0.5 * (stress + stress.T))
        by_deformation = 0.5 * (by_deformation + by_deformation.T)
        by_logarithm = vectors @ (divided * (vectors.T @ by_deformation @ vectors)) @ vectors.T
        packed = by_logarithm[_ROWS, _COLUMNS] * _WEIGHTS
        return np.concatenate([-self.displacements.T @ (forces @ deformation).ravel(), self.strains.T @ packed])

    def length(self, step: NDArray[np.float64]) -> float:
        """Return how far a step goes, in A: the farthest moved atom, or the strain where that is the larger.

        :param step: change of the variables, (variables,).
        """
        moved, strained = self._split(step)
        farthest = np.linalg.norm((self.displacements @ moved).reshape(-1, 3), axis=1).max()
        return max(float(farthest), float(np.linalg.norm(strained)) / STRAIN_PER_STEP)

    def _split(self, variables: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ours = self.displacements.shape[1]
        return variables[:ours], variables[ours:]


def _deformation(
    packed: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Exponentiate a symmetric matrix.

    :param packed: its upper triangle, the off-diagonal elements times the square root of two, (6,).
    :return: the exponential, the eigenvectors, and the divided differences of the exponential over the eigenvalues,
        which carry gradients from the exponential to the matrix.
    """
    values, vectors = np.linalg.eigh(_unpack(packed))
    difference = values[:, None] - values[None, :]
    safe = np.where(np.abs(difference) > 1e-6, difference, 1.0)
    middle = np.exp(0.5 * (values[:, None] + values[None, :]))
    divided = middle * np.where(np.abs(difference) > 1e-6, 2 * np.sinh(0.5 * difference) / safe, 1.0)
    return (vectors * np.exp(values)) @ vectors.T, vectors, divided
