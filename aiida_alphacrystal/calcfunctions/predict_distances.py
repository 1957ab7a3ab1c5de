"""Stage 2 as a calcfunction."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.calcfunctions.weights import read_network
from aiida_alphacrystal.data import DistancesData, ModelData
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('predict_distances',)


@calcfunction
def predict_distances(
    features: orm.ArrayData, cells: orm.Dict, model: ModelData, parameters: orm.Dict
) -> dict[str, DistancesData] | ExitCode:
    """Predict the distance matrix of every size of cell that the hypotheses hold.

    :param features: as ``featurize`` returns them.
    :param cells: as ``predict_cells`` returns them.
    :param model: the weights of the distance network.
    :param parameters: ``max_atoms`` and ``algorithm_version``.
    :return: ``distances``: expected distances (A), probabilities and bin edges (A) of each of these cells.
    """
    from aiida_alphacrystal.engine import network as engine
    from aiida_alphacrystal.engine.features import site_features

    try:
        max_atoms = read_settings(parameters).max_atoms
        formula = convert.formula_of(features)
        rows = features.get_array('element_features')
        network = read_network(model)
        sizes = [cell.formula_units for cell in convert.cells_from_node(cells)]
        predictions = {}
        for units in sorted(set(sizes)):
            sites = site_features(rows, formula, units, max_atoms)
            predictions[units] = engine.predict_distances(network, sites, formula.species(units))
    except AlphaCrystalError as error:
        return exit_code_for(error)
    return {'distances': convert.distances_to_node(formula, predictions, sizes[0])}
