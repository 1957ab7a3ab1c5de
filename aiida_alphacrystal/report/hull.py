"""Where the structures of a prediction lie beside the convex hull of what competes with them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.report.tables import number_text, print_facts, wide_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida.orm import ArrayData, WorkChainNode

__all__ = ('HullReport', 'HullRow', 'print_hull', 'read_hull')


@dataclasses.dataclass(frozen=True)
class HullRow:
    """One structure of the prediction.

    :param rank: its place in the ranking.
    :param spacegroup: international number.
    :param spacegroup_symbol: Hermann-Mauguin symbol.
    :param number_of_atoms: in its cell.
    :param formation_energy_per_atom: eV/atom.
    :param energy_above_hull: above the hull of what competes, negative below it, eV/atom.
    :param pk: primary key of the structure.
    """

    rank: int
    spacegroup: int
    spacegroup_symbol: str
    number_of_atoms: int
    formation_energy_per_atom: float
    energy_above_hull: float
    pk: int


@dataclasses.dataclass(frozen=True)
class HullReport:
    """A prediction beside the convex hull.

    :param formula: the compound.
    :param chemical_system: its elements.
    :param potential: name of what gave all energies.
    :param hull_energy_per_atom: formation energy on the hull at the composition, eV/atom.
    :param phases: reduced formula of what is stable there, and its share of the atoms.
    :param structures: the ranked structures.
    :param competing: known compounds that the hull is made of: formula, space group, formation energy (eV/atom, None
        where the relaxation failed), reason of a failure.
    :param predictions: formula and formation energy (eV/atom) of other predictions in the hull.
    :param pk: primary key of the prediction.
    :param competing_pk: primary key of the node with the relaxed known compounds.
    """

    formula: str
    chemical_system: str
    potential: str
    hull_energy_per_atom: float
    phases: tuple[tuple[str, float], ...]
    structures: tuple[HullRow, ...]
    competing: tuple[dict[str, Any], ...]
    predictions: tuple[tuple[str, float], ...]
    pk: int
    competing_pk: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as nested plain values, ready for JSON."""
        return dataclasses.asdict(self)


def read_hull(
    node: WorkChainNode, competing: ArrayData, predictions: Sequence[tuple[str, float]], top: int | None = None
) -> HullReport:
    """Place the structures of a finished prediction beside the hull.

    :param node: the work chain.
    :param competing: what ``relax_competing`` has returned.
    :param predictions: formula and formation energy (eV/atom) of others that compete.
    :param top: how many structures to read, or None for all that are ranked.
    """
    from aiida_alphacrystal.calcfunctions.convert import competing_from_node
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.engine.hull import hull_point
    from aiida_alphacrystal.report.prediction import read_prediction

    prediction = read_prediction(node, top)
    point = hull_point(prediction.formula, [*competing_from_node(competing), *predictions])
    rows = tuple(
        HullRow(
            rank=one.rank,
            spacegroup=one.spacegroup,
            spacegroup_symbol=one.spacegroup_symbol,
            number_of_atoms=one.number_of_atoms,
            formation_energy_per_atom=one.formation_energy_per_atom,
            energy_above_hull=one.formation_energy_per_atom - point.energy,
            pk=one.pk,
        )
        for one in prediction.candidates
        if one.formation_energy_per_atom is not None
    )
    names = ('formula', 'spacegroup', 'spacegroup_symbol', 'formation_energy_per_atom', 'reason')
    known = competing.base.attributes.get('compounds')
    return HullReport(
        formula=prediction.formula,
        chemical_system=parse_formula(prediction.formula).chemical_system,
        potential=prediction.potential,
        hull_energy_per_atom=point.energy,
        phases=point.phases,
        structures=rows,
        competing=tuple({name: row[name] for name in names} for row in known),
        predictions=tuple(predictions),
        pk=node.pk,
        competing_pk=competing.pk,
    )


def print_hull(report: HullReport) -> None:
    """Print how far above the hull the structures are, and what the hull is made of.

    :param report: the prediction beside the hull.
    """
    from rich.table import Table

    console = wide_console()
    title = f'{report.formula} beside the convex hull of {report.chemical_system}'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('rank', justify='right')
    table.add_column('space group')
    table.add_column('atoms', justify='right')
    table.add_column('formation\n(eV/atom)', justify='right')
    table.add_column('above hull\n(eV/atom)', justify='right')
    table.add_column('node', justify='right')
    for row in report.structures:
        table.add_row(
            str(row.rank),
            f'{row.spacegroup_symbol} ({row.spacegroup})',
            str(row.number_of_atoms),
            number_text(row.formation_energy_per_atom, 3),
            number_text(row.energy_above_hull, 3),
            str(row.pk),
        )
    console.print(table)
    phases = ' + '.join(f'{share:.0%} {formula}' for formula, share in report.phases)
    known = [row['formula'] for row in report.competing if row['formation_energy_per_atom'] is not None]
    print_facts(
        {
            'stable here': f'{phases}, {number_text(report.hull_energy_per_atom, 3)} eV/atom (shares of the atoms)',
            'known': _listed(known),
            'predicted': _listed([formula for formula, _ in report.predictions]),
            'all from': f'{report.potential}, relaxed; node {report.competing_pk} holds the known compounds',
        }
    )
    for row in report.competing:
        if row['reason'] is not None:
            console.print(f'{row["formula"]} was left out: {row["reason"]}', markup=False, soft_wrap=True)


def _listed(formulas: Sequence[str]) -> str:
    """Return every formula once."""
    return ', '.join(dict.fromkeys(formulas)) or 'none'
