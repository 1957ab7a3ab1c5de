"""The command that predicts how far apart the atoms of a compound sit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput
from aiida_alphacrystal.cli.plot import PictureFile, write_figure
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.network.informed import InformedDistances
    from aiida_alphacrystal.engine.reconstruct import PrototypeLibrary

__all__ = ('cmd_distances',)


@click.command('distances')
@click.argument('formula')
@click.option(
    '--formula-units',
    type=params.WholeNumber(1, DEFAULT_MAX_ATOMS),
    metavar='Z',
    help='Formula units in the primitive cell; by default those of the structure, or the most probable number.',
)
@click.option(
    '--structure',
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar='FILE.cif',
    help='A crystal of the compound, to lay its distances beside the predicted ones.',
)
@click.option('--templates/--no-templates', default=True, help='Whether the nearest known compounds have a say.')
@click.option(
    '--plot',
    type=PictureFile(dir_okay=False, path_type=Path),
    metavar='FILE',
    help='Draw the matrices into a file: .png, .svg or .pdf.',
)
@params.FORMAT
def cmd_distances(
    *,
    formula: str,
    formula_units: int | None,
    structure: Path | None,
    templates: bool,
    plot: Path | None,
    output_format: str,
) -> None:
    """Predict how far apart the atoms of FORMULA sit, such as EuSi2.

    The distances are those between atoms and their nearest periodic images, and on the diagonal of each atom to its
    own; nine of ten of the true ones are within the limits beside them.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.report.informed import informed_facts, print_informed
    from aiida_alphacrystal.report.tables import print_json

    compound = parse_formula(formula)
    with clean_stdout():
        from aiida_alphacrystal.engine.reconstruct import load_library

        known = None if structure is None else _read_structure(structure, compound)
        library = load_library()
        units = _formula_units(compound, formula_units, known, library)
        found = _predict(compound, units, library if templates else None)
        true = None if known is None else _true(known, found)
        facts = informed_facts(compound.cell_formula(units), found, true)
        if plot is not None:
            _draw(facts, plot, structure)
    if output_format == 'json':
        print_json(facts)
    else:
        print_informed(facts)
    if plot is not None:
        click.echo(f'Wrote {plot}.', err=True)


def _read_structure(path: Path, compound: Formula) -> Crystal:
    """Return the primitive cell of a crystal of the compound.

    :raises BadInput: if it is of another one.
    """
    from aiida_alphacrystal.engine.datasets import read_cif

    crystal = read_cif(path)
    own = crystal.formula
    if (own.elements, own.counts) != (compound.elements, compound.counts):
        raise BadInput(f'{path} holds {own.reduced}, not {compound.reduced}: give a crystal of the formula.')
    return crystal


def _formula_units(compound: Formula, wanted: int | None, known: Crystal | None, library: PrototypeLibrary) -> int:
    """Return how many formula units the cell holds.

    :raises BadInput: if the formula, the option and the structure do not agree, or the cell would be too large.
    """
    from aiida_alphacrystal.engine.cells import TemplateVotes, load_cell_model, predict_cells
    from aiida_alphacrystal.engine.settings import PredictionSettings

    stated = {
        'the formula': compound.formula_units,
        '--formula-units': wanted,
        '--structure': None if known is None else known.natoms // compound.atoms_per_unit,
    }
    given = {name: units for name, units in stated.items() if units is not None}
    if len(set(given.values())) > 1:
        numbers = ', '.join(f'{units} by {name}' for name, units in given.items())
        raise BadInput(f'The number of formula units in the primitive cell is {numbers}: give one number only.')
    if given:
        units = next(iter(given.values()))
        natoms = units * compound.atoms_per_unit
        if natoms > DEFAULT_MAX_ATOMS:
            raise BadInput(f'The cell would hold {natoms} atoms, more than {DEFAULT_MAX_ATOMS}: give a smaller one.')
        return units
    settings = PredictionSettings()
    cells = predict_cells(load_cell_model(), compound, settings.cells, DEFAULT_MAX_ATOMS, TemplateVotes(library))
    return cells[0].formula_units


def _predict(compound: Formula, units: int, library: PrototypeLibrary | None) -> InformedDistances:
    from aiida_alphacrystal.engine.features import featurize
    from aiida_alphacrystal.engine.network import load_network, predict_distances
    from aiida_alphacrystal.engine.network.informed import InformedDistances, with_templates

    rows = featurize(compound, units, compound.atoms_per_unit * units)
    prediction = predict_distances(load_network(), rows, compound.species(units))
    if library is not None:
        return with_templates(prediction, library, compound, units)
    return InformedDistances(prediction, prediction.expectation, None, 0.0)


def _true(known: Crystal, found: InformedDistances) -> Any:
    """Return the distances of the crystal, its atoms in the order that fits best."""
    from aiida_alphacrystal.engine.atom_matching import in_order_of
    from aiida_alphacrystal.engine.network.evaluation import true_distances

    return in_order_of(found.estimate, true_distances(known), found.distribution.species)


def _draw(facts: dict[str, Any], plot: Path, structure: Path | None) -> None:
    """Draw the matrices into a file.

    :raises BadInput: if it cannot be written.
    """
    from aiida_alphacrystal.report.plots import draw_informed

    write_figure(draw_informed(facts, structure.name if structure else ''), plot, '--plot')
