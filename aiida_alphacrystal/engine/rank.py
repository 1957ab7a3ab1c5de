"""Stage 6: put relaxed candidates in order and leave out what has become the same structure."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import TYPE_CHECKING

from pymatgen.analysis.structure_matcher import StructureMatcher

from aiida_alphacrystal.engine.relax import formation_energy
from aiida_alphacrystal.engine.symmetry import spacegroup_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.relax import Relaxation
    from aiida_alphacrystal.engine.settings import RankSettings

__all__ = ('RankedCandidate', 'rank_candidates', 'same_structure')

#: Relaxed structures this alike are one; tighter than the criterion by which a prediction counts as right.
_MATCHER = StructureMatcher(ltol=0.2, stol=0.2, angle_tol=5)

#: Structures whose energies differ by more (eV/atom) are not compared.
_SAME_ENERGY = 0.02

#: Among equal structures the smallest cell stands for all if it is no further (eV/atom) from the best of them.
_NO_DIFFERENCE = 0.005


@dataclasses.dataclass(frozen=True)
class RankedCandidate:
    """One place of the ranking.

    :param rank: place, from 1.
    :param index: which candidate it is, in the order that they were given; of equal structures the smallest cell.
    :param score: what the ranking goes by, lowest first, eV/atom; of equal structures the lowest.
    :param energy_per_atom: energy of the potential, eV/atom.
    :param formation_energy_per_atom: relative to the elements relaxed with the same potential, eV/atom.
    :param volume_per_atom: cubic angstrom.
    :param spacegroup: international number of the relaxed structure.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param duplicates: other candidates that have relaxed to the same structure.
    """

    rank: int
    index: int
    score: float
    energy_per_atom: float
    formation_energy_per_atom: float
    volume_per_atom: float
    spacegroup: int
    spacegroup_symbol: str
    duplicates: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Scored:
    """A candidate that has been relaxed, and what the ranking goes by."""

    score: float
    index: int
    formation_energy: float
    relaxation: Relaxation


def rank_candidates(
    costs: Sequence[float],
    relaxations: Sequence[Relaxation],
    references: Mapping[str, float],
    settings: RankSettings,
) -> tuple[RankedCandidate, ...]:
    """Rank relaxed candidates; those whose relaxation failed are left out.

    By ``energy`` the score is the formation energy, as in the paper. By ``energy_and_probability`` the cost
    of the candidate times ``settings.probability_weight`` is added.

    :param costs: a-priori cost of every candidate.
    :param relaxations: relaxation of every candidate, in the same order.
    :param references: energy of every element with the same potential, eV/atom.
    :param settings: method and length of the ranking.
    :return: the ranking; empty if every relaxation failed.
    """
    scored = [
        _score(index, cost, relaxation, references, settings)
        for index, (cost, relaxation) in enumerate(zip(costs, relaxations, strict=True))
        if relaxation.reason is None and math.isfinite(relaxation.energy)
    ]
    groups: list[list[_Scored]] = []
    for entry in sorted(scored, key=lambda entry: (entry.score, entry.index)):
        twins = next((group for group in groups if _same(entry.relaxation, group[0].relaxation)), None)
        if twins is None:
            groups.append([entry])
        else:
            twins.append(entry)
    return tuple(_place(rank, group) for rank, group in enumerate(groups[: settings.top], start=1))


def same_structure(first: Structure, first_energy: float, second: Structure, second_energy: float) -> bool:
    """Return whether two relaxed structures of one compound are the same.

    :param first: one structure.
    :param first_energy: its energy, eV/atom.
    :param second: the other structure.
    :param second_energy: its energy with the same method, eV/atom.
    """
    if abs(first_energy - second_energy) > _SAME_ENERGY:
        return False
    return bool(_MATCHER.fit(first, second))


def _score(
    index: int, cost: float, relaxation: Relaxation, references: Mapping[str, float], settings: RankSettings
) -> _Scored:
    formed = formation_energy(relaxation.energy, _counts(relaxation.structure), references)
    penalty = settings.probability_weight * cost if settings.method == 'energy_and_probability' else 0.0
    return _Scored(formed + penalty, index, formed, relaxation)


def _place(rank: int, group: Sequence[_Scored]) -> RankedCandidate:
    """Give a group of equal structures, lowest score first, its place."""
    shown = _simplest(group)
    structure = shown.relaxation.structure
    number, symbol = spacegroup_of(structure)
    return RankedCandidate(
        rank=rank,
        index=shown.index,
        score=group[0].score,
        energy_per_atom=shown.relaxation.energy,
        formation_energy_per_atom=shown.formation_energy,
        volume_per_atom=structure.volume / len(structure),
        spacegroup=number,
        spacegroup_symbol=symbol,
        duplicates=tuple(entry.index for entry in group if entry is not shown),
    )


def _simplest(group: Sequence[_Scored]) -> _Scored:
    """Return the smallest cell of a group of equal structures whose energy is as low as that of any of them."""
    lowest = min(entry.formation_energy for entry in group)
    relaxed = [entry for entry in group if entry.formation_energy <= lowest + _NO_DIFFERENCE]
    return min(relaxed, key=lambda entry: (len(entry.relaxation.structure), entry.score, entry.index))


def _same(first: Relaxation, second: Relaxation) -> bool:
    """Return whether two candidates have relaxed to the same structure."""
    return same_structure(first.structure, first.energy, second.structure, second.energy)


def _counts(structure: Structure) -> dict[str, int]:
    return dict(collections.Counter(site.specie.symbol for site in structure))
