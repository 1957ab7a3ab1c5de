"""From predicted structures to energies of density-functional theory."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, while_

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.convert import in_order, labels, rank_label
from aiida_alphacrystal.calcfunctions.exit_codes import define_exit_codes, exit_code_for, own_exit_code
from aiida_alphacrystal.calcfunctions.parameters import ALGORITHM_VERSIONS
from aiida_alphacrystal.engine.errors import AlphaCrystalError, SettingsError
from aiida_alphacrystal.engine.progress import report as report_progress
from aiida_alphacrystal.refiners import DEFAULT_REFINER, CodeError, RefinerError, RefinerSettings, get_refiner
from aiida_alphacrystal.refiners.reuse import find_finished

if TYPE_CHECKING:
    from aiida_alphacrystal.refiners import Refiner

__all__ = ('DEFAULT_TOP', 'RefineWorkChain', 'check_refinement', 'refinement_inputs')

#: How many of the best structures are refined where nothing is said.
DEFAULT_TOP = 3

#: A relaxed structure is that close to its symmetry, a distortion that matters is larger; A.
DEFAULT_TOLERANCE = 0.02
MAX_TOLERANCE = 1.0


def validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return what is wrong with the structures, or None.

    :param inputs: inputs of the work chain.
    """
    if not inputs.get('structures'):
        return 'There is no structure to refine: give at least one.'
    formulas = {_reduced_formula(structure) for structure in inputs['structures'].values()}
    if len(formulas) > 1:
        return f'Energies of {len(formulas)} different compositions cannot be compared: give structures of one.'
    return None


def validate_top(value: orm.Int | None, _: Any) -> str | None:
    """Return what is wrong with the number of structures, or None.

    :param value: the input.
    """
    return None if value is None or value.value > 0 else f'The number of structures is {value.value}: give at least 1.'


def validate_tolerance(value: orm.Float | None, _: Any) -> str | None:
    """Return what is wrong with the tolerance of the symmetry, or None.

    :param value: the input.
    """
    if value is None or 0 <= value.value <= MAX_TOLERANCE:
        return None
    return f'The tolerance of the symmetry is {value.value} A: give one from 0 to {MAX_TOLERANCE}.'


def validate_concurrent(value: int | None, _: Any) -> str | None:
    """Return what is wrong with the bound on what runs at once, or None.

    :param value: the input.
    """
    return None if value is None or value > 0 else f'The number that may run at once is {value}: give at least 1.'


