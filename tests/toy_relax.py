"""A work chain like those of DFT plugins, quick enough for tests: EMT of ASE in place of DFT."""

from __future__ import annotations

from aiida import orm
from aiida.engine import WorkChain, calcfunction

from aiida_alphacrystal.refiners import ProtocolRefiner


@calcfunction
def relax_with_emt(structure: orm.StructureData, scale: orm.Float):
    """Scale a structure and return its EMT energy."""
    from ase.calculators.emt import EMT

    atoms = structure.get_ase()
    atoms.set_cell(atoms.cell * scale.value ** (1 / 3), scale_atoms=True)
    atoms.calc = EMT()
    return {
        'output_structure': orm.StructureData(ase=atoms),
        'output_parameters': orm.Dict({'energy': atoms.get_potential_energy()}),
    }


class ToyRelaxWorkChain(WorkChain):
    """Relax a structure, unless it has more atoms than ``max_atoms``."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode)
        spec.input('structure', valid_type=orm.StructureData)
        spec.input('scale', valid_type=orm.Float)
        spec.input('max_atoms', valid_type=orm.Int)
        spec.outline(cls.check, cls.relax)
        spec.output('output_structure', valid_type=orm.StructureData)
        spec.output('output_parameters', valid_type=orm.Dict)
        spec.exit_code(401, 'ERROR_TOO_LARGE', message='the structure is too large')

    @classmethod
    def get_builder_from_protocol(cls, code, structure, protocol=None, overrides=None):
        """Return a builder; there is one protocol."""
        if protocol not in {None, 'fast'}:
            raise ValueError(f'{protocol} is no protocol')
        values = {'scale': 1.0, 'max_atoms': 20} | (overrides or {})
        builder = cls.get_builder()
        builder.code, builder.structure = code, structure
        builder.scale, builder.max_atoms = orm.Float(values['scale']), orm.Int(values['max_atoms'])
        return builder

    def check(self):
        return self.exit_codes.ERROR_TOO_LARGE if len(self.inputs.structure.sites) > self.inputs.max_atoms else None

    def relax(self):
        self.out_many(relax_with_emt(self.inputs.structure, self.inputs.scale))


class ToyRefiner(ProtocolRefiner):
    """A refiner of another package, with an error in it."""

    process_class = ToyRelaxWorkChain

    def get_builder(self, code, structure, settings):
        raise ZeroDivisionError('unforeseen')
