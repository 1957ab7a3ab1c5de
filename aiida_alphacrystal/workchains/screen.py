"""From a list of formulas to the best crystals of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.engine import ExitCode, ProcessBuilder, WorkChain, append_, if_, while_
from plumpy import KilledError

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.exit_codes import define_exit_codes, exit_code_for, own_exit_code
from aiida_alphacrystal.calcfunctions.parameters import ALGORITHM_VERSIONS
from aiida_alphacrystal.calculations.parser import UNFINISHED
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.formula_lists import MAX_FORMULAS
from aiida_alphacrystal.engine.progress import report as report_progress
from aiida_alphacrystal.engine.settings import PredictionSettings, check_seed
from aiida_alphacrystal.query import find_equal_predictions
from aiida_alphacrystal.workchains.base import PredictBaseWorkChain, job_inputs
from aiida_alphacrystal.workchains.outcomes import BEGUN, called_jobs, called_predictions, fate_of, read_outcomes
from aiida_alphacrystal.workchains.predict import PredictWorkChain, check_models, check_potential
from aiida_alphacrystal.workchains.recovery import finished_before

if TYPE_CHECKING:
    from pathlib import Path

    from aiida_alphacrystal.data import ModelData, PotentialData
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('DEFAULT_CONCURRENT', 'DEFAULT_PER_JOB', 'MAX_PER_JOB', 'ScreenWorkChain')

#: How many predictions run at once where nothing is said; each holds little memory while it waits for its turn.
DEFAULT_CONCURRENT = 10

#: How many formulas a job takes where nothing is said, and at most; what it costs to store one grows with its inputs.
DEFAULT_PER_JOB, MAX_PER_JOB = 20, 200

#: What a prediction takes over from a job that has predicted many.
_TAKEN_OVER = ('cells', 'distances', 'candidates', 'relaxations', 'ranking', 'ranked')

#: Rows of a table that are made at once: with every input of a function AiiDA compares all that it has already.
_TABULATED = 40

#: Formulas for which the database is asked at once what has been predicted before.
_LOOKED_UP = 200


def validate_formulas(value: orm.List | None, _: Any) -> str | None:
    """Return what is wrong with the list of formulas, or None.

    :param value: the input.
    """
    if value is None:
        return None
    formulas = value.get_list()
    if not formulas:
        return 'There is no formula to screen: give at least one.'
    if len(formulas) > MAX_FORMULAS:
        return f'There are {len(formulas):,} formulas: split the list, {MAX_FORMULAS:,} can be screened at once.'
    if not all(isinstance(formula, str) for formula in formulas):
        return 'Some of the formulas are no text: give a list such as ["NaCl", "SrTiO3"].'
    twice = len(formulas) - len(set(formulas))
    return f'{twice} of the formulas are there twice: name each compound once.' if twice else None


def validate_concurrent(value: int | None, _: Any) -> str | None:
    """Return what is wrong with the bound on what runs at once, or None.

    :param value: the input.
    """
    return None if value is None or value > 0 else f'The number that may run at once is {value}: give at least 1.'


def validate_per_job(value: int | None, _: Any) -> str | None:
    """Return what is wrong with the number of formulas in a job, or None.

    :param value: the input.
    """
    if value is None or 0 < value <= MAX_PER_JOB:
        return None
    return f'The number of formulas in a job is {value}: give 1 to {MAX_PER_JOB}.'


class ScreenWorkChain(WorkChain):
    """Predict the crystals of many compounds, each in a prediction of its own, and put the best of each in a table."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the inputs, the steps, the outputs and the exit codes.

        :param spec: the process specification.
        """
        super().define(spec)
        spec.input(
            'formulas',
            valid_type=orm.List,
            serializer=orm.to_aiida_type,
            validator=validate_formulas,
            help='The compounds, each once.',
        )
        spec.expose_inputs(
            PredictWorkChain,
            namespace='prediction',
            exclude=('formula', 'composition', 'computed', 'computed_label', 'refine'),
            namespace_options={'validator': None, 'help': 'Inputs that all predictions share.'},
        )
        spec.input(
            'group',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            required=False,
            help='Label of the group that collects this work chain and its predictions; made where there is none.',
        )
        spec.input(
            'max_concurrent',
            valid_type=int,
            non_db=True,
            default=DEFAULT_CONCURRENT,
            validator=validate_concurrent,
            help='How many predictions, or jobs where a code is given, may run at once.',
        )
        spec.input(
            'formulas_per_job',
            valid_type=int,
            non_db=True,
            default=DEFAULT_PER_JOB,
            validator=validate_per_job,
            help='How many formulas a job predicts, where a code is given; 1 gives every prediction a job of its own.',
        )
        spec.input(
            'reuse',
            valid_type=bool,
            non_db=True,
            default=True,
            help='Whether to take over predictions that have finished before with the same inputs.',
        )

        spec.outline(
            cls.setup,
            while_(cls.is_unfinished)(
                if_(cls.shares_jobs)(cls.submit_jobs, cls.inspect_jobs).else_(cls.submit_predictions),
                cls.inspect_last,
            ),
            cls.run_tabulate,
            cls.results,
        )

        spec.output('table', valid_type=orm.Dict, help='One row per formula: its best structure, or why there is none.')

        define_exit_codes(spec)
        spec.exit_code(440, 'ERROR_ALL_PREDICTIONS_FAILED', message='{reason}')

    @classmethod
    def get_builder_from_protocol(
        cls,
        formulas: Sequence[str],
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        potential: str | ResolvedPotential | PotentialData | None = None,
        models: Mapping[str, ModelData | Path] | None = None,
        seed: int = 0,
        group: str | None = None,
        max_concurrent: int = DEFAULT_CONCURRENT,
        formulas_per_job: int = DEFAULT_PER_JOB,
        code: orm.AbstractCode | None = None,
        options: Mapping[str, Any] | None = None,
        device: str | None = None,
    ) -> ProcessBuilder:
        """Return a builder that is ready to run or submit.

        :param formulas: the compounds, each once.
        :param protocol: ``fast``, ``balanced`` (the default) or ``stringent``, the same for all.
        :param overrides: nested as the parameters of a prediction are.
        :param potential: as for ``PredictWorkChain``, whose default it is where it is None.
        :param models: weights of your own, as for ``PredictWorkChain``.
        :param seed: every random draw follows from it.
        :param group: label of the group that collects the predictions.
        :param max_concurrent: how many predictions, or jobs, may run at once.
        :param formulas_per_job: how many formulas a job predicts, where there is a code.
        :param code: ``aiida-alphacrystal-engine``, to predict in jobs.
        :param options: of the scheduler for the jobs.
        :param device: where a job evaluates the potential.
        :raises ValueError: if the protocol, an override, a setting or a purpose is unknown, or the potential or a file
            of weights cannot be used.
        """
        chosen = {} if potential is None else {'potential': potential}
        one = PredictWorkChain.get_builder_from_protocol(
            formulas[0] if formulas else '',
            protocol,
            overrides,
            models=models,
            seed=seed,
            code=code,
            options=options,
            device=device,
            **chosen,
        )
        builder = cls.get_builder()
        builder.formulas = orm.List(list(formulas))
        shared = one._inputs(prune=True)
        del shared['formula']
        builder.prediction = shared
        if group is not None:
            builder.group = orm.Str(group)
        builder.max_concurrent = max_concurrent
        builder.formulas_per_job = formulas_per_job
        return builder

    def setup(self) -> ExitCode | None:
        """Check what all predictions share, before any of them is submitted."""
        shared = self.inputs.prediction
        try:
            PredictionSettings.from_dict(shared.parameters.get_dict())
            check_seed(shared.seed.value)
            check_models(shared.models)
            check_potential(shared.potential)
        except AlphaCrystalError as error:
            return own_exit_code(self, exit_code_for(error).status, str(error))
        # the context is saved with every step, so it holds a position in the list and never the list
        self.ctx.position = 0
        self.ctx.batch, self.ctx.jobs = [], []
        self._collect_in_group([self.node.pk])
        report_progress('screen', 0, len(self._formulas))
        return None

    def is_unfinished(self) -> bool:
        """Return whether there are formulas left."""
        return bool(self.ctx.position < len(self._formulas))

    def shares_jobs(self) -> bool:
        """Return whether jobs predict several formulas each."""
        return 'code' in self.inputs.prediction and self.inputs.formulas_per_job > 1

    def submit_predictions(self) -> None:
        """Submit as many predictions as may run at once."""
        labels = self._take_next(self.inputs.max_concurrent)
        begun = self._find_begun(labels)
        for label, formula in labels.items():
            process = orm.load_node(begun[label]) if label in begun else self._submit(label, orm.Str(formula))
            self.to_context(batch=append_(process))

    def submit_jobs(self) -> None:
        """Submit as many jobs as may run at once."""
        size = self.inputs.formulas_per_job
        labels = self._take_next(self.inputs.max_concurrent * size)
        begun = self._find_begun_jobs(labels)
        for pk in sorted(set(begun.values())):
            self.to_context(jobs=append_(orm.load_node(pk)))
        left = [label for label in labels if label not in begun]
        for names in (left[start : start + size] for start in range(0, len(left), size)):
            compounds = {label: orm.Str(labels[label]) for label in names}
            job = {**job_inputs(self.inputs.prediction), 'compounds': compounds}
            metadata = {'call_link_label': f'job_{names[0]}', 'label': f'{len(names)} formulas'}
            self.to_context(jobs=append_(self.submit(PredictBaseWorkChain, job=job, metadata=metadata)))

    def inspect_jobs(self) -> None:
        """Make a prediction of what the jobs have found for each formula."""
        self._stop_with(self.ctx.jobs)
        for job in self.ctx.jobs:
            if not job.is_finished_ok:
                self.report(f'{job.process_label}<{job.pk}> failed: {fate_of(job)["reason"]}')
            self._submit_computed(job)

    def inspect_last(self) -> None:
        """Put what has been predicted last into the group."""
        for process in self.ctx.batch:
            if not process.is_finished_ok:
                what = f'{process.label}: {process.process_label}<{process.pk}>'
                self.report(f'{what} failed: {fate_of(process)["reason"]}')
        self._collect_in_group([process.pk for process in self.ctx.batch if process.is_finished])
        self._stop_with(self.ctx.batch)
        self.ctx.batch, self.ctx.jobs = [], []
        report_progress('screen', self.ctx.position, len(self._formulas))

    def run_tabulate(self) -> ExitCode | None:
        """Put what has been predicted for each formula into one table."""
        formulas = self._formulas
        found = self._find_all()
        names = [self._label(position) for position in range(len(formulas))]
        lost = {'exit_status': None, 'reason': 'its prediction is no longer in the database'}
        jobs = called_jobs(self.node)
        missing = {label: jobs[label].fate if label in jobs else lost for label in names if label not in found}
        tables: dict[str, orm.Dict] = {}
        for begin in range(0, len(names), _TABULATED):
            part = names[begin : begin + _TABULATED]
            # no more rankings at once: those of 200 formulas take a worker a hundred MiB
            rankings, failed = read_outcomes({name: found[name] for name in part if name in found})
            failed |= {name: missing[name] for name in part if name in missing}
            content = {
                'formulas': [[name, formulas[begin + place]] for place, name in enumerate(part)],
                'failed': failed,
            }
            namespaces = {'rankings': rankings}
            outcome = self._run_function('tabulate', f'table_{begin + 1:05d}', content, namespaces)
            if isinstance(outcome, ExitCode):
                return outcome
            tables[f'table_{begin + 1:05d}'] = outcome
        joined = self._run_function('join_tables', 'join_tables', {'order': list(tables)}, {'tables': tables})
        if isinstance(joined, ExitCode):
            return joined
        self.ctx.table = joined
        return None

    def results(self) -> ExitCode | None:
        """Attach the table."""
        table = self.ctx.table
        self.out('table', table)
        if table['finished']:
            return None
        first = table['rows'][0]
        return own_exit_code(
            self,
            440,
            f'None of {len(table["rows"])} formulas could be predicted; the first one, {first["formula"]}: '
            f'{first["reason"]}',
        )

    def _run_function(
        self, name: str, label: str, content: dict[str, Any], namespaces: dict[str, dict[str, orm.Dict]]
    ) -> orm.Dict | ExitCode:
        """Run a calcfunction that makes a table, unless an earlier try of this step has done so."""
        earlier = finished_before(self.node, label)
        if earlier is not None:
            table: orm.Dict = earlier.outputs.table
            return table
        outputs, node = getattr(calcfunctions, name).run_get_node(
            parameters=orm.Dict({'algorithm_version': ALGORITHM_VERSIONS[name], **content}),
            metadata={'call_link_label': label},
            **namespaces,
        )
        if not node.is_finished_ok:
            return own_exit_code(self, node.exit_status, node.exit_message, name)
        return outputs['table']

    @property
    def _formulas(self) -> list[str]:
        formulas: list[str] = self.inputs.formulas.get_list()
        return formulas

    @staticmethod
    def _label(position: int) -> str:
        """Return the label of a formula, by its place in the list."""
        return f'formula_{position + 1:05d}'

    def _stop_with(self, processes: Sequence[orm.ProcessNode]) -> None:
        """Stop where Ctrl-C has reached what ran here, for it means all of it."""
        if self.runner.communicator is None and any(_was_killed(process) for process in processes):
            raise KilledError('Stopped by the user')

    def _take_next(self, number: int) -> dict[str, str]:
        """Return the next formulas that have not been predicted before, by label, and pass over the others."""
        formulas = self._formulas
        taken: dict[str, str] = {}
        while self.ctx.position < len(formulas) and len(taken) < number:
            chunk = formulas[self.ctx.position : self.ctx.position + _LOOKED_UP]
            done = self._find_finished(chunk)
            for formula in chunk:
                if len(taken) == number:
                    break
                if formula not in done:
                    taken[self._label(self.ctx.position)] = formula
                self.ctx.position += 1
        return taken

    def _submit(self, label: str, formula: orm.Str, **inputs: Any) -> orm.ProcessNode:
        """Submit the prediction of one formula."""
        inputs |= self.exposed_inputs(PredictWorkChain, namespace='prediction')
        inputs['formula'] = formula
        inputs.setdefault('metadata', {}).update(call_link_label=label, label=formula.value)
        return self.submit(PredictWorkChain, **inputs)

    def _submit_computed(self, job: orm.WorkChainNode) -> None:
        """Submit the predictions that take over what a job has found, but those that have been submitted."""
        compounds = dict(job.inputs.job.compounds)
        reports = _reports_by_label(job)
        found = job.outputs.predictions if 'predictions' in job.outputs else {}
        begun = self._find_begun(compounds)
        for label, formula in compounds.items():
            if label in begun:
                self.to_context(batch=append_(orm.load_node(begun[label])))
            elif label in reports:
                computed = {'report': reports[label], **_taken_over(found.get(label, {}))}
                process = self._submit(label, formula, computed=computed, computed_label=label)
                self.to_context(batch=append_(process))

    def _find_finished(self, formulas: Sequence[str]) -> dict[str, int]:
        """Return what other work chains have predicted for some formulas, and put it into the group."""
        if not self.inputs.reuse:
            return {}
        finished = find_equal_predictions(formulas, self.inputs.prediction)
        self._collect_in_group(list(finished.values()))
        return finished

    def _find_begun(self, labels: Iterable[str]) -> dict[str, int]:
        """Return the predictions that this work chain had submitted when it was interrupted, by label.

        One that is only created may never have reached the daemon and is left out.
        """
        return called_predictions(self.node, BEGUN, labels)

    def _find_begun_jobs(self, labels: Iterable[str]) -> dict[str, int]:
        """Return the jobs that this work chain had submitted when it was interrupted, by label of the compound."""
        return {label: job.pk for label, job in called_jobs(self.node, BEGUN, labels).items()}

    def _find_all(self) -> dict[str, int]:
        """Return the prediction of every formula, by label: one of our own, else one that was there before."""
        found = called_predictions(self.node)
        if not self.inputs.reuse:
            return found
        formulas = self._formulas
        missing = [place for place in range(len(formulas)) if self._label(place) not in found]
        for begin in range(0, len(missing), _LOOKED_UP):
            places = missing[begin : begin + _LOOKED_UP]
            finished = find_equal_predictions([formulas[place] for place in places], self.inputs.prediction)
            found |= {self._label(place): finished[formulas[place]] for place in places if formulas[place] in finished}
        return found

    def _collect_in_group(self, pks: Sequence[int | None]) -> None:
        """Put processes into the group."""
        if 'group' not in self.inputs or not pks:
            return
        group, _ = orm.Group.collection.get_or_create(label=self.inputs.group.value)
        query = orm.QueryBuilder().append(orm.Node, filters={'id': {'in': list(pks)}})
        group.add_nodes(query.all(flat=True))


def _reports_by_label(job: orm.WorkChainNode) -> dict[str, orm.Dict]:
    """Return the report of the calculation that has dealt with a compound, by its label.

    :param job: a ``PredictBaseWorkChain`` that has ended.
    """
    reports = job.outputs.reports.values() if 'reports' in job.outputs else ()
    return {row['label']: report for report in reports for row in report['rows'] if row['state'] != UNFINISHED}


def _taken_over(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a prediction needs of what a job has found for its compound.

    :param found: nodes of the compound.
    """
    return {name: found[name] for name in _TAKEN_OVER if name in found}


def _was_killed(process: orm.ProcessNode) -> bool:
    """Return whether a prediction was killed, or came to its end because a stage of it was."""
    return bool(process.is_killed or (process.is_excepted and KilledError.__name__ in (process.exception or '')))
