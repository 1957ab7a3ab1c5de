"""Stage 1 as a calcfunction."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('featurize',)


@calcfunction
def featurize(formula: orm.Str | orm.Dict, parameters: orm.Dict) -> dict[str, orm.ArrayData] | ExitCode:
    """Describe the atoms of a formula by the eleven descriptors of Table 1.

    :param formula: a formula such as ``SrTiO3``, or the number of atoms of each element in the cell.
    :param parameters: ``max_atoms`` and ``algorithm_version``.
    :return: ``features``, the padded matrix of the cell (of one formula unit while the cell is open) and the
        descriptors of each element, with the parsed formula in the attributes.
    """
    try:
        settings = read_settings(parameters)
        parsed = convert.read_formula(formula, settings.max_atoms)
        return {'features': convert.features_to_node(parsed, settings.max_atoms)}
    except AlphaCrystalError as error:
        return exit_code_for(error)
