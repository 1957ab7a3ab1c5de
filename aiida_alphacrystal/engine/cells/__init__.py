"""Stage 3: which space group, how many formula units and which lattice a composition has."""

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.cells.model import CellModel, load_cell_model, predict_cells

__all__ = ('CellHypothesis', 'CellModel', 'load_cell_model', 'predict_cells')
