"""Turn the results of a job into the nodes that the calcfunctions of the stages would have made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import EXIT_CODES
from aiida_alphacrystal.engine import errors as engine_errors
from aiida_alphacrystal.engine.errors import AlphaCrystalError

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.jobs import Result
    from aiida_alphacrystal.engine.jobs.files import Summary
    from aiida_alphacrystal.engine.jobs.results import Failure

__all__ = ('UNFINISHED', 'PredictParser', 'job_status')

#: State of a compound in the report of a job.
FINISHED, FAILED, UNFINISHED = 'finished', 'failed', 'unfinished'

_STAGE_FAILED = 310


class PredictParser(Parser):
    """Read what a job has found for each compound, and what has become of the job."""

    def parse(self, **_: Any) -> ExitCode | None:
        """Attach the nodes of every compound that has been finished, and return the exit code of the job."""
        rows = [self._parse_compound(label) for label in convert.in_order(self.node.inputs.compounds)]
        summary = self._summary()
        facts = {} if summary is None else dict(summary.facts)
        self.out('report', orm.Dict({'rows': rows, 'facts': facts}))
        return self._exit_code(rows, summary)

    def _parse_compound(self, label: str) -> dict[str, Any]:
        """Attach the nodes of a compound and return its row."""
        from aiida_alphacrystal.engine.jobs import read_result, result_file

        row: dict[str, Any] = {'label': label, 'state': UNFINISHED, 'exit_status': None, 'reason': None}
        try:
            content = self.retrieved.base.repository.get_object_content(result_file(label), mode='rb')
        except OSError:
            return row
        try:
            result = read_result(content, label)
        except AlphaCrystalError as error:
            return {**row, 'reason': str(error)}
        for name, node in _nodes(result).items():
            self.out(f'predictions.{label}.{name}', node)
        if result.failure is None:
            return {**row, 'state': FINISHED, 'exit_status': 0}
        failure = result.failure
        return {
            **row,
            'state': FAILED,
            'exit_status': job_status(failure),
            'stage': failure.stage,
            'reason': failure.reason,
        }

    def _summary(self) -> Summary | None:
        from aiida_alphacrystal.engine.jobs import SUMMARY_FILE, read_summary

        try:
            return read_summary(self._text(SUMMARY_FILE))
        except AlphaCrystalError:
            return None

    def _text(self, name: str) -> str:
        try:
            return str(self.retrieved.base.repository.get_object_content(name))
        except OSError:
            return ''

    def _exit_code(self, rows: list[dict[str, Any]], summary: Summary | None) -> ExitCode | None:
        from aiida_alphacrystal.engine.jobs import Outcome

        codes = self.exit_codes
        left = sum(row['state'] == UNFINISHED for row in rows)
        if summary is None or summary.outcome == Outcome.RUNNING:
            return self._interrupted(left, len(rows))
        if summary.outcome == Outcome.REFUSED:
            status = _status_of_kind(summary.kind)
            code = next(code for code in codes.values() if code.status == status)
            return code.format(reason=summary.reason, stage='setup')
        stopped = {
            Outcome.OUT_OF_TIME: codes.ERROR_OUT_OF_WALLTIME,
            Outcome.OUT_OF_MEMORY: codes.ERROR_OUT_OF_MEMORY,
            Outcome.NO_GPU: codes.ERROR_NO_GPU,
        }
        if left and summary.outcome in stopped:
            return stopped[summary.outcome].format(reason=f'{summary.reason} {left} of {len(rows)} compounds are left.')
        if left:
            return codes.ERROR_OUTPUT_FILES.format(reason=f'{left} of {len(rows)} results are missing.')
        if all(row['state'] == FAILED for row in rows):
            return codes.ERROR_NO_PREDICTION.format(reason=rows[0]['reason'])
        return None

    def _interrupted(self, left: int, total: int) -> ExitCode:
        """Say why a job has ended without a summary: what the scheduler knows, or what the shell has written."""
        if self.node.exit_status is not None:  # the scheduler knows better
            return ExitCode(self.node.exit_status, self.node.exit_message)
        errors = f'{self._text("engine.err")}\n{self.node.get_scheduler_stderr() or ""}'
        rest = f'{left} of {total} compounds are left.'
        if 'DUE TO TIME LIMIT' in errors:
            return self.exit_codes.ERROR_OUT_OF_WALLTIME.format(reason=f'The scheduler ended the job. {rest}')
        if any(word in errors for word in ('Killed', 'MemoryError', "can't allocate memory", 'oom-kill', 'oom_kill')):
            return self.exit_codes.ERROR_OUT_OF_MEMORY.format(
                reason=f'The job was killed, most probably for its memory. {rest}'
            )
        last = ([line for line in errors.splitlines() if line.strip()] or ['nothing was written'])[-1].strip()
        return self.exit_codes.ERROR_INTERRUPTED.format(reason=f'The job ended before its time ({last}). {rest}')


def job_status(failure: Failure) -> int:
    """Return the exit status that a prediction has where it fails for the same reason without a job.

    :param failure: why a compound went no further.
    """
    if failure.kind == 'NoCandidateError':
        return 410 if failure.stage == 'reconstruct' else 420
    return _status_of_kind(failure.kind)


def _status_of_kind(kind: str) -> int:
    error = getattr(engine_errors, kind, None)
    if not isinstance(error, type) or not issubclass(error, AlphaCrystalError):
        return _STAGE_FAILED
    return next(status for known, status, _ in EXIT_CODES if issubclass(error, known))


def _nodes(result: Result) -> dict[str, Any]:
    """Return the nodes of a compound as the stages name them, as far as they have come."""
    formula = result.formula
    nodes: dict[str, Any] = {}
    if formula is None:
        return nodes
    if result.cells is not None:
        nodes['cells'] = convert.cells_to_node(formula, result.cells)
    if result.cells and result.distances:
        nodes['distances'] = convert.distances_to_node(formula, result.distances, result.cells[0].formula_units)
    if result.candidates is None:
        return nodes
    made = convert.candidates_to_nodes(formula, result.candidates, result.reasons)
    nodes |= made
    if result.relaxations is None or result.references is None or result.potential is None:
        return nodes
    names = [row['label'] for row in made['candidates']['rows']]
    relaxations = dict(zip(names, result.relaxations, strict=True))
    nodes['relaxations'] = convert.relaxations_to_node(relaxations, result.references, result.potential)
    if result.ranking is None:
        return nodes
    ranked = convert.ranking_to_nodes(convert.relaxed_pool(nodes['candidates'], nodes['relaxations']), result.ranking)
    nodes['ranking'] = ranked['ranking']
    nodes |= {f'ranked.{label}': node for label, node in ranked['structures'].items()}
    return nodes
