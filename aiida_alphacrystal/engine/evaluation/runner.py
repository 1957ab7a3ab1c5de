"""Work through the entries of an evaluation on several processes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.datasets import Crystal, DatasetError
from aiida_alphacrystal.engine.errors import SettingsError, one_sentence
from aiida_alphacrystal.engine.evaluation.entries import EntryResult, answer, failed
from aiida_alphacrystal.engine.pipeline import load_models
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.relax import load_potential
from aiida_alphacrystal.engine.workers import shared, workers

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.evaluation.plan import Plan
    from aiida_alphacrystal.engine.pipeline import Models
    from aiida_alphacrystal.engine.relax import Potential

__all__ = ('evaluate',)

#: Entries that wait in the queue of each process, so that none has to wait for the next one.
_AHEAD = 2

_ENDED = 'The process that worked on this entry was ended from outside, most likely for lack of memory.'


@dataclasses.dataclass
class _Equipment:
    """What every process works with; it is loaded there with the first entry.

    :param plan: what is evaluated.
    """

    plan: Plan
    models: Models | None = None
    potential: Potential | None = None

    def load(self) -> Models:
        """Load what the plan needs and return the weights."""
        if self.models is None:
            if self.plan.relaxes and self.plan.potential is not None:
                self.potential = load_potential(self.plan.potential)
            self.models = load_models(self.plan.models)
        return self.models


def evaluate(
    crystals: Sequence[Crystal],
    plan: Plan,
    jobs: int,
    keep: Callable[[EntryResult], None] | None = None,
    finished: Sequence[EntryResult] = (),
) -> list[EntryResult]:
    """Predict known crystals and score the predictions.

    The results do not depend on the number of processes. An entry whose process is ended, be it for lack of memory, is
    tried once more alone, and is a miss where that ends as well.

    :param crystals: the known crystals.
    :param plan: what is evaluated.
    :param jobs: number of processes, which compute on one thread each.
    :param keep: called with every result as it comes, before anything else happens to it.
    :param finished: results of an earlier run, which are taken over.
    :return: the results of all crystals, in their order.
    :raises DatasetError: if there is no crystal.
    :raises SettingsError: if there is no process to work.
    """
    if not crystals:
        raise DatasetError('There is no crystal to evaluate: give at least one.')
    if jobs < 1:
        raise SettingsError(f'The number of processes is {jobs}: give at least 1.')
    results = {result.index: result for result in finished}

    def record(result: EntryResult) -> None:
        if keep is not None:
            keep(result)
        results[result.index] = result
        report('evaluate', len(results), len(crystals))

    report('evaluate', len(results), len(crystals))
    pending = {index: crystal for index, crystal in enumerate(crystals) if index not in results}
    for index in _run_all(pending, plan, jobs, record):
        _run_alone(index, pending[index], plan, record)
    return [results[index] for index in range(len(crystals))]


def _run_all(pending: Mapping[int, Crystal], plan: Plan, jobs: int, record: Callable[[EntryResult], None]) -> list[int]:
    """Work through the entries and return those whose process was ended."""
    queue = collections.deque(pending)
    lost: list[int] = []
    while queue:
        in_flight: dict[Future[EntryResult], int] = {}
        try:
            with workers(_Equipment(plan), min(jobs, len(queue))) as executor:
                _drain(executor, queue, pending, in_flight, jobs * _AHEAD, record)
        except BrokenProcessPool:
            if not in_flight:
                raise
            lost += in_flight.values()
    return lost


def _drain(
    executor: Executor,
    queue: collections.deque[int],
    pending: Mapping[int, Crystal],
    in_flight: dict[Future[EntryResult], int],
    most: int,
    record: Callable[[EntryResult], None],
) -> None:
    """Hand entries to the processes, a few at a time, and record what comes back."""
    while queue or in_flight:
        while queue and len(in_flight) < most:
            in_flight[executor.submit(_work, queue[0], pending[queue[0]])] = queue[0]
            queue.popleft()
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            result = future.result()
            del in_flight[future]
            record(result)


def _run_alone(index: int, crystal: Crystal, plan: Plan, record: Callable[[EntryResult], None]) -> None:
    """Give an entry whose process was ended a process of its own."""
    try:
        with workers(_Equipment(plan), 1) as executor:
            result = executor.submit(_work, index, crystal).result()
    except BrokenProcessPool:
        result = failed(index, crystal, _ENDED)
    record(result)


def _work(index: int, crystal: Crystal) -> EntryResult:
    """Work on one entry, in a process that has the equipment."""
    equipment: _Equipment = shared()
    models = equipment.load()
    try:
        return answer(index, crystal, equipment.plan, models, equipment.potential)
    except Exception as error:  # one entry must not end an evaluation of hours
        return failed(index, crystal, f'It could not be scored ({type(error).__name__}: {one_sentence(error)}).')
