"""Read a finished refinement from its nodes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.report.prediction import to_cif

if TYPE_CHECKING:
    from aiida.orm import WorkChainNode

__all__ = ('FailedStructure', 'RefinedStructure', 'RefinementReport', 'read_refinement')


@dataclasses.dataclass(frozen=True)
class RefinedStructure:
    """One structure after its refinement.

    :param rank: place by the DFT energy, from 1.
    :param predicted_rank: its place in the prediction.
    :param label: its label in the refinement.
    :param number_of_atoms: atoms in the primitive cell.
    :param spacegroup: international number of the space group.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param energy_per_atom: total DFT energy, in eV/atom.
    :param relative_energy: above that of the first place, in eV/atom.
    :param predicted_relative_energy: what the potential said above the best of them, in eV/atom, None without it.
    :param volume_per_atom: in cubic angstrom.
    :param volume_change: relative change by the refinement.
    :param max_force: largest force on an atom, in eV/A, None where it is not known.
    :param rms: normalised displacement from the predicted structure, None where they do not match.
    :param same_as: label of the better placed structure that it has become equal to, or None.
    :param pk: primary key of the structure node.
    :param uuid: universally unique identifier of the structure node.
    :param cif: the structure as a CIF file.
    """

    rank: int
    predicted_rank: int
    label: str
    number_of_atoms: int
    spacegroup: int
    spacegroup_symbol: str
    energy_per_atom: float
    relative_energy: float
    predicted_relative_energy: float | None
    volume_per_atom: float
    volume_change: float
    max_force: float | None
    rms: float | None
    same_as: str | None
    pk: int
    uuid: str
    cif: str


@dataclasses.dataclass(frozen=True)
class FailedStructure:
    """One structure whose calculation failed.

    :param predicted_rank: its place in the prediction.
    :param label: its label in the refinement.
    :param exit_status: exit status of its work chain, None where it did not finish.
    :param reason: why.
    """

    predicted_rank: int
    label: str
    exit_status: int | None
    reason: str


@dataclasses.dataclass(frozen=True)
class RefinementReport:
    """What a finished refinement has to say.

    :param formula: the compound, reduced.
    :param refined: the structures that were refined, the lowest energy first.
    :param failed: the structures that were not.
    :param kendall_tau: agreement of the two rankings, 1 for the same order, None below two structures.
    :param same_best: whether both have the same first place.
    :param refiner: adapter to the DFT work chain.
    :param code: label of the DFT code.
    :param protocol: protocol of the DFT work chain, None for its default one.
    :param pk: primary key of the work chain.
    :param uuid: universally unique identifier of the work chain.
    """

    formula: str
    refined: tuple[RefinedStructure, ...]
    failed: tuple[FailedStructure, ...]
    kendall_tau: float | None
    same_best: bool | None
    refiner: str
    code: str
    protocol: str | None
    pk: int
    uuid: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as nested plain values, ready for JSON."""
        return dataclasses.asdict(self)


def read_refinement(node: WorkChainNode, top: int | None = None) -> RefinementReport:
    """Read the outcome of a finished refinement.

    :param node: the work chain.
    :param top: how many refined structures to read, or None for all.
    """
    table = node.outputs.ranking.get_dict()
    refined = [row for row in table['rows'] if row['rank'] is not None]
    failed = [row for row in table['rows'] if row['rank'] is None]
    first = node.inputs.structures[table['rows'][0]['label']]
    agreement = table['agreement']
    return RefinementReport(
        formula=first.get_pymatgen_structure().composition.reduced_formula,
        refined=tuple(_read_row(row, node) for row in refined[:top]),
        failed=tuple(FailedStructure(**_fields(FailedStructure, row)) for row in failed),
        kendall_tau=agreement['kendall_tau'],
        same_best=agreement['same_best'],
        refiner=node.inputs.refiner.value,
        code=node.inputs.code.full_label,
        protocol=node.inputs.protocol.value if 'protocol' in node.inputs else None,
        pk=int(node.pk or 0),
        uuid=str(node.uuid),
    )


def _read_row(row: dict[str, Any], node: WorkChainNode) -> RefinedStructure:
    from aiida_alphacrystal.calcfunctions.convert import rank_label

    structure = node.outputs.structures[rank_label(row['rank'])]
    found = {
        'number_of_atoms': len(structure.sites),
        'pk': int(structure.pk or 0),
        'uuid': str(structure.uuid),
        'cif': to_cif(structure),
    }
    return RefinedStructure(**_fields(RefinedStructure, {**row, **found}))


def _fields(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that are fields of a dataclass."""
    return {field.name: values[field.name] for field in dataclasses.fields(kind)}
