"""From a formula to ranked, relaxed crystal structures."""

from __future__ import annotations

import dataclasses
import functools
import json
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common import LinkType
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, if_
from plumpy import KilledError

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import define_exit_codes, exit_code_for, own_exit_code
from aiida_alphacrystal.calcfunctions.inputs import define_model_inputs, define_seed
from aiida_alphacrystal.calcfunctions.parameters import stage_parameters_node
from aiida_alphacrystal.calcfunctions.weights import read_cell_model, read_library, read_network
from aiida_alphacrystal.calculations.parser import FAILED
from aiida_alphacrystal.calculations.predict import validate_device
from aiida_alphacrystal.data import DistancesData, ModelData, PotentialData
from aiida_alphacrystal.engine.checkpoint import read as read_checkpoint
from aiida_alphacrystal.engine.errors import AlphaCrystalError, ModelError
from aiida_alphacrystal.engine.progress import report as report_progress
from aiida_alphacrystal.engine.rank_model import with_weights
from aiida_alphacrystal.engine.settings import DEFAULT_POTENTIAL, PredictionSettings, check_seed
from aiida_alphacrystal.workchains.base import PredictBaseWorkChain, job_inputs
from aiida_alphacrystal.workchains.protocols import (
    available_protocols,
    default_protocol,
    protocol_models,
    protocol_parameters,
)
from aiida_alphacrystal.workchains.recovery import called_before, finished_before
from aiida_alphacrystal.workchains.refine import RefineWorkChain, check_refinement

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('PredictWorkChain', 'check_models', 'check_potential', 'model_from_file')

#: What the one compound is called in its job.
_COMPOUND = 'compound'
_JOB_FAILED = 450


def validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return what is wrong with the structure of the inputs, or None.

    :param inputs: inputs of the work chain.
    """
    if ('formula' in inputs) == ('composition' in inputs):
        return 'Give exactly one of `formula` and `composition`.'
    computed = inputs.get('computed') or {}
    if bool(computed) != ('computed_label' in inputs):
        return 'Give `computed` and `computed_label` together, or neither.'
    return None if not computed or 'report' in computed else 'There is no `report` in `computed`: give that of the job.'


class PredictWorkChain(WorkChain):
    """Predict the most stable crystal structures of a compound from its formula alone."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the inputs, the steps, the outputs and the exit codes.

        :param spec: the process specification.
        """
        super().define(spec)
        spec.input(
            'formula',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            required=False,
            help='Formula such as SrTiO3; one whose counts share a divisor, such as Al4O6, fixes the cell.',
        )
        spec.input(
            'composition',
            valid_type=orm.Dict,
            serializer=orm.to_aiida_type,
            required=False,
            help='Number of atoms of each element in the primitive cell, instead of a formula.',
        )
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Dict(PredictionSettings().to_dict()),
            help='Settings of every stage; what is left out keeps its default.',
        )
        define_model_inputs(spec)
        spec.input(
            'potential',
            valid_type=PotentialData,
            default=lambda: _potential_inputs(DEFAULT_POTENTIAL)[0],
            help='Potential that relaxes and ranks every candidate.',
        )
        spec.input(
            'potential_request',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            required=False,
            help='The potential that was asked for, where it could not be had and another one is used.',
        )
        define_seed(spec)
        spec.input(
            'code',
            valid_type=orm.AbstractCode,
            required=False,
            help='aiida-alphacrystal-engine, to reconstruct and relax in a job; in this process where none is given.',
        )
        spec.input(
            'device',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            required=False,
            validator=validate_device,
            help='Where the job evaluates the potential: cpu (by default), cuda, or auto for a GPU if there is one.',
        )
        spec.input(
            'options', valid_type=dict, non_db=True, required=False, help='Options of the scheduler for the job.'
        )
        spec.input_namespace(
            'computed',
            valid_type=orm.Data,
            dynamic=True,
            required=False,
            help='What a job has found, so that nothing is computed: its `report`, and for this compound, as far as it '
            'has come, cells, distances, candidates, relaxations, ranking and ranked, the structures of the ranking.',
        )
        spec.input(
            'computed_label',
            valid_type=str,
            non_db=True,
            required=False,
            help='What the job calls this compound in its report.',
        )
        spec.expose_inputs(
            RefineWorkChain,
            namespace='refine',
            exclude=('structures', 'ranking'),
            namespace_options={
                'required': False,
                'populate_defaults': False,
                'validator': None,
                'help': 'How the best structures are refined with DFT; they are not where nothing is given.',
            },
        )
        spec.inputs.validator = validate_inputs

        spec.outline(
            cls.setup,
            if_(cls.is_computed)(cls.take_over).else_(
                if_(cls.has_code)(cls.submit_job, cls.inspect_job).else_(cls.run_reconstruct, cls.run_relax),
            ),
            if_(cls.should_refine)(cls.run_refine, cls.inspect_refine),
        )

        spec.output('ranking', valid_type=orm.Dict, help='One row per distinct structure, the best first.')
        spec.output_namespace(
            'structures', valid_type=orm.StructureData, dynamic=True, help='The ranked structures, rank_01 the best.'
        )
        spec.output(
            'distances',
            valid_type=DistancesData,
            help='Predicted distances in the most probable cell, and in cells of every other size that was thought of.',
        )
        spec.output('cells', valid_type=orm.Dict, help='Ranked hypotheses about space group, content and lattice.')
        spec.output('candidates', valid_type=orm.Dict, help='Every candidate and where it came from.')
        spec.output('relaxations', valid_type=orm.ArrayData, help='Energy, forces, steps and fate of every candidate.')

        spec.expose_outputs(RefineWorkChain, namespace='refine', namespace_options={'required': False})

        define_exit_codes(spec)
        spec.exit_code(410, 'ERROR_NO_CANDIDATES', message='{reason}')
        spec.exit_code(420, 'ERROR_ALL_RELAXATIONS_FAILED', message='{reason}')
        spec.exit_code(430, 'ERROR_REFINEMENT_FAILED', message='{reason}')
        spec.exit_code(450, 'ERROR_JOB_FAILED', message='{reason}')

    @classmethod
    def get_available_protocols(cls) -> dict[str, str]:
        """Return the protocols with a sentence about each."""
        return available_protocols('predict')

    @classmethod
    def get_default_protocol(cls) -> str:
        """Return the protocol that is used where none is named."""
        return default_protocol('predict')

    @classmethod
    def get_protocol_parameters(
        cls, protocol: str | None = None, overrides: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the content of ``parameters`` for a protocol.

        :param protocol: ``fast``, ``balanced`` or ``stringent``.
        :param overrides: nested as the parameters are, such as ``{'rank': {'top': 3}}``.
        :raises ValueError: if the protocol or an override is unknown, or a value out of its range.
        """
        defaults = PredictionSettings().to_dict()
        return PredictionSettings.from_dict(protocol_parameters('predict', defaults, protocol, overrides)).to_dict()

    @classmethod
    def get_builder_from_protocol(
        cls,
        formula: str | Mapping[str, int] | orm.Str | orm.Dict,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        potential: str | ResolvedPotential | PotentialData = DEFAULT_POTENTIAL,
        models: Mapping[str, ModelData | Path] | None = None,
        seed: int = 0,
        refine: Mapping[str, Any] | None = None,
        code: orm.AbstractCode | None = None,
        options: Mapping[str, Any] | None = None,
        device: str | None = None,
    ) -> ProcessBuilder:
        """Return a builder that is ready to run or submit.

        :param formula: a formula, or the number of atoms of each element in the primitive cell.
        :param protocol: ``fast``, ``balanced`` (the default) or ``stringent``.
        :param overrides: nested as the parameters are, such as ``{'rank': {'top': 3}}``.
        :param potential: a node, what a name was resolved to, or a name, directory or file; only the name of a
            potential that is neither in the package nor on this machine touches the network.
        :param models: weights of your own in place of those of the package, as nodes or files that
            ``aiida-alphacrystal train`` has written, by purpose: ``distances``, ``cells`` or ``templates``.
        :param seed: every random draw follows from it.
        :param refine: how the best structures are refined with DFT, as
            :func:`~aiida_alphacrystal.workchains.refine.refinement_inputs` makes it; they are not where it is None.
        :param code: ``aiida-alphacrystal-engine``, to reconstruct and relax in a job of its computer.
        :param options: of the scheduler for that job, such as ``{'max_wallclock_seconds': 3600}``.
        :param device: where the job evaluates the potential: ``cpu``, ``cuda`` or ``auto``.
        :raises ValueError: if the protocol, an override, a setting or a purpose is unknown, or the potential or a file
            of weights cannot be used.
        """
        parameters = cls.get_protocol_parameters(protocol, overrides)
        builder = cls.get_builder()
        if isinstance(formula, Mapping | orm.Dict):
            builder.composition = formula if isinstance(formula, orm.Dict) else orm.Dict(dict(formula))
        else:
            builder.formula = formula
        builder.parameters = orm.Dict(parameters)
        named = protocol_models('predict', protocol)
        builder.models = _model_inputs(
            {**{purpose: ModelData.shipped(purpose, name) for purpose, name in named.items()}, **(models or {})}
        )
        if isinstance(potential, PotentialData):
            builder.potential = potential
        else:
            builder.potential, request = _potential_inputs(potential)
            if request is not None:
                builder.potential_request = request
        builder.seed = orm.Int(seed)
        if refine is not None:
            builder.refine = dict(refine)
        if code is not None:
            builder.code = code
        if options:
            builder.options = dict(options)
        if device is not None:
            builder.device = orm.Str(device)
        return builder

    def setup(self) -> ExitCode | None:
        """Check every input before anything is computed."""
        if 'potential_request' in self.inputs:
            request, used = self.inputs.potential_request, self.inputs.potential.name
            self.report(request.description or f'{request.value} could not be had: {used} is used instead.')
        if self.is_computed():
            return None
        try:
            max_atoms = self._settings.max_atoms
            check_seed(self.inputs.seed.value)
            formula = convert.read_formula(self._compound, max_atoms)
            convert.features_to_node(formula, max_atoms)
            check_models(self.inputs.models)
            check_potential(self.inputs.potential, formula.elements)
            if self.should_refine():
                check_refinement(self.inputs.refine, frozenset(formula.elements))
        except AlphaCrystalError as error:
            return own_exit_code(self, exit_code_for(error).status, str(error))
        return None

    def is_computed(self) -> bool:
        """Return whether a job of many compounds has done all that there is to do."""
        return 'computed' in self.inputs

    def take_over(self) -> ExitCode | None:
        """Attach what the job has found."""
        found = self.inputs.computed
        for name in ('cells', 'distances'):
            if name in found:
                self.out(name, found[name])
        if error := self._take_results(found):
            return error
        row = next(row for row in found['report']['rows'] if row['label'] == self.inputs.computed_label)
        if row['state'] == FAILED:
            return own_exit_code(self, row['exit_status'], row['reason'], row['stage'])
        self.ctx.rank = {'ranking': found['ranking'], 'structures': dict(found['ranked'])}
        self._attach_ranking()
        return None

    def run_reconstruct(self) -> ExitCode | None:
        """Run the networks and rebuild candidates.

        Short stages have no step of their own, since AiiDA saves the work chain after each; what they have stored is
        found again where the worker dies in the step.
        """
        error = self._run_networks() or self._run_stage(
            'reconstruct',
            features=self._found('featurize')['features'],
            cells=self._found('predict_cells')['cells'],
            distances=self._found('predict_distances')['distances'],
            model=self.inputs.models.templates,
            seed=self.inputs.seed,
        )
        if error:
            return error
        return self._check_candidates()

    def run_relax(self) -> ExitCode | None:
        """Relax every candidate and rank the relaxed structures."""
        structures = self._found('reconstruct')['structures']
        if error := self._run_stage('relax', potential=self.inputs.potential, structures=structures):
            return error
        return self._check_relaxations() or self._rank()

    def has_code(self) -> bool:
        """Return whether a job reconstructs and relaxes."""
        return 'code' in self.inputs

    def submit_job(self) -> ToContext | ExitCode:
        """Run the networks, and hand the rest to a job, unless an earlier try of this step has done so."""
        if error := self._run_networks():
            return error
        report_progress('reconstruct', 0, 1)
        earlier = called_before(self.node, 'job')
        if earlier:
            return ToContext(job=earlier[-1])
        job = {
            **job_inputs(self.inputs),
            'compounds': {_COMPOUND: self._found('featurize')['features']},
            'cells': {_COMPOUND: self._found('predict_cells')['cells']},
            'distances': {_COMPOUND: self._found('predict_distances')['distances']},
        }
        return ToContext(job=self.submit(PredictBaseWorkChain, job=job, metadata={'call_link_label': 'job'}))

    def inspect_job(self) -> ExitCode | None:
        """Take over what the job has found, and rank it."""
        job = self.ctx.job
        found = job.outputs.predictions[_COMPOUND] if 'predictions' in job.outputs else {}
        if error := self._take_results(found):
            return error
        if job.is_finished_ok:
            return self._rank()
        for report in job.outputs.reports.values() if 'reports' in job.outputs else ():
            for row in report['rows']:
                if row['state'] == FAILED:
                    return own_exit_code(self, row['exit_status'], row['reason'], row['stage'])
        known = {code.status for code in self.exit_codes.values()} - {410}
        status = job.exit_status if job.exit_status in known else _JOB_FAILED
        return own_exit_code(self, status, f'The job <{job.pk}> failed: {job.exit_message or "it was stopped."}', 'job')

    def should_refine(self) -> bool:
        """Return whether the best structures are to be refined with DFT."""
        return 'refine' in self.inputs

    def run_refine(self) -> ToContext:
        """Hand the best structures to DFT."""
        inputs = self.exposed_inputs(RefineWorkChain, namespace='refine')
        inputs.update(structures=dict(self.outputs['structures']), ranking=self._found('rank')['ranking'])
        inputs.setdefault('metadata', {})['call_link_label'] = 'refine'
        return ToContext(refinement=self.submit(RefineWorkChain, **inputs))

    def inspect_refine(self) -> ExitCode | None:
        """Attach what DFT says."""
        refinement = self.ctx.refinement
        self.out_many(self.exposed_outputs(refinement, RefineWorkChain, namespace='refine'))
        if refinement.is_finished_ok:
            return None
        message = refinement.exit_message or 'it did not finish.'
        return own_exit_code(self, refinement.exit_status or 430, message, 'refine')

    def _run_networks(self) -> ExitCode | None:
        """Describe the atoms, and predict cells and distances."""
        return self._featurize() or self._predict_cells() or self._predict_distances()

    def _featurize(self) -> ExitCode | None:
        """Describe the atoms."""
        return self._run_stage('featurize', formula=self._compound)

    def _predict_cells(self) -> ExitCode | None:
        """Predict space groups, cell contents and lattices."""
        error = self._run_stage(
            'predict_cells',
            features=self._found('featurize')['features'],
            model=self.inputs.models.cells,
            templates=self.inputs.models.templates,
        )
        if error:
            return error
        self.out('cells', self._found('predict_cells')['cells'])
        return None

    def _predict_distances(self) -> ExitCode | None:
        """Predict the distances in cells of every size that occurs."""
        error = self._run_stage(
            'predict_distances',
            features=self._found('featurize')['features'],
            cells=self._found('predict_cells')['cells'],
            model=self.inputs.models.distances,
        )
        if error:
            return error
        self.out('distances', self._found('predict_distances')['distances'])
        return None

    def _rank(self) -> ExitCode | None:
        """Rank the relaxed structures and attach the ranking."""
        error = self._run_stage(
            'rank',
            candidates=self._found('reconstruct')['candidates'],
            relaxations=self._found('relax')['relaxations'],
        )
        if error:
            return error
        self._attach_ranking()
        return None

    def _attach_ranking(self) -> None:
        """Attach the ranking and the ranked structures."""
        found = self._found('rank')
        self.out('ranking', found['ranking'])
        self.out('structures', dict(found['structures']))

    def _take_results(self, found: Mapping[str, Any]) -> ExitCode | None:
        """Attach candidates and relaxations of a job as far as it has come, and see that there are any.

        :param found: what the job has found for the compound.
        """
        if 'candidates' in found:
            self.ctx.reconstruct = {'candidates': found['candidates']}
            if error := self._check_candidates():
                return error
        if 'relaxations' not in found:
            return None
        self.ctx.relax = {'relaxations': found['relaxations']}
        return self._check_relaxations()

    def _check_candidates(self) -> ExitCode | None:
        """Attach the table of candidates, and see that there are any."""
        candidates = self._found('reconstruct')['candidates']
        self.out('candidates', candidates)
        if candidates['rows']:
            return None
        reasons = ' '.join(candidates['reasons'])
        message = f'No candidate could be built for {candidates["formula"]}: choose a more thorough protocol.'
        return own_exit_code(self, 410, f'{message} {reasons}'.strip())

    def _check_relaxations(self) -> ExitCode | None:
        """Attach the table of relaxations, and see that one has not failed."""
        relaxations = self._found('relax')['relaxations']
        self.out('relaxations', relaxations)
        rows = relaxations.base.attributes.get('rows')
        if any(row['energy_per_atom'] is not None for row in rows):
            return None
        first = rows[0]
        return own_exit_code(
            self,
            420,
            f'All {len(rows)} candidates failed to relax; the first one, {first["label"]}: {first["reason"]}',
        )

    @property
    def _compound(self) -> orm.Str | orm.Dict:
        return self.inputs.formula if 'formula' in self.inputs else self.inputs.composition

    @functools.cached_property
    def _settings(self) -> PredictionSettings:
        """Return the settings of every stage, with the weights of the ranking that belong to the potential."""
        settings = PredictionSettings.from_dict(self.inputs.parameters.get_dict())
        return dataclasses.replace(settings, rank=with_weights(settings.rank, self.inputs.potential.sha256))

    @functools.cached_property
    def _kept(self) -> dict[str, dict[str, Any]]:
        """Return what the stages have returned in this process; a context is checked and saved with every step."""
        return {}

    @functools.cached_property
    def _called_earlier(self) -> frozenset[str]:
        """Return the labels of what has been called by processes that ran this work chain before."""
        links = self.node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK))
        return frozenset(links.all_link_labels())

    def _found(self, stage: str) -> dict[str, Any]:
        """Return what a stage has found, or a job in its place.

        :param stage: name of the calcfunction.
        """
        if stage in self.ctx:
            found: dict[str, Any] = self.ctx[stage]
            return found
        if stage not in self._kept:  # another process has run it
            self._kept[stage] = _outputs(finished_before(self.node, stage))
        return self._kept[stage]

    def _run_stage(self, stage: str, **inputs: Any) -> ExitCode | None:
        """Run the calcfunction of a stage and keep its outputs under its name.

        :param stage: name of the calcfunction.
        :param inputs: its inputs but the parameters.
        """
        report_progress(stage, 0, 1)
        earlier = finished_before(self.node, stage) if stage in self._called_earlier else None
        if earlier is not None:
            self.report(f'The stage {stage} <{earlier.pk}> had finished before the worker was killed.')
            self._kept[stage] = _outputs(earlier)
            return None
        function = getattr(calcfunctions, stage)
        parameters = stage_parameters_node(stage, self._settings)
        try:
            outputs, node = function.run_get_node(parameters=parameters, metadata={'call_link_label': stage}, **inputs)
        except KilledError:
            raise
        except Exception as exception:
            self.report(f'The stage {stage} stopped unexpectedly:\n{traceback.format_exc()}')
            return self.exit_codes.ERROR_STAGE_FAILED.format(stage=stage, reason=repr(exception))
        if not node.is_finished_ok:
            self.report(f'The stage {stage} <{node.pk}> failed: {node.exit_message}')
            return own_exit_code(self, node.exit_status, node.exit_message, stage)
        self._kept[stage] = outputs
        return None


