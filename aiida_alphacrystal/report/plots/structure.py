"""Draw one crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.report.plots.style import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pymatgen.core import Structure

__all__ = ('draw_structure',)

#: How the crystal is turned, and the share of the covalent radii that atoms are drawn with.
_ROTATION = '-90x,-25y,12x'
_RADII = 0.4
#: An atom so near to a face of the cell (fraction of an edge) is drawn on the opposite face as well.
_ON_FACE = 0.01


def draw_structure(structure: Structure, title: str) -> Figure:
    """Draw the conventional cell of a crystal with a legend of its elements.

    Atoms on a face, an edge or a corner of the cell are drawn on all of them.

    :param structure: an ordered crystal.
    :param title: what it is.
    """
    from aiida_alphacrystal.engine.symmetry import conventional_cell

    cell = conventional_cell(structure)
    figure = new_figure(7, 6)
    axes = figure.subplots()
    _draw_atoms(axes, cell)
    lengths = ', '.join(f'{name} = {value:.2f}' for name, value in zip('abc', cell.lattice.abc, strict=True))
    angles = ', '.join(f'{name} = {value:.1f}°' for name, value in zip('αβγ', cell.lattice.angles, strict=True))
    axes.set_title(title, parse_math=False)
    axes.text(0.5, -0.02, f'{lengths} Å\n{angles}', transform=axes.transAxes, ha='center', va='top', fontsize=10)
    return figure


def _draw_atoms(axes: Axes, cell: Structure) -> None:
    """Draw the atoms and the edges of a cell."""
    from ase import Atoms
    from ase.data import covalent_radii
    from ase.visualize.plot import plot_atoms
    from matplotlib.lines import Line2D

    elements = [element.symbol for element in sorted(cell.composition.elements)]  # by electronegativity
    colours = {symbol: COLOURS[place % len(COLOURS)] for place, symbol in enumerate(elements)}
    symbols, positions = _with_faces(cell)
    atoms = Atoms(symbols, positions=positions, cell=cell.lattice.matrix, pbc=True)
    radii = [_RADII * covalent_radii[number] for number in atoms.numbers]
    plot_atoms(
        atoms, axes, rotation=_ROTATION, radii=radii, colors=[colours[symbol] for symbol in symbols], show_unit_cell=2
    )
    counts = cell.composition.get_el_amt_dict()
    handles = [
        Line2D(
            [],
            [],
            linestyle='none',
            marker='o',
            markersize=28 * float(covalent_radii[atoms.numbers[symbols.index(symbol)]]) ** 0.5 * _RADII,
            markeredgecolor='black',
            color=colours[symbol],
            label=f'{symbol} ({counts[symbol]:.0f})',
        )
        for symbol in elements
    ]
    axes.legend(handles=handles, loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False, labelspacing=1.2)


def _with_faces(cell: Structure) -> tuple[list[str], np.ndarray]:
    """Return symbols and positions (A) of all atoms within a cell, those on its faces on the opposite ones as well."""
    symbols, positions = [], []
    for site in cell:
        start = np.mod(site.frac_coords, 1.0)
        start[start > 1 - _ON_FACE] -= 1.0
        shifts = [(0, 1) if value < _ON_FACE else (0,) for value in start]
        for shift in np.stack(np.meshgrid(*shifts, indexing='ij'), axis=-1).reshape(-1, 3):
            symbols.append(site.specie.symbol)
            positions.append(cell.lattice.get_cartesian_coords(start + shift))
    return symbols, np.array(positions)
