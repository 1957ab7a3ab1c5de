"""Draw matrices of distances between atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_alphacrystal.report.plots.style import COLOURS, DIFFERENCES, SEQUENCE, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.report.distances import RealisedDistances

__all__ = ('draw_comparison', 'draw_distances', 'draw_histogram', 'draw_informed')

#: Cells of at most so many atoms have their distances written into the picture.
_WITH_NUMBERS = 10
_UNIT = 'distance (Å)'

#: Width of a bar of a histogram, A.
_BAR = 0.1


def draw_distances(prediction: DistancePrediction, names: Sequence[str], title: str) -> Figure:
    """Draw predicted mean distances, and the standard deviation of each beside them.

    :param prediction: the distances.
    :param names: of the atoms.
    :param title: what they are of.
    """
    figure = new_figure(9, 4.2)
    left, right = figure.subplots(1, 2)
    _draw_matrix(figure, left, prediction.expectation, names, 'predicted mean', _UNIT, cmap=SEQUENCE)
    _draw_matrix(figure, right, prediction.spread, names, 'predicted standard deviation', 'Å', cmap=SEQUENCE)
    figure.suptitle(title, parse_math=False)
    return figure


def draw_comparison(realised: RealisedDistances) -> Figure:
    """Draw predicted mean distances, those of a structure, and their difference.

    :param realised: both.
    """
    figure = new_figure(12, 4.2)
    axes = figure.subplots(1, 3)
    both = (realised.predicted, realised.found)
    limits = {'vmin': min(matrix.min() for matrix in both), 'vmax': max(matrix.max() for matrix in both)}
    for where, matrix, title in zip(axes, both, ('predicted mean', f'rank {realised.rank}'), strict=False):
        _draw_matrix(figure, where, matrix, realised.names, title, _UNIT, cmap=SEQUENCE, **limits)
    difference = realised.found - realised.predicted
    largest = max(float(np.abs(difference).max()), 0.05)
    title = f'rank {realised.rank} - predicted, RMS {realised.rms:.2f} Å'
    symmetric = {'vmin': -largest, 'vmax': largest}
    _draw_matrix(figure, axes[2], difference, realised.names, title, 'difference (Å)', cmap=DIFFERENCES, **symmetric)
    figure.suptitle(realised.title)
    return figure


def draw_informed(facts: Mapping[str, Any], known: str = '') -> Figure:
    """Draw predicted distances and how uncertain they are, and those of a crystal beside them where there is one.

    :param facts: what :func:`~aiida_alphacrystal.report.informed.informed_facts` gives.
    :param known: what the crystal is called.
    """
    predicted, limits = np.array(facts['distances']), (np.array(facts['lower']), np.array(facts['upper']))
    panels = 2 if facts['true'] is None else 4
    figure = new_figure(4.6 * panels, 4.2)
    axes = list(figure.subplots(1, panels))
    matrices = [predicted] if facts['true'] is None else [predicted, np.array(facts['true'])]
    scale = {'vmin': min(one.min() for one in matrices), 'vmax': max(one.max() for one in matrices)}
    for matrix, title in zip(matrices, ('predicted', f'true: {known}'), strict=False):
        _draw_matrix(figure, axes.pop(0), matrix, facts['atoms'], title, _UNIT, cmap=SEQUENCE, **scale)
    if facts['true'] is not None:
        difference = matrices[1] - predicted
        largest = max(float(np.abs(difference).max()), 0.05)
        title = f'true - predicted, RMS {facts["rms"]:.2f} Å'
        symmetric = {'vmin': -largest, 'vmax': largest}
        _draw_matrix(
            figure, axes.pop(0), difference, facts['atoms'], title, 'difference (Å)', cmap=DIFFERENCES, **symmetric
        )
    width = limits[1] - limits[0]
    _draw_matrix(figure, axes.pop(0), width, facts['atoms'], 'width of the 90 % interval', 'Å', cmap=SEQUENCE)
    figure.suptitle(f'{facts["formula"]}: distances between atoms', parse_math=False)
    return figure


def draw_histogram(distances: NDArray[np.float64], title: str) -> Figure:
    """Draw how often each distance occurs, as Figure 3 of the paper does, and on a logarithmic scale for the rare ones.

    :param distances: between different atoms, shape (pairs,), A.
    :param title: what they are of.
    """
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    edges = np.arange(0.0, np.ceil(distances.max()) + _BAR, _BAR)
    axes.hist(distances, bins=edges, color=COLOURS[0], label='linear scale, on the left')
    axes.set_xlabel(_UNIT)
    axes.set_ylabel('pairs of atoms')
    rare = axes.twinx()
    rare.hist(
        distances, bins=edges, histtype='step', log=True, color=COLOURS[3], label='logarithmic scale, on the right'
    )
    handles = [handle for where in (axes, rare) for handle in where.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, frameon=False, fontsize=9)
    figure.suptitle(title, parse_math=False)
    return figure


def _draw_matrix(
    figure: Figure, axes: Axes, matrix: NDArray[np.float64], names: Sequence[str], title: str, unit: str, **style: Any
) -> None:
    """Draw one matrix with the names of the atoms and a scale."""
    image = axes.imshow(matrix, interpolation='nearest', **style)
    size = 9 if len(names) <= _WITH_NUMBERS else 7
    axes.set_xticks(range(len(names)), list(names), rotation=90 if len(names) > _WITH_NUMBERS else 0, fontsize=size)
    axes.set_yticks(range(len(names)), list(names), fontsize=size)
    axes.set_title(title, fontsize=11)
    figure.colorbar(image, ax=axes, label=unit, shrink=0.8)
    if len(names) <= _WITH_NUMBERS:
        _write_numbers(axes, image, matrix)


def _write_numbers(axes: Axes, image: AxesImage, matrix: NDArray[np.float64]) -> None:
    """Write the numbers into their squares, dark on bright and bright on dark."""
    size = 9 if len(matrix) <= 6 else 6.5
    for (row, column), value in np.ndenumerate(matrix):
        red, green, blue, _ = image.cmap(image.norm(value))
        bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        text = f'{value:.2f}'.replace('-0.00', '0.00')
        axes.text(column, row, text, ha='center', va='center', fontsize=size, color='black' if bright else 'white')
