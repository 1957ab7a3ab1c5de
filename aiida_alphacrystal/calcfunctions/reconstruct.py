"""Stage 4 as a calcfunction."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.calcfunctions.weights import read_library
from aiida_alphacrystal.data import DistancesData, ModelData
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('reconstruct',)


@calcfunction
def reconstruct(
    features: orm.ArrayData,
    cells: orm.Dict,
    distances: DistancesData,
    model: ModelData,
    parameters: orm.Dict,
    seed: orm.Int,
) -> dict[str, Any] | ExitCode:
    """Rebuild candidate crystals from templates and from the predicted distances and cells.

    :param features: as ``featurize`` returns them.
    :param cells: as ``predict_cells`` returns them.
    :param distances: as ``predict_distances`` returns them.
    :param model: the library of templates.
    :param parameters: ``templates``, ``search``, ``max_atoms`` and ``algorithm_version``.
    :param seed: every random draw follows from it.
    :return: ``candidates``, a table of the pool and the reasons why hypotheses gave nothing, its rows labelled
        ``c_001``, ``c_002``, ..., and ``structures``, the lattices and positions (A) of all candidates as arrays.
    """
    from aiida_alphacrystal.engine import reconstruct as engine
    from aiida_alphacrystal.engine.settings import check_seed

    try:
        settings = read_settings(parameters)
        formula = convert.formula_of(features)
        result = engine.reconstruct(
            formula,
            convert.cells_from_node(cells),
            distances.to_predictions(),
            read_library(model),
            settings,
            check_seed(seed.value),
        )
    except AlphaCrystalError as error:
        return exit_code_for(error)
    return convert.candidates_to_nodes(formula, result.candidates, result.reasons)
