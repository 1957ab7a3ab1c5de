"""Stage 3: which space group, how many formula units and which lattice a composition has."""

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.cells.model import CellModel, load_cell_model
from aiida_alphacrystal.engine.cells.prediction import predict_cells
from aiida_alphacrystal.engine.cells.votes import TemplateVotes

__all__ = ('CellHypothesis', 'CellModel', 'TemplateVotes', 'load_cell_model', 'predict_cells')
