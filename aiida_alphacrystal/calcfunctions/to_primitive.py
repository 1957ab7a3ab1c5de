"""The reduction to a symmetric primitive cell as a calcfunction."""

from __future__ import annotations

from aiida import orm
from aiida.engine import calcfunction

__all__ = ('to_primitive',)


@calcfunction
def to_primitive(structure: orm.StructureData, parameters: orm.Dict) -> orm.StructureData:
    """Return the primitive cell with the symmetry that a structure has within a tolerance.

    :param structure: the crystal.
    :param parameters: ``symmetry_tolerance`` in A and ``algorithm_version``.
    """
    from aiida_alphacrystal.engine.refinement import symmetric_primitive

    reduced = symmetric_primitive(structure.get_pymatgen_structure(), parameters['symmetry_tolerance'])
    return orm.StructureData(pymatgen_structure=reduced)
