"""Keep what libraries print and log out of the results."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator

__all__ = ('clean_stdout', 'quiet_libraries')

_LOUD = ('aiida', 'alembic', 'asyncio', 'disk_objectstore', 'kiwipy', 'plumpy', 'py.warnings', 'sqlalchemy')


@contextlib.contextmanager
def clean_stdout() -> Iterator[None]:
    """Send everything that is written to standard output inside the block to standard error.

    Python and compiled code alike are caught, because the file descriptor itself is turned.
    """
    sys.stdout.flush()
    try:
        target, fallback = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError, io.UnsupportedOperation):
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    saved = os.dup(target)
    os.dup2(fallback, target)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, target)
        os.close(saved)


def quiet_libraries() -> None:
    """Stop AiiDA from logging to the terminal; what it stores in its database stays as it is.

    To be called after a profile has been loaded, because that sets the handlers anew.
    """
    for name in _LOUD:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
