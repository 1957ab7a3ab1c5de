"""Find the variables of a crystal that keep its symmetry.

An operation of the space group takes each atom to an equivalent one. Its mean over all operations is a projector on the
displacements, and on the strains, that the space group leaves as they are; any combination of those keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.relax.base import AtomArrays
from aiida_alphacrystal.engine.relax.freedom import STRAINS, Freedom
from aiida_alphacrystal.engine.symmetry import symmetry_operations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ('KEPT_TOLERANCE', 'symmetric_freedom')

#: How far atoms may be from where the symmetry puts them, A: candidates are symmetric to the digits of their file.
KEPT_TOLERANCE = 1e-3
#: Eigenvalues of a projector are 0 and 1 to rounding.
_ROUNDING = 1e-6


def symmetric_freedom(structure: Structure) -> Freedom:
    """Return the variables that keep the space group of a crystal; all variables where it has none.

    The crystal where the variables are zero is the given one with that symmetry made exact.

    :param structure: an ordered crystal.
    """
    crystal = AtomArrays.from_structure(structure)
    found = symmetry_operations(structure, KEPT_TOLERANCE)
    if found is None or len(found[0]) == 1:
        return Freedom.free(crystal)
    rotations, translations = found[0].astype(np.float64), found[1]
    targets, shifts = _targets(crystal, rotations, translations)
    if (np.sort(targets, axis=1) != np.arange(len(crystal.numbers))).any():
        return Freedom.free(crystal)
    start = _symmetrised(crystal, rotations, targets, shifts)
    turns = start.lattice.T @ rotations @ np.linalg.inv(start.lattice.T)
    displacements = _subspace(_displacement_projector(turns, targets))
    strains = _subspace(np.einsum('kab,gac,lcd,gbd->kl', STRAINS, turns, STRAINS, turns, optimize=True) / len(turns))
    if displacements is None or strains is None:
        return Freedom.free(crystal)
    return Freedom(start, displacements, strains, symmetric=True)


def _targets(
    crystal: AtomArrays, rotations: NDArray[np.float64], translations: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the atom that each operation takes each atom to, and the lattice translation between the two.

    :return: (operations, atoms), and (operations, atoms, 3).
    """
    fractional = _fractional(crystal)
    moved = fractional @ rotations.transpose(0, 2, 1) + translations[:, None]
    difference = moved[:, :, None] - fractional[None, None]
    images = np.round(difference)
    distance = np.linalg.norm((difference - images) @ crystal.lattice, axis=-1)
    distance = np.where(crystal.numbers[:, None] == crystal.numbers[None, :], distance, np.inf)
    targets = distance.argmin(axis=-1)
    return targets, np.take_along_axis(images, targets[:, :, None, None], axis=2)[:, :, 0]


def _symmetrised(
    crystal: AtomArrays,
    rotations: NDArray[np.float64],
    targets: NDArray[np.int64],
    shifts: NDArray[np.float64],
) -> AtomArrays:
    """Return the crystal with an exact symmetry, without a rotation and with its centre where it is.

    The translation of an operation is the one that leaves the mean of all atoms where it is; so the operations make a
    group to rounding, and the mean over their images has its symmetry.
    """
    metric = np.einsum('gba,bc,gcd->ad', rotations, crystal.lattice @ crystal.lattice.T, rotations) / len(rotations)
    inverse = np.linalg.inv(crystal.lattice)
    values, vectors = np.linalg.eigh(inverse @ metric @ inverse.T)
    lattice = crystal.lattice @ (vectors * np.sqrt(values)) @ vectors.T
    fractional = _fractional(crystal)
    images = fractional @ rotations.transpose(0, 2, 1) - shifts
    images += (fractional.mean(axis=0) - images.mean(axis=1))[:, None]
    sources = np.argsort(targets, axis=1)
    mean = np.take_along_axis(images, sources[:, :, None], axis=1).mean(axis=0)
    return AtomArrays(crystal.numbers, lattice, mean @ lattice)


def _fractional(crystal: AtomArrays) -> NDArray[np.float64]:
    fractional: NDArray[np.float64] = crystal.positions @ np.linalg.inv(crystal.lattice)
    return fractional


def _displacement_projector(turns: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the projector on the displacements that the operations leave as they are and that are no translation."""
    operations, atoms = targets.shape
    blocks = np.zeros((atoms, atoms, 3, 3))
    np.add.at(blocks, (targets, np.arange(atoms)[None]), turns[:, None] / operations)
    projector = blocks.transpose(0, 2, 1, 3).reshape(3 * atoms, 3 * atoms)
    translations = np.tile(np.eye(3), (atoms, 1)) / np.sqrt(atoms)
    internal: NDArray[np.float64] = projector - translations @ (translations.T @ projector)
    return internal


def _subspace(projector: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return an orthonormal basis, as columns, of what a projector leaves as it is; None where it is no projector."""
    values, vectors = np.linalg.eigh(0.5 * (projector + projector.T))
    kept = values > 0.5
    if np.abs(values - kept).max() > _ROUNDING:
        return None
    basis: NDArray[np.float64] = vectors[:, kept]
    return basis
