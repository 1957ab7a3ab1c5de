"""From a list of formulas to the best crystals of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common import LinkType
from aiida.engine import ExitCode, ProcessBuilder, WorkChain, append_, while_
from plumpy import KilledError

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.exit_codes import define_exit_codes, exit_code_for, own_exit_code
from aiida_alphacrystal.calcfunctions.parameters import ALGORITHM_VERSIONS
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.formula_lists import MAX_FORMULAS
from aiida_alphacrystal.engine.progress import report as report_progress
from aiida_alphacrystal.engine.settings import PredictionSettings, check_seed
from aiida_alphacrystal.query import find_equal_predictions
from aiida_alphacrystal.workchains.predict import PredictWorkChain, check_models, check_potential

if TYPE_CHECKING:
    from pathlib import Path

    from aiida_alphacrystal.data import ModelData, PotentialData
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('DEFAULT_CONCURRENT', 'ScreenWorkChain')

#: How many predictions run at once where nothing is said; each holds little memory while it waits for its turn.
DEFAULT_CONCURRENT = 10

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
            exclude=('formula', 'composition', 'refine'),
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
            help='How many predictions may run at once.',
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
            while_(cls.is_unfinished)(cls.run_next, cls.inspect_last),
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
    ) -> ProcessBuilder:
        """Return a builder that is ready to run or submit.

        :param formulas: the compounds, each once.
        :param protocol: ``fast``, ``balanced`` (the default) or ``stringent``, the same for all.
        :param overrides: nested as the parameters of a prediction are.
        :param potential: as for ``PredictWorkChain``, whose default it is where it is None.
        :param models: weights of your own, as for ``PredictWorkChain``.
        :param seed: every random draw follows from it.
        :param group: label of the group that collects the predictions.
        :param max_concurrent: how many predictions may run at once.
        :raises ValueError: if the protocol, an override, a setting or a purpose is unknown, or the potential or a file
            of weights cannot be used.
        """
        chosen = {} if potential is None else {'potential': potential}
        one = PredictWorkChain.get_builder_from_protocol(
            formulas[0] if formulas else '', protocol, overrides, models=models, seed=seed, **chosen
        )
        builder = cls.get_builder()
        builder.formulas = orm.List(list(formulas))
        shared = one._inputs(prune=True)
        del shared['formula']
        builder.prediction = shared
        if group is not None:
            builder.group = orm.Str(group)
        builder.max_concurrent = max_concurrent
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
        self.ctx.batch = []
        self._collect_in_group([self.node.pk])
        report_progress('screen', 0, len(self._formulas))
        return None

    def is_unfinished(self) -> bool:
        """Return whether there are formulas left."""
        return bool(self.ctx.position < len(self._formulas))

    def run_next(self) -> None:
        """Submit as many predictions as may run at once, and pass over what has been predicted before."""
        formulas, bound = self._formulas, self.inputs.max_concurrent
        self.ctx.batch = []
        submitted = 0
        while self.ctx.position < len(formulas) and submitted < bound:
            chunk = formulas[self.ctx.position : self.ctx.position + _LOOKED_UP]
            done = self._find_finished(chunk)
            begun = self._find_begun(self.ctx.position, len(chunk))
            for formula in chunk:
                if submitted == bound:
                    break
                if formula not in done:
                    label = self._label(self.ctx.position)
                    process = orm.load_node(begun[label]) if label in begun else self._submit(formula, label)
                    self.to_context(batch=append_(process))
                    submitted += 1
                self.ctx.position += 1

    def inspect_last(self) -> None:
        """Put what has been predicted last into the group."""
        for process in self.ctx.batch:
            if not process.is_finished_ok:
                attributes = process.base.attributes
                reason = _fate(*(attributes.get(key, None) for key in _FATE))['reason']
                self.report(f'{process.label}: {process.process_label}<{process.pk}> failed: {reason}')
        self._collect_in_group([process.pk for process in self.ctx.batch if process.is_finished])
        if self.runner.communicator is None and any(_was_killed(process) for process in self.ctx.batch):
            raise KilledError('Stopped by the user')  # Ctrl-C has reached the stage that ran here, and means all of it
        self.ctx.batch = []
        report_progress('screen', self.ctx.position, len(self._formulas))

    def run_tabulate(self) -> ExitCode | None:
        """Put what has been predicted for each formula into one table."""
        formulas = self._formulas
        found = self._find_all()
        rankings, failed = _read_outcomes(found)
        names = [self._label(position) for position in range(len(formulas))]
        lost = {'exit_status': None, 'reason': 'its prediction is no longer in the database'}
        failed |= {label: lost for label in names if label not in found}
        parameters = {
            'algorithm_version': ALGORITHM_VERSIONS['tabulate'],
            'formulas': [list(pair) for pair in zip(names, formulas, strict=True)],
            'failed': failed,
        }
        outputs, node = calcfunctions.tabulate.run_get_node(
            parameters=orm.Dict(parameters), rankings=rankings, metadata={'call_link_label': 'tabulate'}
        )
        if not node.is_finished_ok:
            return own_exit_code(self, node.exit_status, node.exit_message, 'tabulate')
        self.ctx.table = outputs['table']
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

    @property
    def _formulas(self) -> list[str]:
        formulas: list[str] = self.inputs.formulas.get_list()
        return formulas

    @staticmethod
    def _label(position: int) -> str:
        """Return the label of a formula, by its place in the list."""
        return f'formula_{position + 1:05d}'

    def _submit(self, formula: str, label: str) -> orm.ProcessNode:
        """Submit the prediction of one formula."""
        inputs = self.exposed_inputs(PredictWorkChain, namespace='prediction')
        inputs['formula'] = orm.Str(formula)
        inputs.setdefault('metadata', {}).update(call_link_label=label, label=formula)
        return self.submit(PredictWorkChain, **inputs)

    def _find_finished(self, formulas: Sequence[str]) -> dict[str, int]:
        """Return what other work chains have predicted for some formulas, and put it into the group."""
        if not self.inputs.reuse:
            return {}
        finished = find_equal_predictions(formulas, self.inputs.prediction)
        self._collect_in_group(list(finished.values()))
        return finished

    def _find_begun(self, position: int, number: int) -> dict[str, int]:
        """Return the predictions that this work chain had submitted when it was interrupted, by label.

        One that is only created may never have reached the daemon and is left out.
        """
        names = [self._label(place) for place in range(position, position + number)]
        states = ('running', 'waiting', 'finished')
        return self._find_called({'label': {'in': names}}, {'attributes.process_state': {'in': states}})

    def _find_called(self, links: dict[str, Any], filters: dict[str, Any]) -> dict[str, int]:
        """Return the latest prediction that this work chain has called, by label."""
        query = orm.QueryBuilder().append(orm.WorkChainNode, filters={'id': self.node.pk}, tag='screening')
        query.append(
            orm.WorkChainNode,
            with_incoming='screening',
            filters=filters,
            edge_filters={'type': LinkType.CALL_WORK.value, **links},
            edge_project='label',
            project='id',
            tag='prediction',
        )
        query.order_by({'prediction': {'id': 'asc'}})
        return {label: pk for pk, label in query.all()}

    def _find_all(self) -> dict[str, int]:
        """Return the prediction of every formula, by label: one of our own, else one that was there before."""
        found = self._find_called({}, {})
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


def _was_killed(process: orm.ProcessNode) -> bool:
    """Return whether a prediction was killed, or came to its end because a stage of it was."""
    return bool(process.is_killed or (process.is_excepted and KilledError.__name__ in (process.exception or '')))


def _read_outcomes(pks: Mapping[str, int]) -> tuple[dict[str, orm.Dict], dict[str, dict[str, Any]]]:
    """Return the rankings of predictions that have one, and what became of the others, by label.

    :param pks: primary keys of the predictions by label.
    """
    names = {pk: label for label, pk in pks.items()}
    rankings: dict[str, orm.Dict] = {}
    failed: dict[str, dict[str, Any]] = {}
    for begin in range(0, len(names), _LOOKED_UP):
        chunk = {'id': {'in': list(names)[begin : begin + _LOOKED_UP]}}
        ranked = orm.QueryBuilder().append(orm.WorkChainNode, filters=chunk, project='id', tag='prediction')
        ranked.append(orm.Dict, with_incoming='prediction', edge_filters={'label': 'ranking'}, project='*')
        rankings |= {names[pk]: ranking for pk, ranking in ranked.all()}
        fates = orm.QueryBuilder()
        fates.append(orm.WorkChainNode, filters=chunk, project=['id', *(f'attributes.{key}' for key in _FATE)])
        failed |= {names[pk]: _fate(*fate) for pk, *fate in fates.all() if names[pk] not in rankings}
    return rankings, failed


#: Attributes that tell what became of a process.
_FATE = ('process_state', 'exit_status', 'exit_message', 'exception')


def _fate(state: str, exit_status: int | None, message: str | None, exception: str | None) -> dict[str, Any]:
    """Say what became of a prediction that did not finish well."""
    if state == 'excepted':
        reason = f'it stopped by an unforeseen error: {exception}'
    elif state == 'killed':
        reason = 'it was killed'
    elif state == 'finished':
        reason = message or 'no message'
    else:
        reason = f'it has not finished (it is {state})'
    return {'exit_status': exit_status, 'reason': ' '.join(str(reason).split())}
