"""The comparison of two crystals as a calcfunction."""

from __future__ import annotations

import dataclasses

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.data.potential import PotentialData
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('compare',)


@calcfunction
def compare(
    predicted: orm.StructureData,
    truth: orm.StructureData,
    parameters: orm.Dict,
    potential: PotentialData | None = None,
) -> orm.Dict | ExitCode:
    """Compare a predicted crystal with the known one by the eight metrics of the paper.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    :param parameters: ``algorithm_version``.
    :param potential: gives the energies; without it there is no energy distance.
    :return: the fields of ``engine.metrics.Comparison``, None where a metric has no value.
    """
    from aiida_alphacrystal.engine.metrics import compare as compare_structures
    from aiida_alphacrystal.engine.relax import load_potential

    del parameters  # there to be part of the hash
    structures = [node.get_pymatgen_structure() for node in (predicted, truth)]
    try:
        energy = None if potential is None else load_potential(potential.to_files()).energy_per_atom
        comparison = compare_structures(*structures, energy)
    except AlphaCrystalError as error:
        return exit_code_for(error)
    return orm.Dict(dataclasses.asdict(comparison))
