"""Read a screening from its nodes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import WorkChainNode

__all__ = ('ScreenedFormula', 'ScreeningReport', 'read_screening')


@dataclasses.dataclass(frozen=True)
class ScreenedFormula:
    """One row of a screening: the best structure of a formula, or why there is none.

    :param formula: the compound as it was given.
    :param exit_status: 0, or the exit status of its prediction; None where that did not finish.
    :param reason: why there is no structure, or None.
    :param structures: number of ranked structures.
    :param number_of_atoms: atoms in the primitive cell of the best one.
    :param spacegroup: international number of its space group.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param formation_energy_per_atom: in eV/atom.
    :param energy_per_atom: total energy of the potential, in eV/atom.
    :param volume_per_atom: in cubic angstrom.
    :param score: what the ranking went by, lowest first.
    :param confidence: calibrated probability that it is the right structure; None where there is none.
    :param probability: the same before any energy was known; None where that is not known.
    :param source: ``template``, ``descent``, ``genetic`` or ``free``.
    :param converged: whether its relaxation reached the force tolerance.
    :param prediction: primary key of the prediction, None where it failed.
    :param prediction_uuid: its universally unique identifier.
    """

    formula: str
    exit_status: int | None
    reason: str | None
    structures: int
    number_of_atoms: int | None
    spacegroup: int | None
    spacegroup_symbol: str | None
    formation_energy_per_atom: float | None
    energy_per_atom: float | None
    volume_per_atom: float | None
    score: float | None
    confidence: float | None
    probability: float | None
    source: str | None
    converged: bool | None
    prediction: int | None
    prediction_uuid: str | None


@dataclasses.dataclass(frozen=True)
class ScreeningReport:
    """What a screening has to say.

    :param rows: one for each formula, in the order of the list.
    :param finished: number of formulas with a structure.
    :param failed: number of the others.
    :param group: label of the group that holds the predictions, or None.
    :param pk: primary key of the work chain.
    :param uuid: universally unique identifier of the work chain.
    """

    rows: tuple[ScreenedFormula, ...]
    finished: int
    failed: int
    group: str | None
    pk: int
    uuid: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as nested plain values, ready for JSON."""
        return dataclasses.asdict(self)


def read_screening(node: WorkChainNode) -> ScreeningReport:
    """Read the table of a screening.

    :param node: the work chain, with the output ``table``.
    """
    table = node.outputs.table
    predictions = _predictions(node)
    rows = tuple(_read_row(row, predictions.get(row['label'], (None, None))) for row in table['rows'])
    return ScreeningReport(
        rows=rows,
        finished=int(table['finished']),
        failed=int(table['failed']),
        group=node.inputs.group.value if 'group' in node.inputs else None,
        pk=int(node.pk or 0),
        uuid=str(node.uuid),
    )


def _predictions(node: WorkChainNode) -> dict[str, tuple[int, str]]:
    """Return primary key and UUID of the prediction behind each row that has a structure, by label."""
    from aiida import orm
    from aiida.common import LinkType

    from aiida_alphacrystal.query import PREDICTION

    query = orm.QueryBuilder().append(orm.Dict, filters={'uuid': node.outputs.table.uuid}, tag='table')
    query.append(orm.CalcFunctionNode, with_outgoing='table', tag='join')
    query.append(orm.Dict, with_outgoing='join', edge_filters={'label': {'like': 'tables%'}}, tag='part')
    query.append(orm.CalcFunctionNode, with_outgoing='part', tag='tabulate')
    query.append(orm.Dict, with_outgoing='tabulate', edge_project='label', edge_tag='row', tag='ranking')
    query.append(
        orm.WorkChainNode,
        with_outgoing='ranking',
        filters={'process_type': PREDICTION},
        edge_filters={'type': LinkType.RETURN.value},
        project=['id', 'uuid'],
        tag='prediction',
    )
    return {
        found['row']['label'].removeprefix('rankings__'): (found['prediction']['id'], found['prediction']['uuid'])
        for found in query.dict()
    }


def _read_row(row: dict[str, Any], prediction: tuple[int | None, str | None]) -> ScreenedFormula:
    names = {field.name for field in dataclasses.fields(ScreenedFormula)}
    found = {'confidence': None, **{key: value for key, value in row.items() if key in names}}
    return ScreenedFormula(**found, prediction=prediction[0], prediction_uuid=prediction[1])
