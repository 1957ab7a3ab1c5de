"""What Python's collector of garbage has to look at."""

from __future__ import annotations

import gc

__all__ = ('exempt_from_collection',)


def exempt_from_collection() -> None:
    """Let the collector pass over everything that is loaded by now.

    Libraries, weights and potentials are half a million objects that stay until the process ends. To look through them
    took a third of a second, about once in three predictions.
    """
    gc.collect()
    gc.freeze()
