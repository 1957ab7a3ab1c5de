"""Read a finished prediction from its nodes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiida.orm import StructureData, WorkChainNode
    from pymatgen.core import Structure

__all__ = (
    'PredictedStructure',
    'PredictionReport',
    'read_prediction',
    'structure_to_cif',
    'to_cif',
    'write_cifs',
)


class _Ranked(Protocol):
    """What has a place in a ranking and can be written down."""

    @property
    def rank(self) -> int: ...

    @property
    def cif(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class PredictedStructure:
    """One row of a ranking, with its structure.

    :param rank: 1 for the best.
    :param formula: content of the primitive cell.
    :param number_of_atoms: atoms in the primitive cell.
    :param formula_units: formula units in the primitive cell.
    :param spacegroup: international number of the space group.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param formation_energy_per_atom: in eV/atom.
    :param energy_per_atom: total energy of the potential, in eV/atom.
    :param volume_per_atom: in cubic angstrom.
    :param source: ``template``, ``descent``, ``genetic`` or ``free``.
    :param origin: how the source made it.
    :param converged: whether its relaxation reached the force tolerance.
    :param confidence: calibrated probability that it is the right structure; None where an earlier version ranked.
    :param pk: primary key of the structure node.
    :param uuid: universally unique identifier of the structure node.
    :param cif: the structure as a CIF file, its cell and coordinates as they are in the node.
    """

    rank: int
    formula: str
    number_of_atoms: int
    formula_units: int
    spacegroup: int
    spacegroup_symbol: str
    formation_energy_per_atom: float | None
    energy_per_atom: float | None
    volume_per_atom: float | None
    source: str
    origin: str
    converged: bool
    confidence: float | None
    pk: int
    uuid: str
    cif: str


@dataclasses.dataclass(frozen=True)
class PredictionReport:
    """What a finished prediction has to say.

    :param formula: the compound.
    :param candidates: the ranked structures, best first.
    :param potential: name of the potential that relaxed and ranked them.
    :param potential_sha256: hash of its files.
    :param potential_requested: the potential that was asked for.
    :param potential_notice: why another one was used, or None.
    :param seed: seed of every random draw.
    :param pk: primary key of the work chain.
    :param uuid: universally unique identifier of the work chain.
    """

    formula: str
    candidates: tuple[PredictedStructure, ...]
    potential: str
    potential_sha256: str
    potential_requested: str
    potential_notice: str | None
    seed: int
    pk: int
    uuid: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as nested plain values, ready for JSON."""
        return dataclasses.asdict(self)


def read_prediction(node: WorkChainNode, top: int | None = None) -> PredictionReport:
    """Read the outcome of a finished prediction.

    :param node: the work chain.
    :param top: how many structures to read, or None for all that are ranked.
    """
    from aiida_alphacrystal.calcfunctions.convert import rank_label

    rows = node.outputs.ranking.get_dict()['rows'][:top]
    potential = node.inputs.potential
    notice = None
    requested = potential.base.attributes.get('name')
    if 'potential_request' in node.inputs:
        request = node.inputs.potential_request
        notice = request.description or f'{request.value} could not be had: {requested} was used instead.'
        requested = request.value
    return PredictionReport(
        formula=_formula_of(node),
        candidates=tuple(_read_row(row, node.outputs.structures[rank_label(row['rank'])]) for row in rows),
        potential=potential.base.attributes.get('name'),
        potential_sha256=potential.base.attributes.get('sha256'),
        potential_requested=requested,
        potential_notice=notice,
        seed=int(node.inputs.seed.value),
        pk=int(node.pk or 0),
        uuid=str(node.uuid),
    )


def write_cifs(formula: str, structures: Iterable[_Ranked], directory: Path, suffix: str = '') -> tuple[Path, ...]:
    """Write one CIF file per structure and return their paths.

    :param formula: the compound, with which the names of the files begin.
    :param structures: ranked structures with their CIF.
    :param directory: an existing directory.
    :param suffix: with which the names of the files end.
    """
    from aiida_alphacrystal.calcfunctions.convert import rank_label

    paths = []
    for structure in structures:
        path = directory / f'{formula}_{rank_label(structure.rank)}{suffix}.cif'
        path.write_text(structure.cif, encoding='utf-8')
        paths.append(path)
    return tuple(paths)


def _formula_of(node: WorkChainNode) -> str:
    from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula
    from aiida_alphacrystal.engine.settings import PredictionSettings

    max_atoms = PredictionSettings.from_dict(node.inputs.parameters.get_dict()).max_atoms
    if 'formula' in node.inputs:
        return parse_formula(node.inputs.formula.value, max_atoms=max_atoms).label
    return formula_from_counts(node.inputs.composition.get_dict(), max_atoms=max_atoms, fix_cell=True).label


def _read_row(row: dict[str, Any], structure: StructureData) -> PredictedStructure:
    return PredictedStructure(
        rank=int(row['rank']),
        formula=str(row['formula']),
        number_of_atoms=int(row['number_of_atoms']),
        formula_units=int(row['formula_units']),
        spacegroup=int(row['spacegroup']),
        spacegroup_symbol=str(row['spacegroup_symbol']),
        formation_energy_per_atom=_finite(row['formation_energy_per_atom']),
        energy_per_atom=_finite(row['energy_per_atom']),
        volume_per_atom=_finite(row['volume_per_atom']),
        source=str(row['source']),
        origin=str(row['origin']),
        converged=bool(row['converged']),
        confidence=_finite(row.get('confidence')),
        pk=int(structure.pk or 0),
        uuid=str(structure.uuid),
        cif=to_cif(structure),
    )


def _finite(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if value is not None and math.isfinite(value) else None


def to_cif(structure: StructureData) -> str:
    """Return a structure as a CIF file, its cell and coordinates as they are in the node.

    :param structure: the node.
    """
    return structure_to_cif(structure.get_pymatgen_structure())


def structure_to_cif(structure: Structure) -> str:
    """Return a structure as a CIF file, its cell and coordinates as they are.

    :param structure: the structure.
    """
    from pymatgen.io.cif import CifWriter

    return str(CifWriter(structure, significant_figures=8))
