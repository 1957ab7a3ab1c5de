"""Stage 5 as a calcfunction."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.data.potential import PotentialData
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('relax',)


@calcfunction
def relax(
    structures: orm.ArrayData, potential: PotentialData, parameters: orm.Dict
) -> dict[str, orm.ArrayData] | ExitCode:
    """Relax every candidate, atoms and cell, with one potential.

    :param structures: the candidates, as ``reconstruct`` returns them.
    :param potential: the potential that gives energies, forces and stresses.
    :param parameters: ``relax`` and ``algorithm_version``.
    :return: ``relaxations``, one row per candidate (energy in eV/atom, largest force in eV/A, steps, convergence,
        reason of failure), the relaxed structures (A), forces (eV/A) and stresses (eV/A^3) of all as arrays, and the
        energies of the elements (eV/atom).
    """
    from aiida_alphacrystal.engine.relax import elemental_references, load_potential, relax_structures

    try:
        settings = read_settings(parameters).relax
        candidates = convert.structures_from_node(structures)
        loaded = load_potential(potential.to_files())
        relaxations = relax_structures(list(candidates.values()), loaded, settings)
        elements = {symbol for structure in candidates.values() for symbol in structure.symbol_set}
        references = elemental_references(sorted(elements), loaded)
    except AlphaCrystalError as error:
        return exit_code_for(error)
    outcomes = dict(zip(candidates, relaxations, strict=True))
    return {'relaxations': convert.relaxations_to_node(outcomes, references, loaded.facts)}
