"""Refinement with pw.x of Quantum ESPRESSO through aiida-quantumespresso.

P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901, 2017, https://doi.org/10.1088/1361-648X/aa8f79.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from aiida import orm

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.refiners.base import ProtocolRefiner, RefinerSettings
from aiida_alphacrystal.refiners.errors import CodeError
from aiida_alphacrystal.refiners.pseudopotentials import check_family, check_functional

if TYPE_CHECKING:
    from enum import Enum

    from aiida_alphacrystal.engine.refinement import Refined

__all__ = ('PwRelaxRefiner',)

_PLUGIN = 'quantumespresso.pw'

#: The two steps of the relaxation, a rough one and the real one.
_STEPS = ('base_relax', 'base_init_relax')

#: Overrides that hold for both steps.
_COMMON = ('kpoints_distance', 'meta_parameters', 'pseudo_family', 'pw')

#: Overrides of the relaxation as a whole.
_OWN = ('clean_workdir', 'max_meta_convergence_iterations', 'meta_convergence', *_STEPS)

#: Overrides that are dictionaries.
_NESTED = ('meta_parameters', 'pw', *_STEPS)

_CUTOFFS = frozenset({'ecutwfc', 'ecutrho'})


class PwRelaxRefiner(ProtocolRefiner):
    """Adapter to ``quantumespresso.pw.relax``.

    Its overrides are those of ``PwRelaxWorkChain``. Those of ``PwBaseWorkChain`` (``kpoints_distance``,
    ``meta_parameters``, ``pseudo_family``, ``pw``) may stand beside them and then hold for both steps of the
    relaxation, and so may ``electronic_type``, ``initial_magnetic_moments``, ``relax_type`` and ``spin_type``.
    """

    _how_to_install = "install it with `pip install 'aiida-alphacrystal[dft]'`"

    def check(self, code: orm.AbstractCode, elements: frozenset[str], settings: RefinerSettings) -> None:
        """See that code, protocol, overrides and pseudopotentials are there and fit together."""
        if code.default_calc_job_plugin not in (None, _PLUGIN):
            raise CodeError(
                f'The code {code.full_label} runs {code.default_calc_job_plugin}: give one that runs {_PLUGIN}.'
            )
        super().check(code, elements, settings)
        overrides, _ = _split(settings.overrides)
        families = {}
        for step in _STEPS:
            inputs = self._step_inputs(settings.protocol, overrides[step])
            if 'pseudos' in inputs.get('pw', {}):
                raise SettingsError(
                    f'The override {step}.pw.pseudos cannot be taken: name a family of pseudopotentials with '
                    '`pseudo_family`.'
                )
            system = inputs['pw']['parameters'].get('SYSTEM', {})
            label = inputs['pseudo_family']
            families[label] = check_family(label, elements, needs_cutoffs=not system.keys() >= _CUTOFFS)
        check_functional(
            {f'{element} of {label}': pseudo for label, found in families.items() for element, pseudo in found.items()}
        )

    def _step_inputs(self, protocol: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a step of the relaxation is made from."""
        from aiida.plugins import WorkflowFactory

        inputs: dict[str, Any] = WorkflowFactory('quantumespresso.pw.base').get_protocol_inputs(
            protocol, dict(overrides)
        )
        return inputs

    def collect(self, node: orm.WorkChainNode) -> dict[str, orm.Data]:
        """Return the relaxed structure, the parsed results and the trajectory."""
        found = super().collect(node)
        return found | ({'trajectory': node.outputs.output_trajectory} if 'output_trajectory' in node.outputs else {})

    def _keywords(self, code: orm.AbstractCode, settings: RefinerSettings) -> dict[str, Any]:
        keywords = super()._keywords(code, settings)
        overrides, own = _split(settings.overrides)
        return keywords | {'overrides': overrides} | own

    def read(self, nodes: Mapping[str, orm.Data], predicted: orm.StructureData) -> Refined:
        """Return structure, energy and the forces of the last step of the trajectory."""
        refined = super().read(nodes, predicted)
        trajectory = nodes.get('trajectory')
        if not isinstance(trajectory, orm.ArrayData) or 'forces' not in trajectory.get_arraynames():
            return refined
        forces = trajectory.get_array('forces')[-1]
        return dataclasses.replace(refined, max_force=float(np.linalg.norm(forces, axis=1).max()))


def _split(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the overrides as ``PwRelaxWorkChain`` takes them, and what its builder takes besides.

    :raises SettingsError: if one is unknown.
    """
    from aiida_quantumespresso.common.types import ElectronicType, RelaxType, SpinType
    from aiida_quantumespresso.workflows.protocols.utils import recursive_merge

    kinds: dict[str, type[Enum]] = {
        'electronic_type': ElectronicType,
        'relax_type': RelaxType,
        'spin_type': SpinType,
    }
    native: dict[str, Any] = {step: {} for step in _STEPS}
    own: dict[str, Any] = {}
    known = sorted([*_COMMON, *_OWN, *kinds, 'initial_magnetic_moments'])
    for key, value in overrides.items():
        if key in _NESTED and not isinstance(value, Mapping):
            raise SettingsError(f'The override {key} is {value!r}: give a dictionary.')
        if key in _COMMON:
            for step in _STEPS:
                native[step] = recursive_merge(native[step], {key: value})
        elif key in kinds:
            own[key] = _member(kinds[key], key, value)
        elif key == 'initial_magnetic_moments':
            own[key] = value
        elif key not in _OWN:
            raise SettingsError(f'Unknown override {key}: the keys are {", ".join(known)}.')
    for key in _OWN:
        if key in _STEPS:
            native[key] = recursive_merge(native[key], overrides.get(key, {}))
        elif key in overrides:
            native[key] = overrides[key]
    return native, own


def _member(kind: type[Enum], key: str, value: Any) -> Enum:
    """Return the member of an enumeration with a value."""
    try:
        return kind(value)
    except ValueError as error:
        known = ', '.join(str(member.value) for member in kind)
        raise SettingsError(f'The override {key} is {value!r}: choose one of {known}.') from error
