"""What an adapter to a DFT work chain has to do, and one for every work chain with the usual protocol builder."""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common.exceptions import EntryPointError, NotExistent, ValidationError

from aiida_alphacrystal.engine.errors import AlphaCrystalError, SettingsError, one_sentence
from aiida_alphacrystal.engine.refinement import Refined
from aiida_alphacrystal.refiners.errors import CodeError, RefinerError

if TYPE_CHECKING:
    from aiida.engine import ProcessBuilder, WorkChain

__all__ = ('DEFAULT_REFINER', 'ENTRY_POINT_GROUP', 'ProtocolRefiner', 'Refiner', 'RefinerSettings', 'get_refiner')

ENTRY_POINT_GROUP = 'aiida_alphacrystal.refiners'
DEFAULT_REFINER = 'quantumespresso.pw.relax'


@dataclasses.dataclass(frozen=True)
class RefinerSettings:
    """How a structure is to be refined.

    :param protocol: name of a protocol of the DFT work chain, None for its default one.
    :param overrides: what is to be other than in the protocol, in the words of the refiner.
    :param options: options of the scheduler, such as ``max_wallclock_seconds``; they do not change the result.
    """

    protocol: str | None = None
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Refiner(ABC):
    """Adapter to one DFT work chain.

    :param name: the name under which it was asked for.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def process_class(self) -> type[WorkChain]:
        """Return the work chain that relaxes a structure.

        :raises RefinerError: if its plugin is not installed.
        """

    @abstractmethod
    def check(self, code: orm.AbstractCode, elements: frozenset[str], settings: RefinerSettings) -> None:
        """See that everything is there before anything is submitted.

        :param code: the code that is to be run.
        :param elements: all elements of the structures.
        :param settings: how the structures are to be refined.
        :raises RefinerError: if something is missing.
        :raises SettingsError: if a setting is unknown.
        """

    @abstractmethod
    def get_builder(
        self, code: orm.AbstractCode, structure: orm.StructureData, settings: RefinerSettings
    ) -> ProcessBuilder:
        """Return the work chain with all of its inputs, ready to be submitted.

        :param code: the code that is to be run.
        :param structure: the structure to refine.
        :param settings: how.
        :raises SettingsError: if the work chain does not take the settings.
        """

    @abstractmethod
    def collect(self, node: orm.WorkChainNode) -> dict[str, orm.Data]:
        """Return the nodes that hold what came of a finished work chain, by names of the refiner's own choice.

        :param node: the work chain, which has finished with exit status 0.
        """

    @abstractmethod
    def read(self, nodes: Mapping[str, orm.Data], predicted: orm.StructureData) -> Refined:
        """Return structure, energy and forces.

        :param nodes: as :meth:`collect` gives them.
        :param predicted: the structure that was refined.
        :raises AlphaCrystalError: if they do not hold an energy.
        """

    def refined_structure(self, nodes: Mapping[str, orm.Data], predicted: orm.StructureData) -> orm.StructureData:
        """Return the node of the refined structure; the predicted one where the cell and atoms were kept.

        :param nodes: as :meth:`collect` gives them.
        :param predicted: the structure that was refined.
        """
        structure = nodes.get('structure', predicted)
        if not isinstance(structure, orm.StructureData):
            raise TypeError(f'The refiner {self.name} gave {type(structure).__name__} as a structure.')
        return structure


class ProtocolRefiner(Refiner):
    """Adapter to any work chain with ``get_builder_from_protocol(code, structure, protocol, overrides)``.

    It is to put the relaxed structure into ``output_structure`` and the energy of the cell, in eV, into
    ``output_parameters['energy']``. A subclass changes what is different.
    """

    @property
    def process_class(self) -> type[WorkChain]:
        """Return the work chain of this name.

        :raises RefinerError: if its plugin is not installed, or it has no protocols.
        """
        from aiida.plugins import WorkflowFactory

        try:
            process_class = WorkflowFactory(self.name)
        except (EntryPointError, ImportError) as error:
            raise RefinerError(
                f'The refiner {self.name!r} needs a work chain of that name, which is not installed: '
                f'{self._how_to_install}.'
            ) from error
        if not hasattr(process_class, 'get_builder_from_protocol'):
            raise RefinerError(f'The work chain {self.name!r} has no protocols: name another refiner.')
        return process_class

    #: What to do where the plugin is missing.
    _how_to_install = 'install the plugin that brings it, or name another refiner'

    def check(
        self,
        code: orm.AbstractCode,
        elements: frozenset[str],  # noqa: ARG002 a subclass looks for what they need
        settings: RefinerSettings,
    ) -> None:
        """See that the work chain is installed, knows the protocol, and that the code can be run."""
        self._check_protocol(settings.protocol)
        self._check_code(code)

    def get_builder(
        self, code: orm.AbstractCode, structure: orm.StructureData, settings: RefinerSettings
    ) -> ProcessBuilder:
        """Return what the work chain makes of the protocol."""
        build = self.process_class.get_builder_from_protocol  # type: ignore[attr-defined]
        keywords = self._keywords(code, settings)
        if 'options' in keywords and not _takes(build, 'options'):
            del keywords['options']
        try:
            return build(code=code, structure=structure, protocol=settings.protocol, **keywords)
        except AlphaCrystalError:
            raise
        except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
            reason = f'{type(error).__name__}: {one_sentence(error)}'
            raise SettingsError(
                f'The work chain {self.name} does not take the settings ({reason}): '
                'change the protocol or the overrides.'
            ) from error

    def collect(self, node: orm.WorkChainNode) -> dict[str, orm.Data]:
        """Return the relaxed structure and the parsed results."""
        names = {'structure': 'output_structure', 'results': 'output_parameters'}
        return {key: node.outputs[name] for key, name in names.items() if name in node.outputs}

    def read(self, nodes: Mapping[str, orm.Data], predicted: orm.StructureData) -> Refined:
        """Return the structure and ``energy`` of the parsed results, in eV."""
        results = nodes.get('results')
        energy = results.get_dict().get('energy') if isinstance(results, orm.Dict) else None
        if energy is None:
            raise RefinerError(f'The work chain {self.name} left no energy: its refiner has to read it elsewhere.')
        structure = self.refined_structure(nodes, predicted).get_pymatgen_structure()
        return Refined(structure, float(energy))

    def _keywords(self, code: orm.AbstractCode, settings: RefinerSettings) -> dict[str, Any]:
        """Return what the builder is given besides code, structure and protocol."""
        keywords: dict[str, Any] = {'overrides': dict(settings.overrides)}
        mpi = {} if code.with_mpi is None else {'withmpi': code.with_mpi}  # as the code was set up
        options = mpi | dict(settings.options)
        return keywords | ({'options': options} if options else {})

    def _check_protocol(self, protocol: str | None) -> None:
        """See that the work chain is there and has the protocol.

        :raises RefinerError: if it is not installed.
        :raises SettingsError: if it has no such protocol.
        """
        process_class = self.process_class
        if protocol is None or not hasattr(process_class, 'get_protocol_inputs'):
            return
        try:
            process_class.get_protocol_inputs(protocol)
        except ValueError as error:
            known = ', '.join(process_class.get_available_protocols())
            raise SettingsError(f'{self.name} has no protocol {protocol!r}: choose one of {known}.') from error

    def _check_code(self, code: orm.AbstractCode) -> None:
        """See that the computer of a code is set up and its executable is there.

        :raises CodeError: if not.
        """
        if code.computer is None:
            return
        name, computer = code.full_label, code.computer
        try:
            usable = computer.is_user_configured(code.user) and computer.is_user_enabled(code.user)
        except NotExistent:
            usable = False
        if not usable:
            raise CodeError(
                f'The computer {computer.label!r} of the code {name} is not configured or not enabled: '
                f'run `verdi computer configure {computer.transport_type} {computer.label}`.'
            )
        if not isinstance(code, orm.InstalledCode):
            return
        try:
            code.validate_filepath_executable()
        except ValidationError as error:
            raise CodeError(
                f'The code {name} has no executable {str(code.filepath_executable)!r} on {computer.label}: '
                'set up a code that has, with `verdi code create core.code.installed`.'
            ) from error
        except Exception as error:
            raise CodeError(
                f'The computer {computer.label!r} of the code {name} cannot be reached ({one_sentence(error)}): '
                f'run `verdi computer test {computer.label}`.'
            ) from error


def get_refiner(name: str) -> Refiner:
    """Return the refiner of a name: one of the entry points, else any work chain with protocols.

    :param name: name in the group ``aiida_alphacrystal.refiners``, or the entry point of a work chain.
    :raises RefinerError: if there is neither, or what it needs is not installed.
    """
    from aiida.plugins.entry_point import get_entry_points

    found = next((entry for entry in get_entry_points(ENTRY_POINT_GROUP) if entry.name == name), None)
    if found is None:
        refiner: Refiner = ProtocolRefiner(name)
    else:
        try:
            refiner = found.load()(name)
        except Exception as error:
            raise RefinerError(
                f'The refiner {name!r} cannot be loaded from {found.value} ({one_sentence(error)}): install it anew.'
            ) from error
    _ = refiner.process_class  # its plugin may be missing
    return refiner


def _takes(function: Any, name: str) -> bool:
    """Return whether a function has a parameter of a name, or takes any."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