class RefineWorkChain(WorkChain):
    """Relax the best predicted structures with DFT and rank them by its energy."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the inputs, the steps, the outputs and the exit codes.

        :param spec: the process specification.
        """
        super().define(spec)
        spec.input_namespace(
            'structures',
            valid_type=orm.StructureData,
            dynamic=True,
            help='The structures by labels whose numbers say how they were ranked, such as rank_01.',
        )
        spec.input(
            'ranking',
            valid_type=orm.Dict,
            required=False,
            help='Ranking of the prediction, to compare with the new one.',
        )
        spec.input('code', valid_type=orm.AbstractCode, help='The DFT code.')
        spec.input(
            'refiner',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Str(DEFAULT_REFINER),
            help='Adapter to the DFT work chain: an entry point of aiida_alphacrystal.refiners, or of a work chain.',
        )
        spec.input(
            'protocol',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            required=False,
            help='Protocol of the DFT work chain, its default one where none is given.',
        )
        spec.input(
            'overrides',
            valid_type=orm.Dict,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Dict({}),
            help='What is to be other than in the protocol, in the words of the refiner.',
        )
        spec.input(
            'top',
            valid_type=orm.Int,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Int(DEFAULT_TOP),
            validator=validate_top,
            help='How many of the structures, in the order of their labels.',
        )
        spec.input(
            'symmetry_tolerance',
            valid_type=orm.Float,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Float(DEFAULT_TOLERANCE),
            validator=validate_tolerance,
            help='Primitive cells with the symmetry within this (A) are refined; with 0 the structures as they are.',
        )
        spec.input(
            'options', valid_type=dict, non_db=True, required=False, help='Options of the scheduler for every job.'
        )
        spec.input(
            'max_concurrent',
            valid_type=int,
            non_db=True,
            required=False,
            validator=validate_concurrent,
            help='How many may run at once; one where the computer has no scheduler, otherwise all.',
        )
        spec.input(
            'reuse',
            valid_type=bool,
            non_db=True,
            default=True,
            help='Whether to take over what an earlier refinement has finished with the same inputs.',
        )
        spec.inputs.validator = validate_inputs

        spec.outline(
            cls.setup,
            cls.prepare,
            while_(cls.is_unfinished)(cls.run_next, cls.inspect_last),
            cls.run_rank_refined,
            cls.results,
        )

        spec.output('ranking', valid_type=orm.Dict, help='One row per structure, the lowest DFT energy first.')
        spec.output_namespace(
            'structures', valid_type=orm.StructureData, dynamic=True, help='The refined structures, rank_01 the best.'
        )

        define_exit_codes(spec)
        spec.exit_code(430, 'ERROR_REFINEMENT_FAILED', message='{reason}')

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: orm.AbstractCode | str,
        structures: orm.WorkChainNode | Sequence[orm.StructureData] | Mapping[str, orm.StructureData],
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        top: int = DEFAULT_TOP,
        refiner: str = DEFAULT_REFINER,
        options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder that is ready to run or submit.

        :param code: the DFT code, or its label such as ``pw@localhost``.
        :param structures: a finished prediction, or structures of one composition, the best first.
        :param protocol: protocol of the DFT work chain, its default one where it is None.
        :param overrides: what is to be other than in the protocol, in the words of the refiner.
        :param top: how many of the structures.
        :param refiner: adapter to the DFT work chain.
        :param options: options of the scheduler, such as ``{'max_wallclock_seconds': 3600}``.
        :raises ValueError: if the prediction has not finished, or a code, a setting or a pseudopotential is missing.
        """
        builder = cls.get_builder()
        inputs = refinement_inputs(code, protocol, overrides, top=top, refiner=refiner, options=options)
        if isinstance(structures, orm.WorkChainNode):
            inputs |= _of_prediction(structures)
        elif isinstance(structures, Mapping):
            inputs['structures'] = dict(structures)
        else:
            names = labels('structure', len(structures), width=2)
            inputs['structures'] = dict(zip(names, structures, strict=True))
        for key, value in inputs.items():
            setattr(builder, key, value)
        elements = {symbol for structure in inputs['structures'].values() for symbol in structure.get_symbols_set()}
        check_refinement(inputs, frozenset(elements))
        return builder

    def setup(self) -> ExitCode | None:
        """Check everything before anything is submitted."""
        chosen = in_order(self.inputs.structures)[: self.inputs.top.value]
        structures = [self.inputs.structures[label] for label in chosen]
        elements = frozenset(symbol for structure in structures for symbol in structure.get_symbols_set())
        try:
            check_refinement(self.inputs, elements)
            for structure in structures:
                self._build(structure)
        except AlphaCrystalError as error:
            return own_exit_code(self, exit_code_for(error).status, str(error))
        self.ctx.chosen = chosen
        self.ctx.waiting = list(chosen)
        self.ctx.running = []
        self.ctx.processes = {}
        report_progress('refine', 0, len(chosen))
        return None

    def prepare(self) -> None:
        """Find the primitive cells and make their symmetry exact."""
        structures = {label: self.inputs.structures[label] for label in self.ctx.chosen}
        tolerance = self.inputs.symmetry_tolerance.value
        if tolerance > 0:
            parameters = orm.Dict(
                {'algorithm_version': ALGORITHM_VERSIONS['to_primitive'], 'symmetry_tolerance': tolerance}
            )
            structures = {
                label: calcfunctions.to_primitive(
                    structure, parameters, metadata={'call_link_label': f'to_primitive_{label}'}
                )
                for label, structure in structures.items()
            }
        self.ctx.prepared = {label: structure.pk for label, structure in structures.items()}

    def is_unfinished(self) -> bool:
        """Return whether there are structures left."""
        return bool(self.ctx.waiting)

    def run_next(self) -> ToContext:
        """Submit as many structures as may run at once, and take over what has been done before."""
        submitted: dict[str, Any] = {}
        while self.ctx.waiting and len(submitted) < self._bound:
            label = self.ctx.waiting.pop(0)
            structure = orm.load_node(self.ctx.prepared[label])
            builder = self._build(structure)
            done = find_finished(builder, structure) if self.inputs.reuse else None
            if done is not None:
                self.report(f'{label}: {done.process_label}<{done.pk}> has done this before.')
                self.ctx.processes[label] = done.pk
                continue
            builder.metadata.call_link_label = f'refine_{label}'
            submitted[label] = self.submit(builder)
            self.report(f'{label}: submitted {submitted[label].process_label}<{submitted[label].pk}>.')
        self.ctx.running = list(submitted)
        return ToContext(**{f'refine_{label}': process for label, process in submitted.items()})

    def inspect_last(self) -> None:
        """Note what has become of the structures that were submitted last."""
        for label in self.ctx.running:
            process = self.ctx[f'refine_{label}']
            self.ctx.processes[label] = process.pk
            if not process.is_finished_ok:
                self.report(f'{label}: {process.process_label}<{process.pk}> failed: {_fate(process)["reason"]}')
        report_progress('refine', len(self.ctx.processes), len(self.ctx.chosen))

    def run_rank_refined(self) -> ExitCode | None:
        """Compare the energies."""
        processes = {label: orm.load_node(pk) for label, pk in self.ctx.processes.items()}
        refiner = self._refiner
        collected = {label: refiner.collect(process) for label, process in processes.items() if process.is_finished_ok}
        failed = {label: _fate(process) for label, process in processes.items() if not process.is_finished_ok}
        inputs: dict[str, Any] = {
            'parameters': orm.Dict(
                {
                    'algorithm_version': ALGORITHM_VERSIONS['rank_refined'],
                    'refiner': refiner.name,
                    'failed': failed,
                }
            ),
            'predicted': {label: self.inputs.structures[label] for label in self.ctx.chosen},
            'refined': collected,
        }
        if 'ranking' in self.inputs:
            inputs['ranking'] = self.inputs.ranking
        outputs, node = calcfunctions.rank_refined.run_get_node(metadata={'call_link_label': 'rank_refined'}, **inputs)
        if not node.is_finished_ok:
            return own_exit_code(self, node.exit_status, node.exit_message, 'rank_refined')
        self.ctx.ranking = outputs['ranking']
        self.ctx.structures = {
            label: refiner.refined_structure(nodes, orm.load_node(self.ctx.prepared[label])).pk
            for label, nodes in collected.items()
        }
        return None

    def results(self) -> ExitCode | None:
        """Attach the ranking and the structures."""
        self.out('ranking', self.ctx.ranking)
        rows = [row for row in self.ctx.ranking['rows'] if row['rank'] is not None]
        self.out(
            'structures',
            {rank_label(row['rank']): orm.load_node(self.ctx.structures[row['label']]) for row in rows},
        )
        if rows:
            return None
        reasons = ' '.join(f'{row["label"]}: {row["reason"]}' for row in self.ctx.ranking['rows'])
        return own_exit_code(self, 430, f'None of the structures could be refined. {reasons}')

    @property
    def _refiner(self) -> Refiner:
        return get_refiner(self.inputs.refiner.value)

    @property
    def _bound(self) -> int:
        """Return how many structures may be refined at once."""
        bound = self.inputs.get('max_concurrent')
        if bound is not None:
            return int(bound)
        computer = self.inputs.code.computer
        return 1 if computer is None or computer.scheduler_type == 'core.direct' else len(self.ctx.chosen)

    def _build(self, structure: orm.StructureData) -> ProcessBuilder:
        refiner = self._refiner
        try:
            return refiner.get_builder(self.inputs.code, structure, _settings(self.inputs))
        except AlphaCrystalError:
            raise
        except Exception as error:  # the adapter may come from anywhere
            self.report(f'The refiner {refiner.name} stopped unexpectedly:\n{traceback.format_exc()}')
            raise RefinerError(f'The refiner {refiner.name!r} cannot build its work chain: {error!r}.') from error


def refinement_inputs(
    code: orm.AbstractCode | str,
    protocol: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    top: int = DEFAULT_TOP,
    refiner: str = DEFAULT_REFINER,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the inputs of a refinement but its structures, also for the namespace ``refine`` of a prediction.

    :param code: the DFT code, or its label such as ``pw@localhost``.
    :param protocol: protocol of the DFT work chain, its default one where it is None.
    :param overrides: what is to be other than in the protocol, in the words of the refiner.
    :param top: how many of the structures.
    :param refiner: adapter to the DFT work chain.
    :param options: options of the scheduler.
    :raises CodeError: if there is no such code.
    """
    inputs: dict[str, Any] = {
        'code': _load_code(code) if isinstance(code, str) else code,
        'refiner': orm.Str(refiner),
        'overrides': orm.Dict(dict(overrides or {})),
        'top': orm.Int(top),
    }
    if protocol is not None:
        inputs['protocol'] = orm.Str(protocol)
    if options:
        inputs['options'] = dict(options)
    return inputs