def _outputs(node: orm.ProcessNode) -> dict[str, Any]:
    """Return the outputs of a process function, nested as it has returned them."""
    outputs: dict[str, Any] = node.base.links.get_outgoing(link_type=LinkType.CREATE).nested()
    return outputs


def check_models(models: Mapping[str, ModelData]) -> None:
    """See that each weight can be read by the stage that it is given to.

    :param models: weights by purpose.
    :raises ModelError: if one is damaged or made for another stage.
    """
    readers = {'distances': read_network, 'cells': read_cell_model, 'templates': read_library}
    for purpose, read in readers.items():
        model = models[purpose]
        if model.purpose != purpose:
            raise ModelError(
                f'The weights given as models.{purpose} were made for {model.purpose}: give weights made for {purpose}.'
            )
        read(model)


def check_potential(potential: PotentialData, elements: Iterable[str] = ()) -> None:
    """See that a potential works and knows the elements.

    :param potential: the node.
    :param elements: symbols.
    :raises PotentialError: if it is damaged or fails its test.
    :raises UnsupportedElementError: if it does not know an element.
    """
    from aiida_alphacrystal.engine.relax.potentials import load_potential

    load_potential(potential.to_files()).check_elements(frozenset(elements))


def _model_inputs(models: Mapping[str, ModelData | Path]) -> dict[str, ModelData]:
    """Return the node of the weights of every stage, those of the package where none are given.

    :param models: nodes or files by purpose.
    :raises ModelError: if a purpose is unknown, or a file cannot be read.
    """
    unknown = sorted(models.keys() - set(ModelData.PURPOSES))
    if unknown:
        raise ModelError(f'No stage uses weights for {unknown[0]!r}: give {", ".join(ModelData.PURPOSES)}.')
    return {purpose: _model_input(purpose, models.get(purpose)) for purpose in ModelData.PURPOSES}


