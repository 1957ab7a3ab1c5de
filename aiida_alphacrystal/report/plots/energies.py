"""Draw the energies of all candidates before and after their relaxation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.report.plots.style import COLOURS, GREY, SOURCES, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aiida_alphacrystal.report.candidates import CandidateEnergies, CandidateEnergy

__all__ = ('draw_energies',)

#: Colour of a source that is none of ours.
_OTHER = COLOURS[6]
#: Energies so far (eV/atom) above the worst relaxed one are drawn at the edge.
_HEADROOM = 0.25


def draw_energies(energies: CandidateEnergies) -> Figure:
    """Draw the formation energy of every candidate before and after its relaxation, the lowest first.

    The colour and the shape of a marker tell the source of its candidate. Candidates that failed stand at the end.

    :param energies: of a prediction.
    """
    rows = sorted(energies.rows, key=_order)
    figure = new_figure(min(24.0, max(10.0, 3.0 + 0.15 * len(rows))), 5.2)
    axes = figure.subplots()
    top = _top(rows)
    for place, row in enumerate(rows, start=1):
        _draw_candidate(axes, place, row, top)
    axes.set_ylim(top=top + 0.06 * (top - axes.get_ylim()[0]))
    axes.set_xlim(0.3, len(rows) + 0.7)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel('candidate, by its energy after the relaxation')
    axes.set_ylabel('formation energy (eV/atom)')
    axes.grid(axis='y', color='#dddddd', linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(_title(energies), parse_math=False)
    axes.legend(handles=_handles(rows, top), loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _title(energies: CandidateEnergies) -> str:
    noun = 'candidate' if len(energies.rows) == 1 else 'candidates'
    return f'{energies.formula}: {len(energies.rows)} {noun} relaxed with {energies.potential}'


def _order(row: CandidateEnergy) -> tuple[bool, float, str]:
    return row.after is None, row.after if row.after is not None else 0.0, row.label


def _top(rows: Sequence[CandidateEnergy]) -> float:
    """Return the energy at whose height all higher ones are drawn."""
    relaxed = [row.after for row in rows if row.after is not None]
    before = [row.before for row in rows if row.before is not None]
    if not relaxed:
        return max(before, default=1.0)
    edge = max(relaxed) + max(_HEADROOM, max(relaxed) - min(relaxed))
    return min(edge, max([*before, *relaxed]))


def _draw_candidate(axes: Axes, place: int, row: CandidateEnergy, top: float) -> None:
    """Draw where a candidate began and where it ended, and its rank."""
    colour, marker = _style(row.source)
    if row.before is not None:
        start = min(row.before, top)
        if row.after is not None:
            axes.plot([place, place], [start, row.after], color=colour, linewidth=0.8, alpha=0.6, zorder=1)
        axes.plot(place, start, marker=marker, markersize=6, markerfacecolor='white', color=colour, zorder=2)
        if row.before > top:
            axes.annotate('', (place, top), (0, 14), textcoords='offset points', arrowprops=_arrow(colour))
        if row.after is None:
            axes.plot(place, start, marker='x', markersize=11, color='black', zorder=3)
    elif row.after is None:
        axes.plot(place, top, marker='x', markersize=11, color='black', zorder=3)
    if row.after is None:
        return
    axes.plot(place, row.after, marker=marker, markersize=7, color=colour, zorder=2)
    if row.rank is not None:
        axes.annotate(
            str(row.rank), (place, row.after), (0, -13), textcoords='offset points', ha='center', fontsize=8, zorder=4
        )


def _arrow(colour: str) -> dict[str, Any]:
    return {'arrowstyle': '<-', 'color': colour, 'shrinkA': 0, 'shrinkB': 5}


def _style(source: str) -> tuple[str, str]:
    return SOURCES.get(source, (_OTHER, 'v'))


def _handles(rows: Sequence[CandidateEnergy], top: float) -> list[Any]:
    """Return the entries of the legend, those only that occur."""
    from matplotlib.lines import Line2D

    def entry(label: str, marker: str, **style: Any) -> Line2D:
        return Line2D([], [], linestyle='none', label=label, **{'marker': marker, 'markersize': 7, **style})

    known = [*SOURCES, *sorted({row.source for row in rows} - SOURCES.keys())]
    counts = {source: sum(row.source == source for row in rows) for source in known}
    handles = [
        entry(f'{source} ({count})', _style(source)[1], color=_style(source)[0])
        for source, count in counts.items()
        if count
    ]
    if any(row.before is not None for row in rows):
        handles.append(entry('before (hollow)', 'o', color=GREY, markerfacecolor='white'))
    handles.append(entry('after (filled)', 'o', color=GREY))
    if any(row.before is not None and row.before > top for row in rows):
        handles.append(entry('began above the edge', r'$\uparrow$', color=GREY, markersize=9))
    if any(row.after is None for row in rows):
        handles.append(entry(f'failed ({sum(row.after is None for row in rows)})', 'x', color='black'))
    if any(row.rank is not None for row in rows):
        handles.append(entry('rank of the structure', '$1$', color='black', markersize=6))
    return handles
