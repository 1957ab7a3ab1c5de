"""A prediction on another machine, brought to its end in spite of time limits, little memory and missing GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import (
    BaseRestartWorkChain,
    ExitCode,
    ProcessHandlerReport,
    ToContext,
    append_,
    process_handler,
    while_,
)

from aiida_alphacrystal.calcfunctions.exit_codes import define_exit_codes
from aiida_alphacrystal.calculations.parser import UNFINISHED
from aiida_alphacrystal.calculations.predict import PredictCalculation, cores_of, job_parameters
from aiida_alphacrystal.engine.settings import BATCH_SIZES, PredictionSettings
from aiida_alphacrystal.workchains.recovery import called_before

__all__ = ('PredictBaseWorkChain', 'job_inputs')

_CODES = PredictCalculation.exit_codes


class PredictBaseWorkChain(BaseRestartWorkChain):
    """Run :class:`PredictCalculation` until every compound has been dealt with.

    A job that is cut goes on from its checkpoints; only the compounds that are left are given to the next one.
    """

    _process_class = PredictCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the inputs, the steps, the outputs and the exit codes.

        :param spec: the process specification.
        """
        super().define(spec)
        spec.expose_inputs(PredictCalculation, namespace='job')
        spec.outline(cls.setup, while_(cls.should_run_process)(cls.run_process, cls.inspect_process), cls.results)
        spec.output_namespace(
            'reports', valid_type=orm.Dict, dynamic=True, help='What has become of the compounds in each job.'
        )
        spec.output_namespace('predictions', dynamic=True, help='As those of the jobs, of all compounds.')
        define_exit_codes(spec)
        spec.exit_code(303, 'ERROR_OUTPUT_FILES', message='{reason}')
        spec.exit_code(410, 'ERROR_NO_PREDICTION', message='{reason}')
        spec.exit_code(441, 'ERROR_OUT_OF_MEMORY', message='{reason}')
        spec.exit_code(443, 'ERROR_INTERRUPTED', message='{reason}')

    def setup(self) -> None:
        """Take over the inputs of the first job."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(PredictCalculation, 'job'))
        self.ctx.interruptions = 0
        self.ctx.reports = {}
        self.ctx.sources = {}

    def run_process(self) -> ToContext:
        """Submit the next job, unless an earlier try of this step has done so before its worker was killed."""
        label = f'iteration_{self.ctx.iteration + 1:02d}'
        earlier = called_before(self.node, label)
        if earlier:
            self.ctx.iteration += 1
            self.report(f'going on with {self.ctx.process_name}<{earlier[-1].pk}>')
            return ToContext(children=append_(earlier[-1]))
        return super().run_process()

    def inspect_process(self) -> ExitCode | None:
        """Note which compounds have been dealt with, and see what to do about the others."""
        node = self.ctx.children[self.ctx.iteration - 1]
        done = self._collect(node)
        if done or node.exit_status != _CODES.ERROR_INTERRUPTED.status:
            self.ctx.interruptions = 0
        exit_code = super().inspect_process()
        if exit_code is not None and exit_code.status:
            self.results()  # nothing that has been computed is lost
        return exit_code

    def results(self) -> None:
        """Attach what the jobs have found."""
        for label, pk in self.ctx.reports.items():
            self.out(f'reports.{label}', orm.load_node(pk))
        for label, pk in self.ctx.sources.items():
            prefix = f'predictions__{label}__'
            links = orm.load_node(pk).base.links.get_outgoing(link_label_filter=f'{prefix}%').all()
            for link in links:
                if link.link_label.startswith(prefix):
                    self.out(link.link_label.replace('__', '.'), link.node)

    @process_handler(priority=500, exit_codes=[_CODES.ERROR_OUT_OF_WALLTIME, _CODES.ERROR_SCHEDULER_OUT_OF_WALLTIME])
    def go_on(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Go on from the checkpoints where the time was up."""
        self._take_checkpoints(node)
        return self._handled(node, 'its time was up: going on from its checkpoints')

    @process_handler(priority=490, exit_codes=[_CODES.ERROR_OUT_OF_MEMORY, _CODES.ERROR_SCHEDULER_OUT_OF_MEMORY])
    def need_less_memory(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Take smaller batches, and fewer compounds at once, where the memory did not suffice."""
        parameters = self.ctx.inputs.parameters.get_dict()
        batch = parameters.get('relax', {}).get('batch_size') or BATCH_SIZES['cpu']
        processes = self.ctx.inputs.get('processes') or cores_of(self.ctx.inputs.metadata.options.resources)
        if batch == 1 and processes == 1:
            reason = f'{node.exit_message} There is no smaller batch than one structure: ask for more memory.'
            return ProcessHandlerReport(True, self.exit_codes.ERROR_OUT_OF_MEMORY.format(reason=reason))
        parameters.setdefault('relax', {})['batch_size'] = max(1, batch // 2)
        self.ctx.inputs.parameters = orm.Dict(parameters)
        self.ctx.inputs.processes = max(1, processes // 2)
        self._take_checkpoints(node)
        return self._handled(
            node,
            f'the memory did not suffice: going on with batches of {max(1, batch // 2)} structures '
            f'and {self.ctx.inputs.processes} processes',
        )

    @process_handler(priority=480, exit_codes=[_CODES.ERROR_NO_GPU])
    def do_without_gpu(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Compute on the CPU where there is no GPU."""
        self.ctx.inputs.device = orm.Str('cpu')
        return self._handled(node, 'there was no GPU: going on with the CPU')

    @process_handler(priority=470, exit_codes=[_CODES.ERROR_INTERRUPTED, _CODES.ERROR_SCHEDULER_NODE_FAILURE])
    def try_again(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Go on where a job has ended for a reason that is not known, unless it does so again at once."""
        self.ctx.interruptions += 1
        if self.ctx.interruptions > 1:
            reason = node.exit_message or 'The jobs end before their time.'
            return ProcessHandlerReport(True, self.exit_codes.ERROR_INTERRUPTED.format(reason=reason))
        self._take_checkpoints(node)
        return self._handled(node, 'it ended before its time: going on from its checkpoints')

    @process_handler(priority=100)
    def hand_on(self, node: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """Hand on what no other job could mend."""
        own = {code.status: code for code in self.exit_codes.values()}
        if node.is_finished_ok or node.exit_status not in own or node.exit_status in {440, 441, 442, 443}:
            return None
        return ProcessHandlerReport(
            True, ExitCode(node.exit_status, node.exit_message, own[node.exit_status].invalidates_cache)
        )

    def _collect(self, node: orm.CalcJobNode) -> list[str]:
        """Note the compounds that a job has dealt with, and leave them out of the next one."""
        if 'report' not in node.outputs:
            return []
        self.ctx.reports[f'iteration_{self.ctx.iteration:02d}'] = node.outputs.report.pk
        done = [row['label'] for row in node.outputs.report['rows'] if row['state'] != UNFINISHED]
        for label in done:
            self.ctx.sources[label] = node.pk
            for namespace in ('compounds', 'cells', 'distances'):
                self.ctx.inputs.get(namespace, {}).pop(label, None)
        return done

    def _take_checkpoints(self, node: orm.CalcJobNode) -> None:
        if 'remote_folder' in node.outputs:
            self.ctx.inputs.parent_folder = node.outputs.remote_folder

    def _handled(self, node: orm.CalcJobNode, what: str) -> ProcessHandlerReport:
        self.report(f'{node.process_label}<{node.pk}>: {what}')
        return ProcessHandlerReport(True)


def job_inputs(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a job but its compounds, from those of a prediction.

    :param prediction: with ``code``, ``parameters``, ``models``, ``potential`` and ``seed``, perhaps ``options`` and
        ``device``.
    """
    settings = PredictionSettings.from_dict(prediction['parameters'].get_dict())
    inputs: dict[str, Any] = {
        'code': prediction['code'],
        'models': dict(prediction['models']),
        'potential': prediction['potential'],
        'parameters': orm.Dict(job_parameters(settings)),
        'seed': prediction['seed'],
        'metadata': {'options': dict(prediction.get('options') or {})},
    }
    if 'device' in prediction:
        inputs['device'] = prediction['device']
    return inputs
