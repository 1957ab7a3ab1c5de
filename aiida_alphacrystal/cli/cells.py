"""The command that predicts the cell of a compound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.cells import CellHypothesis
    from aiida_alphacrystal.engine.composition import Formula

__all__ = ('cmd_cells',)

_DEFAULT_TOP = 10


@click.command('cells')
@click.argument('formula')
@params.TOP
@params.cell_options
@click.option('--templates/--no-templates', default=True, help='Whether known crystals of the stoichiometry vote.')
@params.FORMAT
def cmd_cells(
    *,
    formula: str,
    top: int | None,
    space_group: int | None,
    crystal_system: str | None,
    lattice: tuple[float, ...] | None,
    templates: bool,
    output_format: str,
) -> None:
    """Predict space group, content and lattice of the cell of FORMULA, such as LiFePO4.

    A reduced formula leaves the number of formula units in the primitive cell open; a multiple of it, such as Al4O6,
    fixes it. The probabilities are of all that there can be, or of what the options leave.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.report.cells import print_cells
    from aiida_alphacrystal.report.tables import print_json

    compound = parse_formula(formula)
    with clean_stdout():
        from aiida_alphacrystal.engine.cells import TemplateVotes, load_cell_model, predict_cells
        from aiida_alphacrystal.engine.reconstruct import load_library
        from aiida_alphacrystal.engine.settings import PredictionSettings

        wanted = params.pinned(space_group, crystal_system, lattice)
        # 200 is the most that the setting takes
        settings = PredictionSettings.from_dict({'cells': {'max_hypotheses': min(top or _DEFAULT_TOP, 200), **wanted}})
        voters = TemplateVotes(load_library()) if templates else None
        found = predict_cells(load_cell_model(), compound, settings.cells, DEFAULT_MAX_ATOMS, voters)
        rows = [_row(rank, compound, cell) for rank, cell in enumerate(found, start=1)]
    if output_format == 'json':
        print_json({'formula': compound.label, 'templates': templates, 'cells': rows})
    else:
        print_cells(compound.label, rows)


def _row(rank: int, formula: Formula, cell: CellHypothesis) -> dict[str, Any]:
    """Return everything about one hypothesis as plain values."""
    import numpy as np

    from aiida_alphacrystal.engine.reconstruct.wyckoff import primitive_lattice, space_group

    primitive = primitive_lattice(cell.spacegroup, cell.lattice)
    atoms = cell.formula_units * formula.atoms_per_unit
    return {
        'rank': rank,
        'spacegroup': cell.spacegroup,
        'spacegroup_symbol': space_group(cell.spacegroup).symbol,
        'formula_units': cell.formula_units,
        'number_of_atoms': atoms,
        'lattice': list(cell.lattice),
        'primitive_lattice': primitive.tolist(),
        'volume_per_atom': abs(float(np.linalg.det(primitive))) / atoms,
        'volume_uncertainty': cell.volume_uncertainty,
        'probability': cell.probability,
    }
