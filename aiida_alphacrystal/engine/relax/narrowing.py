"""Spend the steps of a relaxation where they count: a few on every crystal, the others on the best ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiida_alphacrystal.engine.relax.run import Run
    from aiida_alphacrystal.engine.settings import RelaxSettings

__all__ = ('Narrowing',)


class Narrowing:
    """Who takes steps, and who is left where it is.

    Which crystals have been chosen is not remembered: at most ``settings.narrow_to`` are on their way afterwards, so
    that to choose again from a state changes nothing.

    :param settings: ``narrow_steps``, ``narrow_to`` and ``budget``.
    :param seconds: that earlier calls have spent on the same crystals.
    """

    def __init__(self, settings: RelaxSettings, seconds: float = 0.0) -> None:
        self._settings = settings
        self._began = time.monotonic() - seconds
        self._chosen = settings.narrow_steps == 0

    @property
    def seconds(self) -> float:
        """Return the time since the first crystal entered, of all processes together."""
        return time.monotonic() - self._began

    def active(self, running: Mapping[int, Run]) -> list[Run]:
        """Return the crystals that take steps now; before the choice, those without their first steps.

        :param running: crystals on their way, by their place in the list.
        """
        return [run for run in running.values() if self._chosen or run.steps < self._settings.narrow_steps]

    def narrow(self, running: Mapping[int, Run], *, complete: bool) -> None:
        """Leave crystals where they are: all where the budget is spent, or all but the best after the first steps.

        :param running: crystals on their way, by their place in the list.
        :param complete: whether no crystal is left that has not entered.
        """
        if 0 < self._settings.budget <= self.seconds:
            _leave(run for run in running.values() if run.evaluated)
        elif complete and not self._chosen and not self.active(running):
            self._chosen = True
            order = sorted(running, key=lambda index: (*running[index].standing(), index))
            _leave(running[index] for index in order[self._settings.narrow_to :])


def _leave(runs: Iterable[Run]) -> None:
    for run in runs:
        run.leave()