def check_refinement(inputs: Mapping[str, Any], elements: frozenset[str]) -> None:
    """See that a refinement can be submitted.

    :param inputs: inputs of :class:`RefineWorkChain`.
    :param elements: all elements of the structures.
    :raises RefinerError: if the refiner, the code or a pseudopotential is missing.
    :raises SettingsError: if the protocol or an override is unknown.
    """
    get_refiner(inputs['refiner'].value).check(inputs['code'], elements, _settings(inputs))


def _settings(inputs: Mapping[str, Any]) -> RefinerSettings:
    protocol = inputs.get('protocol')
    return RefinerSettings(
        protocol=None if protocol is None else protocol.value,
        overrides=inputs['overrides'].get_dict(),
        options=dict(inputs.get('options') or {}),
    )


def _load_code(label: str) -> orm.AbstractCode:
    """Return the code of a label.

    :raises CodeError: if there is none, or several.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    try:
        return orm.load_code(label)
    except NotExistent as error:
        raise CodeError(f'There is no code {label!r}: `verdi code list` lists those that there are.') from error
    except MultipleObjectsError as error:
        raise CodeError(f'There are several codes {label!r}: name the computer too, as in pw@localhost.') from error


def _of_prediction(node: orm.WorkChainNode) -> dict[str, Any]:
    """Return the structures and the ranking of a prediction.

    :raises SettingsError: if it has none.
    """
    if 'ranking' not in node.outputs or 'structures' not in node.outputs:
        raise SettingsError(f'Process {node.pk} has no ranked structures: give a finished prediction.')
    return {'structures': dict(node.outputs.structures), 'ranking': node.outputs.ranking}


def _reduced_formula(structure: orm.StructureData) -> str:
    return str(structure.get_pymatgen_structure().composition.reduced_formula)


def _fate(process: orm.ProcessNode) -> dict[str, Any]:
    """Say what became of a process that did not finish well, with the message of the job that went wrong first."""
    if process.is_excepted:
        reason = f'it stopped by an unforeseen error: {process.exception}'
    elif process.is_killed:
        reason = 'it was killed'
    else:
        reason = process.exit_message or 'no message'
    jobs = [node for node in process.called_descendants if isinstance(node, orm.CalcJobNode) and node.is_failed]
    if jobs:
        last = max(jobs, key=lambda job: job.pk)
        reason = f'{reason.rstrip(".")}; its last job ended with exit status {last.exit_status}: {last.exit_message}'
    return {'exit_status': process.exit_status, 'reason': ' '.join(str(reason).split())}
