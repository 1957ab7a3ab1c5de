"""The known compounds that compete with a prediction, as a calcfunction."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.calcfunctions.weights import read_library
from aiida_alphacrystal.data.model import ModelData
from aiida_alphacrystal.data.potential import PotentialData
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('relax_competing',)


@calcfunction
def relax_competing(
    templates: ModelData, potential: PotentialData, chemical_system: orm.Str, parameters: orm.Dict
) -> dict[str, orm.ArrayData] | ExitCode:
    """Relax the known compounds of a chemical system with one potential.

    :param templates: the prototype library, which knows them.
    :param potential: the potential that gives energies, forces and stresses.
    :param chemical_system: elements with hyphens between them, such as ``O-Sr-Ti``.
    :param parameters: ``relax`` and ``algorithm_version``.
    :return: ``competing``, as ``relax`` returns ``relaxations``, with formula, space group and formation energy
        (eV/atom) of each compound in the attribute ``compounds``.
    """
    from aiida_alphacrystal.engine.composition import formula_from_counts
    from aiida_alphacrystal.engine.reconstruct.known_compounds import known_compounds
    from aiida_alphacrystal.engine.relax import elemental_references, load_potential, relax_structures

    try:
        settings = read_settings(parameters).relax
        elements = formula_from_counts(dict.fromkeys(chemical_system.value.split('-'), 1)).elements
        compounds = known_compounds(read_library(templates), elements)
        loaded = load_potential(potential.to_files())
        relaxations = relax_structures([compound.structure for compound in compounds], loaded, settings)
        references = elemental_references(elements, loaded)
    except AlphaCrystalError as error:
        return exit_code_for(error)
    return {'competing': convert.competing_to_node(compounds, relaxations, references, loaded.facts)}
