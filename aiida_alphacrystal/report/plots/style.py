"""What all figures share: colours that colour-blind people can tell apart, and files that are the same every time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ('COLOURS', 'DIFFERENCES', 'GREY', 'PLOT_FORMATS', 'SEQUENCE', 'SOURCES', 'new_figure', 'save_figure')

#: Endings of the files that figures are written to.
PLOT_FORMATS = ('.png', '.svg', '.pdf')

#: The palette of Okabe and Ito (2008); its yellow comes last, as it needs an outline on a white page.
COLOURS = ('#0072B2', '#E69F00', '#009E73', '#D55E00', '#56B4E9', '#CC79A7', '#000000', '#F0E442')
GREY = '#767676'
#: Colour maps: of a quantity, and of one with both signs.
SEQUENCE, DIFFERENCES = 'cividis', 'PuOr_r'

#: Colour and marker of each source of candidates.
SOURCES = {
    'template': (COLOURS[0], 'o'),
    'descent': (COLOURS[3], 's'),
    'genetic': (COLOURS[2], '^'),
    'free': (COLOURS[5], 'D'),
}

_DPI = 150
#: Text stays text in an SVG and a PDF, and the names in an SVG are not drawn at random.
_SETTINGS = {'svg.fonttype': 'none', 'svg.hashsalt': 'aiida-alphacrystal', 'pdf.fonttype': 42}
#: What a file would otherwise say of the moment at which it was written.
_METADATA: dict[str, dict[str, Any]] = {'.svg': {'Date': None}, '.pdf': {'CreationDate': None}, '.png': {}}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that belongs to no window.

    :param width: inches.
    :param height: inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file, the same bytes for the same figure.

    :param figure: the figure.
    :param path: with an ending from ``PLOT_FORMATS``.
    :raises OSError: if it cannot be written.
    """
    from matplotlib import rc_context

    ending = path.suffix.lower()
    content = io.BytesIO()
    with rc_context(_SETTINGS):
        figure.savefig(content, format=ending.removeprefix('.'), dpi=_DPI, metadata=_METADATA[ending])
    path.write_bytes(content.getvalue())
