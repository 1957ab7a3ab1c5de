"""Share work between processes that all hold the same things.

The processes compute on one thread each, ignore Ctrl-C, since the one that they work for ends them, and end by
themselves when that one is killed.
"""

from __future__ import annotations

import contextlib
import contextvars
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.progress import report

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue

__all__ = ('run_all', 'shared', 'sharing', 'team', 'workers')


#: How the libraries below numpy and torch are told to compute on one thread; they ask when they are loaded.
_THREADS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')

#: Seconds that a process has to write down what it has, once it has been told to end.
_GRACE = 10.0

_shared: contextvars.ContextVar[Any] = contextvars.ContextVar('alphacrystal_shared')


def shared() -> Any:
    """Return what the processes share, as it was given to ``workers`` or ``sharing``."""
    return _shared.get()


@contextlib.contextmanager
def sharing(thing: Any) -> Iterator[None]:
    """Let this process work as one of ``workers`` does inside the block.

    :param thing: what ``shared`` returns.
    """
    token = _shared.set(thing)
    try:
        yield
    finally:
        _shared.reset(token)


@contextlib.contextmanager
def workers(thing: Any, jobs: int) -> Iterator[Executor]:
    """Start processes, give each of them a thing once, and end them behind the block.

    An exception inside the block ends them at once; otherwise they finish what they have begun.

    :param thing: what ``shared`` returns in each process; it must survive pickling.
    :param jobs: number of processes.
    """
    context = multiprocessing.get_context('spawn')
    things: Queue[Any] = context.Queue()
    for _ in range(jobs):
        things.put(thing)
    strangers = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(things,))
    try:
        with _environment(dict.fromkeys(_THREADS, '1')), _deaf_to_interrupts():
            started = [executor.submit(_is_ready) for _ in range(jobs)]
        for ready in started:
            ready.result()
        yield executor
    except BaseException:
        things.cancel_join_thread()  # nobody may be left to take the rest
        _end(executor, set(multiprocessing.active_children()) - strangers)
        raise
    finally:
        executor.shutdown(cancel_futures=True)
        things.close()
        things.join_thread()  # or the interpreter may end while the thread gives its locks back


@contextlib.contextmanager
def team(thing: Any, jobs: int) -> Iterator[Executor | None]:
    """Start processes that share a thing, or let this one have it where it is to work alone.

    :param thing: what ``shared`` returns.
    :param jobs: number of processes; with one, none is started and None is given.
    """
    if jobs == 1:
        with sharing(thing):
            yield None
        return
    with workers(thing, jobs) as executor:
        yield executor


def run_all(executor: Executor | None, function: Callable[[Any], Any], items: Sequence[Any], stage: str) -> list[Any]:
    """Return what a function gives for every item, in their order, and report how far it has come.

    :param executor: as ``team`` gives it.
    :param function: can be pickled, where there is an executor.
    :param items: what it is called with.
    :param stage: what the work is called in reports.
    """
    report(stage, 0, len(items))
    results: list[Any] = []
    mapped = map(function, items) if executor is None else executor.map(function, items)
    for result in mapped:
        results.append(result)
        report(stage, len(results), len(items))
    return results


def _end(executor: Executor, processes: Collection[BaseProcess]) -> None:
    """Tell processes to end, and see that they do.

    One that dies while it takes its next task leaves the others waiting for ever for their turn. The thread of the
    executor buries them too: until it is done, one that it has found dead still counts as alive.
    """
    for process in processes:
        process.terminate()
    closing = threading.Thread(target=executor.shutdown, kwargs={'cancel_futures': True}, daemon=True)
    closing.start()
    deadline = time.monotonic() + _GRACE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
    closing.join(_GRACE)


def _begin(things: Queue[Any]) -> None:
    """Take over what is shared, in a process that has just been started."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _shared.set(things.get())


def _end_with_parent() -> None:
    """End this process as soon as the one that it works for is gone, be it killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_ready() -> bool:
    """Answer as soon as the process has what is shared."""
    return True


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let the processes that are started inside the block ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():  # no other thread may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block, for the processes that are started there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
