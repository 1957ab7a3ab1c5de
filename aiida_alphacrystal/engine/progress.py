"""Tell whoever listens how far a stage has come."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

__all__ = ('Reporter', 'report', 'reporting')

#: Called with the name of a stage, the parts that are finished and all parts.
Reporter = Callable[[str, int, int], None]

_reporter: contextvars.ContextVar[Reporter | None] = contextvars.ContextVar('alphacrystal_reporter', default=None)


def report(stage: str, done: int, total: int) -> None:
    """Report that ``done`` of ``total`` parts of a stage are finished.

    :param stage: name of the stage, such as ``relax``.
    :param done: parts that are finished.
    :param total: parts that there are.
    """
    reporter = _reporter.get()
    if reporter is not None:
        reporter(stage, done, total)


@contextlib.contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Send every report made inside the block to ``reporter``.

    :param reporter: called with the stage, the finished parts and all parts.
    """
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)
