"""Stage 3 as a calcfunction."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.calcfunctions.weights import read_cell_model, read_voters
from aiida_alphacrystal.data.model import ModelData
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('predict_cells',)


@calcfunction
def predict_cells(
    features: orm.ArrayData, model: ModelData, templates: ModelData, parameters: orm.Dict
) -> dict[str, orm.Dict] | ExitCode:
    """Predict ranked hypotheses about space group, cell content and lattice.

    :param features: as ``featurize`` returns them.
    :param model: the weights of the cell predictor.
    :param templates: the library of prototypes, whose crystals vote.
    :param parameters: ``cells``, ``max_atoms`` and ``algorithm_version``.
    :return: ``cells``, one row per hypothesis, the most probable first.
    """
    from aiida_alphacrystal.engine import cells as engine

    try:
        settings = read_settings(parameters)
        formula = convert.formula_of(features)
        cell_model = read_cell_model(model)
        voters = read_voters(templates)
        cells = engine.predict_cells(cell_model, formula, settings.cells, settings.max_atoms, voters)
        return {'cells': convert.cells_to_node(formula, cells)}
    except AlphaCrystalError as error:
        return exit_code_for(error)
