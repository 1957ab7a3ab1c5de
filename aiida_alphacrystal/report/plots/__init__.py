"""Draw results: figures of matplotlib, made without its global state, and how they are written to files."""

from aiida_alphacrystal.report.plots.distances import draw_comparison, draw_distances, draw_histogram, draw_informed
from aiida_alphacrystal.report.plots.energies import draw_energies
from aiida_alphacrystal.report.plots.structure import draw_structure
from aiida_alphacrystal.report.plots.style import PLOT_FORMATS, save_figure
from aiida_alphacrystal.report.plots.training import draw_training

__all__ = (
    'PLOT_FORMATS',
    'draw_comparison',
    'draw_distances',
    'draw_energies',
    'draw_histogram',
    'draw_informed',
    'draw_structure',
    'draw_training',
    'save_figure',
)
