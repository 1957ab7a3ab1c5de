"""Print, write and draw predicted distances."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from aiida_alphacrystal.data import DistancesData

__all__ = (
    'EXPORT_FORMATS',
    'PLOT_FORMATS',
    'atom_names',
    'distances_facts',
    'export_distances',
    'plot_distances',
    'print_distances',
)

#: Endings of the files that distances are written to, and of those that they are drawn to.
EXPORT_FORMATS = ('.csv', '.npz')
PLOT_FORMATS = ('.png', '.svg', '.pdf')


def atom_names(node: DistancesData) -> list[str]:
    """Return a name for every atom, such as ``O3``.

    :param node: the distances.
    """
    species = node.species
    return [f'{symbol}{species[: place + 1].count(symbol)}' for place, symbol in enumerate(species)]


def distances_facts(node: DistancesData) -> dict[str, Any]:
    """Return the expected distances and what they are of, ready for JSON.

    :param node: the distances.
    """
    return {
        'pk': node.pk,
        'uuid': node.uuid,
        'formula': node.base.attributes.get('formula', None),
        'species': list(node.species),
        'distances': np.round(node.distances, 4).tolist(),
    }


def print_distances(node: DistancesData) -> None:
    """Print the expected distances as a table.

    :param node: the distances.
    """
    from rich.console import Console
    from rich.table import Table

    names = atom_names(node)
    table = Table(title=f'{node.get_description()}: expected values (Å)', title_justify='left', header_style='bold')
    table.add_column('')
    for name in names:
        table.add_column(name, justify='right', no_wrap=True)
    for name, row in zip(names, node.distances, strict=True):
        table.add_row(name, *(f'{value:.2f}' for value in row))
    console = Console(highlight=False)
    width = 8 * (len(names) + 2)
    (console if console.is_terminal else Console(highlight=False, width=max(width, 80))).print(table)


def export_distances(node: DistancesData, path: Path) -> None:
    """Write distances to a file.

    :param node: the distances.
    :param path: with an ending from ``EXPORT_FORMATS``.
    :raises OSError: if it cannot be written.
    """
    if path.suffix == '.csv':
        names = atom_names(node)
        pairs = zip(names, node.distances, strict=True)
        rows = [','.join([name, *(f'{value:.6f}' for value in row)]) for name, row in pairs]
        path.write_text('\n'.join([','.join(['atom', *names]), *rows]) + '\n', encoding='utf-8')
        return
    arrays = {name: node.get_array(name) for name in ('distances', 'probabilities', 'bin_edges')}
    np.savez_compressed(path, species=np.array(node.species), **arrays)


def plot_distances(node: DistancesData, path: Path) -> None:
    """Draw the expected distances, and the standard deviation of each beside them.

    :param node: the distances.
    :param path: with an ending from ``PLOT_FORMATS``.
    :raises OSError: if it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    prediction = node.to_prediction()
    spread = np.sqrt(np.maximum(prediction.probabilities @ prediction.bin_centres**2 - prediction.expectation**2, 0))
    figure = Figure(figsize=(10, 4.5), layout='constrained')
    FigureCanvasAgg(figure)
    names = atom_names(node)
    for axes, values, title in zip(
        figure.subplots(1, 2), (node.distances, spread), ('expected distance', 'standard deviation'), strict=True
    ):
        image = axes.imshow(values, cmap='viridis')
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title)
        figure.colorbar(image, ax=axes, label='Å')
    figure.suptitle(node.get_description())
    figure.savefig(path, dpi=150)
