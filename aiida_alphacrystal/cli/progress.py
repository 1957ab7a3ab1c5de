"""Show on standard error how far a prediction or a training has come."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ('STAGES', 'StageProgress')

#: What each stage does, in the order in which they run.
STAGES = {
    'featurize': 'Describing the elements',
    'predict_cells': 'Predicting cells and space groups',
    'predict_distances': 'Predicting distances between atoms',
    'reconstruct': 'Reconstructing crystals',
    'relax': 'Relaxing the candidates',
    'rank': 'Ranking',
}


class StageProgress:
    """A progress bar per stage on a terminal, one line per stage elsewhere.

    Use as a context manager, and call it with the name of a stage, the parts done and all parts.

    :param stages: name of each stage to what it does; a name outside is shown on a terminal only. An empty dictionary
        shows every name as it comes.
    """

    def __init__(self, stages: dict[str, str] | None = None) -> None:
        self._stages = STAGES if stages is None else stages
        self._console = _console()
        self._bars = _bars(self._console)
        self._tasks: dict[str, TaskID] = {}
        self._told: set[str] = set()

    def __enter__(self) -> StageProgress:
        """Start the display."""
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the display; a stage that is still open counts as finished unless an exception ended it."""
        if self._bars is None:
            return
        if kind is None:
            self._finish_open()
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` parts of a stage are finished.

        :param stage: name of the stage.
        :param done: parts that are finished.
        :param total: parts that there are; 0 where that is not known.
        """
        if self._bars is None:
            if (stage in self._stages or not self._stages) and stage not in self._told:
                self._told.add(stage)
                self._console.print(self._describe(stage), markup=False, soft_wrap=True)
            return
        if stage not in self._tasks:
            self._finish_open()
            self._tasks[stage] = self._bars.add_task(self._describe(stage), total=total or None)
        known = max(self._bars.tasks[self._tasks[stage]].total or 0, total)
        self._bars.update(self._tasks[stage], completed=known if done >= total else done, total=known or None)

    def _describe(self, stage: str) -> str:
        if stage not in self._stages:
            return stage
        return f'{list(self._stages).index(stage) + 1}/{len(self._stages)} {self._stages[stage]}'

    def _finish_open(self) -> None:
        """Fill the bars of the stages so far."""
        if self._bars is None:
            return
        for task in self._bars.tasks:
            total = task.total or 1
            self._bars.update(task.id, completed=total, total=total)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _bars(console: Console) -> Progress | None:
    """Return progress bars, or None where they could not move."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    if not console.is_terminal or console.is_dumb_terminal:
        return None
    return Progress(
        SpinnerColumn(finished_text='✓'),
        TextColumn('{task.description}'),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        redirect_stdout=False,
    )