def _model_input(purpose: str, model: ModelData | Path | None) -> ModelData:
    """Return the node of the weights of one stage.

    :param purpose: the stage.
    :param model: a node, a file, or None for the weights of the package.
    :raises ModelError: if the file cannot be read.
    """
    if model is None:
        return ModelData.shipped(purpose)
    if isinstance(model, ModelData):
        return model
    return model_from_file(purpose, model)


def model_from_file(purpose: str, path: Path) -> ModelData:
    """Return the node of weights from a file, which may still be unstored.

    :param purpose: the stage.
    :param path: the file; its card stands beside it.
    :raises ModelError: if the file cannot be read.
    """
    content, _ = read_checkpoint(path, f'{purpose}.safetensors')
    return ModelData.get_or_create(content, purpose, _read_card(path.with_suffix('.json')))


def _read_card(path: Path) -> dict[str, Any] | None:
    """Return the card that stands beside a file of weights, or None where there is none."""

    def refuse(constant: str) -> None:
        raise ValueError(f'{constant} cannot be stored in an attribute.')

    try:
        card = json.loads(path.read_bytes(), parse_constant=refuse)
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def _potential_inputs(potential: str | ResolvedPotential) -> tuple[PotentialData, orm.Str | None]:
    """Return the node of a potential and, where another one has taken its place, a node that says so.

    :param potential: name or directory, or what one was resolved to.
    :raises PotentialError: if there is no such potential or its files are missing or damaged.
    """
    from aiida_alphacrystal.engine.relax.potentials import resolve_potential

    resolved = resolve_potential(potential) if isinstance(potential, str) else potential
    request = orm.Str(resolved.requested, description=resolved.notice) if resolved.notice else None
    return PotentialData.get_or_create(resolved.files), request
