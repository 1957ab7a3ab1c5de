"""How much work a search may do."""

from __future__ import annotations

import time

__all__ = ('Budget',)


class Budget:
    """A number of fitness evaluations, a time, and a way to say stop; whichever comes first ends a search.

    A search that is ended returns what it has found so far. Only evaluations give the same result on every machine.

    :param seconds: from now; 0 sets no limit.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._end = time.monotonic() + seconds if seconds > 0 else float('inf')
        self._stopped = False

    def stop(self) -> None:
        """End the search at its next step; may be called from another thread or a signal handler."""
        self._stopped = True

    @property
    def spent(self) -> bool:
        """Return whether it is time to end."""
        return self._stopped or time.monotonic() >= self._end
