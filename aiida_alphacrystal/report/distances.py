"""Print and write predicted distances, and lay those of a structure beside them."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.report.tables import wide_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida.orm import WorkChainNode
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from aiida_alphacrystal.data import DistancesData
    from aiida_alphacrystal.engine.distances import DistancePrediction

__all__ = (
    'EXPORT_FORMATS',
    'DistancesError',
    'RealisedDistances',
    'atom_names',
    'compare_distances',
    'distances_facts',
    'export_distances',
    'predicted_distances',
    'print_distances',
    'print_matrix',
    'read_exported',
    'read_realised',
)

#: Endings of the files that distances are written to.
EXPORT_FORMATS = ('.csv', '.npz')

#: Columns of a terminal for the names of the atoms with the frame, and for one atom.
_NAME_WIDTH, _COLUMN_WIDTH = 8, 8


class DistancesError(AlphaCrystalError):
    """A file holds no distances."""


@dataclasses.dataclass(frozen=True)
class RealisedDistances:
    """Predicted distances beside those of a structure, its atoms in the order that fits best.

    :param names: of the atoms.
    :param predicted: mean distances, (atoms, atoms), A.
    :param found: minimum-image distances of the structure, (atoms, atoms), A; both diagonals hold the distance of an
        atom to its own nearest image.
    :param rank: place of the structure in its ranking.
    :param title: what the structure is.
    """

    names: tuple[str, ...]
    predicted: NDArray[np.float64]
    found: NDArray[np.float64]
    rank: int
    title: str

    @property
    def rms(self) -> float:
        """Return the root mean square deviation between different atoms, in A; of the diagonal where there is one."""
        squared = (self.found - self.predicted) ** 2
        apart = ~np.eye(len(self.names), dtype=bool)
        return float(np.sqrt(squared[apart].mean() if apart.any() else squared.mean()))


def predicted_distances(node: WorkChainNode) -> dict[int, DistancePrediction]:
    """Return the predicted distances of a prediction by the number of atoms in the cell, the most probable first.

    :param node: the prediction.
    """
    distances = node.outputs.distances
    return {len(distances.get_species(units)): distances.to_prediction(units) for units in distances.all_formula_units}


def read_realised(node: WorkChainNode, rank: int) -> RealisedDistances | None:
    """Return what was predicted for a ranked structure beside what it is.

    :param node: the prediction.
    :param rank: place of the structure.
    :return: None where no distances were predicted for a cell of its size.
    :raises KeyError: if there is no such rank.
    """
    from aiida_alphacrystal.calcfunctions.convert import rank_label

    row = next((row for row in node.outputs.ranking['rows'] if row['rank'] == rank), None)
    if row is None:
        raise KeyError(rank)
    structure = node.outputs.structures[rank_label(rank)].get_pymatgen_structure()
    predicted = predicted_distances(node).get(len(structure))
    if predicted is None:
        return None
    title = f'{row["formula"]}, rank {rank}: {row["spacegroup_symbol"]} ({row["spacegroup"]}), distances between atoms'
    return compare_distances(predicted, structure, rank, title)


def compare_distances(prediction: DistancePrediction, structure: Structure, rank: int, title: str) -> RealisedDistances:
    """Order the atoms of a structure as the predicted distances have them.

    :param prediction: distances of a cell.
    :param structure: a crystal with the same atoms in its cell.
    :param rank: its place in the ranking.
    :param title: what it is.
    """
    from aiida_alphacrystal.engine.atom_matching import in_order_of
    from aiida_alphacrystal.engine.distances import minimum_image_distances

    symbols = [site.specie.symbol for site in structure]
    elements = list(dict.fromkeys(prediction.species))
    grouped = sorted(range(len(symbols)), key=lambda atom: elements.index(symbols[atom]))
    found = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)[np.ix_(grouped, grouped)]
    ordered = in_order_of(prediction.expectation, found, prediction.species)
    names = tuple(atom_names(prediction.species))
    return RealisedDistances(names, prediction.expectation, ordered, rank, title)


def atom_names(species: Sequence[str]) -> list[str]:
    """Return a name for every atom, such as ``O3``.

    :param species: element of every atom.
    """
    return [f'{symbol}{species[: place + 1].count(symbol)}' for place, symbol in enumerate(species)]


def distances_facts(node: DistancesData, formula_units: int | None = None) -> dict[str, Any]:
    """Return the expected distances and what they are of, ready for JSON.

    :param node: the distances.
    :param formula_units: in the cell; those of the most probable one where None is given.
    """
    return {
        'pk': node.pk,
        'uuid': node.uuid,
        'formula': node.get_formula(formula_units),
        'all_formula_units': sorted(node.all_formula_units),
        'species': list(node.get_species(formula_units)),
        'distances': np.round(node.get_distances(formula_units), 4).tolist(),
    }


def print_distances(node: DistancesData, formula_units: int | None = None) -> None:
    """Print the expected distances as a table, in several parts where it would be too wide.

    :param node: the distances.
    :param formula_units: in the cell; those of the most probable one where None is given.
    """
    heading = f'{node.get_description(formula_units)}: expected values (Å)'
    print_matrix(heading, node.get_species(formula_units), node.get_distances(formula_units))
    if len(node.all_formula_units) > 1:
        known = ', '.join(map(str, sorted(node.all_formula_units)))
        wide_console().print(f'--formula-units shows another cell: there are some for {known}.')


def print_matrix(heading: str, species: Sequence[str], distances: NDArray[np.float64]) -> None:
    """Print a matrix as a table, in several parts where it would be too wide.

    :param heading: what stands above it.
    :param species: element of every atom.
    :param distances: shape (atoms, atoms), A.
    """
    from rich.table import Table

    names = atom_names(species)
    console = wide_console()
    room = max(1, (console.width - _NAME_WIDTH) // _COLUMN_WIDTH)
    blocks = -(-len(names) // room)
    title: str | None = heading
    for columns in np.array_split(np.arange(len(names)), blocks):
        table = Table(title=title, title_justify='left', header_style='bold')
        table.add_column('', no_wrap=True)
        for column in columns:
            table.add_column(names[column], justify='right', no_wrap=True)
        for name, row in zip(names, distances, strict=True):
            table.add_row(name, *(f'{row[column]:.2f}' for column in columns))
        console.print(table)
        title = None


def read_exported(path: Path) -> DistancePrediction:
    """Return distances that :func:`export_distances` has written with their probabilities.

    :param path: a ``.npz`` file.
    :raises DistancesError: if it cannot be read, or holds something else.
    """
    from aiida_alphacrystal.engine.distances import DistancePrediction

    try:
        with np.load(path, allow_pickle=False) as content:
            species = tuple(str(symbol) for symbol in content['species'])
            prediction = DistancePrediction(species, content['bin_edges'], content['probabilities'])
        atoms, bins = len(species), len(prediction.bin_edges) - 1
        if not atoms or prediction.probabilities.shape != (atoms, atoms, bins):
            raise ValueError(prediction.probabilities.shape)
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DistancesError(
            f'The file {str(path)!r} holds no distances: give a .npz file that `verdi data alphacrystal distances '
            'export` has written.'
        ) from error
    return prediction


def export_distances(prediction: DistancePrediction, path: Path) -> None:
    """Write distances to a file.

    :param prediction: the distances in a cell.
    :param path: with an ending from ``EXPORT_FORMATS``.
    :raises OSError: if it cannot be written.
    """
    if path.suffix == '.csv':
        names = atom_names(prediction.species)
        pairs = zip(names, prediction.expectation, strict=True)
        rows = [','.join([name, *(f'{value:.6f}' for value in row)]) for name, row in pairs]
        path.write_text('\n'.join([','.join(['atom', *names]), *rows]) + '\n', encoding='utf-8')
        return
    np.savez_compressed(
        path,
        species=np.array(prediction.species),
        distances=prediction.expectation,
        probabilities=prediction.probabilities,
        bin_edges=prediction.bin_edges,
    )
