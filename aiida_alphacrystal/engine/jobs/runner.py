"""Run a job: every compound of its task, on several processes, until all are done or the time is up."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from aiida_alphacrystal import __version__
from aiida_alphacrystal.engine.errors import AlphaCrystalError, one_sentence
from aiida_alphacrystal.engine.jobs.compounds import Tools, load_tools, predict_compound
from aiida_alphacrystal.engine.jobs.files import (
    Compound,
    Outcome,
    Summary,
    Task,
    read_result,
    read_task,
    result_file,
    write_summary,
)
from aiida_alphacrystal.engine.workers import shared, workers

__all__ = ('run_job',)


_TIME_IS_UP = 'The time is up: what had been done is in the checkpoints.'
#: Set in a process that has been told to end, and shall not begin anything more.
_told_to_end = threading.Event()

_TOLD_TO_END = 'The job was told to end: what had been done is in the checkpoints.'


class _StopError(BaseException):
    """The time is up; it passes through whatever handles errors."""


class _NoGpuError(AlphaCrystalError):
    """A GPU was asked for and there is none."""


def run_job(directory: Path, started: float | None = None) -> Summary:
    """Run the job of a directory and write there what has become of it.

    Results of compounds that are in the directory are kept, and work goes on from the checkpoints that are there.

    :param directory: of the job, with its task.
    :param started: when the job began, as ``time.monotonic`` gives it; now by default.
    """
    begin = time.monotonic() if started is None else started
    write_summary(directory, Summary(Outcome.RUNNING))
    summary = _run(directory, begin)
    facts = {
        'version': __version__,
        'torch': version('torch'),
        'seconds': round(time.monotonic() - begin, 1),
        **summary.facts,
    }
    summary = Summary(summary.outcome, summary.reason, summary.kind, facts)
    write_summary(directory, summary)
    return summary


def _run(directory: Path, begin: float) -> Summary:
    facts: dict[str, Any] = {}
    try:
        task = read_task(directory)
        with _stopping(None if task.max_seconds is None else begin + task.max_seconds - time.monotonic()):
            facts['device'] = device = _device(task.device)
            left = [compound for compound in task.compounds if not _is_finished(directory, compound)]
            if task.processes > 1 and len(left) > 1:
                _run_on_processes(directory, task, left, device)
            else:
                _run_in_turn(directory, task, left, device)
    except _StopError as error:
        return Summary(Outcome.OUT_OF_TIME, str(error), facts=facts)
    except _NoGpuError as error:
        return Summary(Outcome.NO_GPU, str(error), facts=facts)
    except AlphaCrystalError as error:
        return Summary(Outcome.REFUSED, str(error), type(error).__name__, facts)
    except BrokenProcessPool:
        return Summary(Outcome.OUT_OF_MEMORY, 'A process was killed, most probably for its memory.', facts=facts)
    except MemoryError as error:
        return Summary(Outcome.OUT_OF_MEMORY, f'The memory did not suffice: {one_sentence(error)}.', facts=facts)
    return Summary(Outcome.FINISHED, facts=facts)


def _run_in_turn(directory: Path, task: Task, compounds: list[Compound], device: str) -> None:
    tools = load_tools(directory, task, device)
    for compound in compounds:
        _tell(compound)
        predict_compound(tools, compound)


def _run_on_processes(directory: Path, task: Task, compounds: list[Compound], device: str) -> None:
    """Share the compounds between processes.

    :raises MemoryError: if the memory did not suffice for one of them.
    """
    with workers((directory, task, device), min(task.processes, len(compounds))) as executor:
        futures = [executor.submit(_work, compound) for compound in compounds]
        for future in as_completed(futures):
            if not future.result():
                raise _StopError(_TOLD_TO_END)


def _work(compound: Compound) -> bool:
    """Predict a compound in a process of its own, and return whether it got to its end."""
    if _told_to_end.is_set():  # the pool hands out a compound more than it has processes
        return False
    directory, task, device = shared()
    _tell(compound)
    try:
        with _stopping(None):
            predict_compound(_tools_of_process(directory, task.max_seconds, device), compound)
    except _StopError:
        _told_to_end.set()
        return False
    return True


@functools.cache
def _tools_of_process(directory: Path, _: float | None, device: str) -> Tools:
    return load_tools(directory, shared()[1], device)


@contextlib.contextmanager
def _stopping(seconds: float | None) -> Iterator[None]:
    """Raise _StopError inside the block when the time is up, or when the process is told to end.

    :param seconds: time that is left, None for no limit.
    """
    if threading.current_thread() is not threading.main_thread():  # no other thread may say what a signal does
        yield
        return
    if seconds is not None and seconds <= 0:
        raise _StopError('The time was up before the work had begun.')
    handlers = {number: signal.signal(number, _stop) for number in (signal.SIGALRM, signal.SIGTERM)}
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds or 0)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> None:
    # once: what is being written on the way out shall not be disturbed by a second signal
    for other in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise _StopError(_TIME_IS_UP if number == signal.SIGALRM else _TOLD_TO_END)


def _device(wanted: str) -> str:
    """Return where the potential is evaluated.

    :raises _NoGpuError: if a GPU is asked for and torch sees none.
    """
    if wanted == 'cpu':
        return wanted
    import torch

    if torch.cuda.is_available():
        return 'cuda'
    if wanted == 'auto':
        return 'cpu'
    raise _NoGpuError('A GPU was asked for and torch sees none on this machine: choose the device cpu or auto.')


def _is_finished(directory: Path, compound: Compound) -> bool:
    path = directory / result_file(compound.label)
    try:
        read_result(path.read_bytes(), compound.label)
    except (OSError, AlphaCrystalError):
        return False
    return True


def _tell(compound: Compound) -> None:
    name = compound.formula or dict(compound.counts or {}) or compound.label
    sys.stdout.write(f'{compound.label}: {name}\n')
    sys.stdout.flush()
