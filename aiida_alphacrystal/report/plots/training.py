"""Draw how a training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiida_alphacrystal.report.plots.style import COLOURS, GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aiida_alphacrystal.report.training import TrainingCurves

__all__ = ('draw_training',)

_LINES = ('-', '--', '-.', ':')
_MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')


def draw_training(curves: TrainingCurves) -> Figure:
    """Draw losses and errors by epoch, one panel for each quantity.

    :param curves: of a training.
    """
    figure = new_figure(5 * len(curves.panels), 4.2)
    axes = figure.subplots(1, len(curves.panels), squeeze=False)[0]
    styles: dict[str, int] = {}  # a line looks the same in all panels
    for where, (quantity, lines) in zip(axes, curves.panels.items(), strict=True):
        for name, (epochs, values) in lines.items():
            number = styles.setdefault(name, len(styles))
            where.plot(
                epochs,
                values,
                label=name,
                color=COLOURS[number % len(COLOURS)],
                linestyle=_LINES[number % len(_LINES)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4,
                markevery=max(1, len(epochs) // 10),
            )
        _mark_best(where, curves.best_epoch)
        where.set_xlabel('epoch')
        where.set_ylabel(quantity)
        where.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        where.grid(color='#dddddd', linewidth=0.6)
        where.legend(frameon=False, fontsize=9)
    figure.suptitle(curves.title)
    return figure


def _mark_best(axes: Axes, epoch: int | None) -> None:
    """Mark the epoch whose weights were kept."""
    if epoch is not None:
        axes.axvline(epoch, color=GREY, linestyle=(0, (1, 2)), linewidth=1.2, label=f'kept: epoch {epoch}')
