"""Lattices made ready for minimum-image distances of very many crystals."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt
import torch

__all__ = ('ReducedLattice', 'reduced_lattice', 'shortest_images', 'shortest_lengths')

FloatArray = npt.NDArray[np.float64]

_IMAGE_TOLERANCE = 1e-6
#: Along each lattice vector.
_TRIED_DIFFERENCES = 9


@dataclasses.dataclass(frozen=True, eq=False)
class ReducedLattice:
    """A lattice made ready for minimum-image distances.

    :param matrix: LLL-reduced lattice vectors as rows, shape (3, 3), A.
    :param transformation: turns fractional coordinates (as rows) of the given lattice into those of the reduced one,
        shape (3, 3).
    :param images: lattice vectors that can lead to the nearest image of a difference wrapped into the reduced cell, one
        of each pair of opposite ones and without the zero vector, Cartesian, shape (images, 3), A.
    :param shortest: length of the shortest lattice vector, A.
    """

    matrix: FloatArray
    transformation: FloatArray
    images: FloatArray
    shortest: float


def reduced_lattice(lattice: npt.ArrayLike) -> ReducedLattice:
    """Reduce a lattice and find the few images that a minimum-image distance has to look at.

    :param lattice: lattice vectors as rows, shape (3, 3), A.
    """
    from pymatgen.core.lattice import Lattice

    given = np.asarray(lattice, dtype=np.float64)
    matrix = np.array(Lattice(given).get_lll_reduced_lattice().matrix, dtype=np.float64)
    grid = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64)
    lengths = np.linalg.norm(grid @ matrix, axis=1)
    half = grid[: len(grid) // 2]
    return ReducedLattice(
        matrix=matrix,
        transformation=np.asarray(np.round(given @ np.linalg.inv(matrix)), dtype=np.float64),
        images=_needed_images(half, grid, matrix) @ matrix,
        shortest=float(lengths[lengths > _IMAGE_TOLERANCE].min()),
    )


def _needed_images(half: FloatArray, grid: FloatArray, matrix: FloatArray) -> FloatArray:
    """Keep the images that are the nearest one for some difference in the cell around the origin.

    What holds for an image holds for the opposite one.
    """
    metric = matrix @ matrix.T
    never, somewhere = _never_beat_zero(half, metric), _nearest_somewhere(half, grid, metric)
    kept = [
        image
        for image, beats_none, beats_all in zip(half, never, somewhere, strict=True)
        if beats_all or (not beats_none and _can_beat_all(image, grid, metric))
    ]
    return np.array(kept).reshape(-1, 3)


def _can_beat_all(image: FloatArray, grid: FloatArray, metric: FloatArray) -> bool:
    """Tell by a linear program whether there is a difference in the cell for which an image beats all others."""
    from scipy.optimize import linprog

    others = grid[np.any(grid != image, axis=1)]
    slopes = 2.0 * (image - others) @ metric
    answer = linprog(
        [0.0, 0.0, 0.0, -1.0],
        A_ub=np.column_stack([slopes, np.ones(len(slopes))]),
        b_ub=np.einsum('ni,ij,nj->n', others, metric, others) - image @ metric @ image,
        bounds=[(-0.5, 0.5)] * 3 + [(None, None)],
    )
    return bool(not answer.success or -answer.fun > _IMAGE_TOLERANCE)


def _never_beat_zero(images: FloatArray, metric: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which images are nearer than the difference itself nowhere in the cell, which spares a linear program."""
    projected = images @ metric
    return np.asarray((projected * images).sum(axis=1) >= np.abs(projected).sum(axis=1))


def _nearest_somewhere(images: FloatArray, grid: FloatArray, metric: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which images are the nearest one at some of many differences, which spares most of the linear programs."""
    differences = np.array(list(itertools.product(np.linspace(-0.5, 0.5, _TRIED_DIFFERENCES), repeat=3)))
    squared = np.einsum('ni,ij,nj->n', grid, metric, grid) - 2.0 * differences @ metric @ grid.T
    first, second = np.partition(squared, 1, axis=1)[:, :2].T
    winners = grid[np.argmin(squared, axis=1)[second - first > _IMAGE_TOLERANCE]]
    return np.asarray((images[:, None] == winners).all(axis=-1).any(axis=1))


def shortest_images(difference: torch.Tensor, matrix: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the shortest images of differences of positions.

    :param difference: fractional coordinates of the reduced lattice, shape (3, ...): with the components first, they
        lie side by side in memory, and all that is done to them takes a fraction of the time.
    :param matrix: lattice vectors of the reduced lattice as rows, shape (3, 3), A.
    :param images: images to look at as in :class:`ReducedLattice`, shape (images, 3), A.
    :return: Cartesian vectors, shape (3, ...), A.
    """
    cartesian = _wrapped(difference, matrix)
    if len(images) == 0:
        return cartesian.reshape(difference.shape)
    least, nearest = _changes(cartesian, images).min(dim=0)
    none = len(images)
    shifts = torch.nn.functional.pad(images, (0, 0, 0, 1)).T
    shift = shifts.index_select(1, torch.where(least < 0.0, nearest, none))
    towards = (shift * cartesian).sum(dim=0).sign()
    return (cartesian - towards * shift).reshape(difference.shape)


def shortest_lengths(difference: torch.Tensor, matrix: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the lengths of the shortest images of differences of positions, in less time than the images take.

    :param difference: as in :func:`shortest_images`, shape (3, ...).
    :param matrix: lattice vectors of the reduced lattice as rows, shape (3, 3), A.
    :param images: images to look at as in :class:`ReducedLattice`, shape (images, 3), A.
    :return: shape of the components, A.
    """
    cartesian = _wrapped(difference, matrix)
    squared = cartesian.square().sum(dim=0)
    if len(images):
        squared += _changes(cartesian, images).amin(dim=0).clamp(max=0.0)
    return squared.clamp(min=0.0).sqrt().reshape(difference.shape[1:])


def _wrapped(difference: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return the Cartesian vectors of differences, wrapped into the cell around the origin, shape (3, differences)."""
    return matrix.T @ (difference - difference.round()).reshape(3, -1)


def _changes(cartesian: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return what each image, or its opposite, adds to the squared length, shape (images, differences), A^2."""
    return images.square().sum(dim=1, keepdim=True) - ((2.0 * images) @ cartesian).abs()
