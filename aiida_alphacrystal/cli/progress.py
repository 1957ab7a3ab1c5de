"""Show on standard error how far a prediction or a training has come."""

from __future__ import annotations

import datetime
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

__all__ = ('PARTS', 'STAGES', 'StageProgress')

#: What each stage does, in the order in which they run.
STAGES = {
    'featurize': 'Describing the elements',
    'predict_cells': 'Predicting cells and space groups',
    'predict_distances': 'Predicting distances between atoms',
    'reconstruct': 'Reconstructing crystals',
    'relax': 'Relaxing the candidates',
    'rank': 'Ranking',
}

#: What the parts of a stage are called.
PARTS = {
    'reconstruct': 'cells',
    'relax': 'candidates',
    'screen': 'formulas',
    'evaluate': 'crystals',
    'read': 'entries',
    'duplicates': 'groups',
    'write': 'files',
    'votes': 'crystals',
    'votes_val': 'crystals',
    'cells': 'crystals',
    'templates': 'crystals',
    'generate': 'crystals',
    'score': 'crystals',
    'calibration': 'crystals',
    'likeness': 'prototypes',
    'ranker': 'epochs',
    'lattice': 'epochs',
    'costs': 'epochs',
    **{f'classes_{number}': 'epochs' for number in range(1, 6)},
}

#: Columns of a terminal on which the names of the parts and both times have a place.
_WIDE = 100


class StageProgress:
    """A progress bar per stage on a terminal, with the time that is left; one line per stage elsewhere.

    Use as a context manager, and call it with the name of a stage, the parts done and all parts.

    :param stages: name of each stage to what it does; a name outside is shown on a terminal only. An empty dictionary
        shows every name as it comes, on a terminal in one bar for all, whose parts go on from name to name.
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
        bar = stage if self._stages else ''
        if bar not in self._tasks:
            self._finish_open()
            facts = {'parts': '', 'first': done, 'last': 0.0}
            self._tasks[bar] = self._bars.add_task('', completed=done, total=total or None, **facts)
        task = self._bars.tasks[self._tasks[bar]]
        known = max(task.total or 0, total)
        completed = known if done >= total else done
        last = task.elapsed if completed != task.completed else task.fields['last']
        parts = PARTS.get(stage, '') if known > 1 else ''
        text = self._describe(stage)
        self._bars.update(task.id, description=text, completed=completed, total=known or None, parts=parts, last=last)

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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
    from rich.table import Column
    from rich.text import Text

    if not console.is_terminal or console.is_dumb_terminal:
        return None

    wide = console.width >= _WIDE

    class TimeColumn(ProgressColumn):
        """The time that a stage has taken, and while it runs the time that it will still take."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            """Return the text.

            :param task: the stage.
            """
            return Text(_times(task, wide))

    return Progress(
        SpinnerColumn(finished_text='✓'),
        TextColumn('{task.description}', markup=False),
        BarColumn(bar_width=10 if wide else 6),
        MofNCompleteColumn(),
        *([TextColumn('{task.fields[parts]}', markup=False)] if wide else []),
        TimeColumn(Column(no_wrap=True)),
        console=console,
        redirect_stdout=False,
    )


def _times(task: Task, wide: bool) -> str:
    """Return the time that a stage has taken, and the one that is left where that can be told.

    :param task: the stage.
    :param wide: whether there is room for both.
    """
    elapsed = task.elapsed or 0.0
    done = task.completed - task.fields['first']  # what there was at the beginning took no time here
    if task.finished or done <= 0 or not task.total:
        return _clock(task.finished_time or elapsed)
    at_last = task.fields['last'] or 0.0  # between two parts the time that is left falls second by second
    left = max(0.0, at_last * (task.total - task.completed) / done - (elapsed - at_last))
    return f'{_clock(elapsed)}, {_clock(left)} left' if wide else f'{_clock(left)} left'


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
