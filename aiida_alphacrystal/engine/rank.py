"""Stage 6: put relaxed candidates in order and leave out what has become the same structure."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

from pymatgen.analysis.structure_matcher import StructureMatcher

from aiida_alphacrystal.engine.metrics import reduced_structure
from aiida_alphacrystal.engine.rank_model import OTHER, confidences, features, with_weights
from aiida_alphacrystal.engine.symmetry import SYMMETRY_TOLERANCE, spacegroup_of, symmetry_operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.rank_model import CandidateFacts
    from aiida_alphacrystal.engine.relax import Relaxation
    from aiida_alphacrystal.engine.settings import RankSettings

__all__ = ('RankedCandidate', 'rank_candidates', 'same_structure')

#: Relaxed structures this alike are one; tighter than the criterion by which a prediction counts as right.
_MATCHER = StructureMatcher(ltol=0.2, stol=0.2, angle_tol=5)

#: Structures whose energies differ by more (eV/atom) are not compared.
_SAME_ENERGY = 0.02

#: Nor are those whose volumes per atom differ by more than this factor: the matcher scales them to one volume, and so
#: takes wurtzite for the planar type that it is flattened to. Relaxations of one soft crystal end within a few percent.
_SAME_VOLUME = 1.08

#: Among equal structures those stand for all that are no further (eV/atom) above the lowest: less than potentials err.
_NO_DIFFERENCE = 0.005


@dataclasses.dataclass(frozen=True)
class RankedCandidate:
    """One place of the ranking.

    :param rank: place, from 1.
    :param index: which candidate it is, in the order that they were given; of equal structures the most symmetric one.
    :param score: what the ranking goes by, lowest first: eV/atom, or minus the logarithm of the confidence; of equal
        structures the lowest.
    :param confidence: calibrated probability of being the right structure.
    :param energy_per_atom: energy of the potential, eV/atom.
    :param formation_energy_per_atom: relative to the elements relaxed with the same potential, eV/atom.
    :param volume_per_atom: cubic angstrom.
    :param spacegroup: international number of the relaxed structure.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param duplicates: other candidates that have relaxed to the same structure.
    :param features: what the confidence follows from, in the order of ``FEATURES`` of the model.
    """

    rank: int
    index: int
    score: float
    confidence: float
    energy_per_atom: float
    formation_energy_per_atom: float
    volume_per_atom: float
    spacegroup: int
    spacegroup_symbol: str
    duplicates: tuple[int, ...]
    features: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class _Distinct:
    """Candidates that have relaxed to the same structure, the lowest energy first."""

    members: tuple[int, ...]
    score: float
    confidence: float
    features: tuple[float, ...]


def rank_candidates(
    facts: Sequence[CandidateFacts],
    relaxations: Sequence[Relaxation],
    energies: Sequence[float],
    settings: RankSettings,
) -> tuple[RankedCandidate, ...]:
    """Rank relaxed candidates; those whose relaxation failed are left out.

    By ``confidence`` the most probable structure comes first, judged by the calibrated model with ``settings.weights``.
    By ``energy`` the score is the formation energy, as in the paper. By ``energy_and_probability`` the cost of the
    candidate times ``settings.probability_weight`` is added.

    :param facts: what was known of every candidate.
    :param relaxations: relaxation of every candidate, in the same order.
    :param energies: formation energy of every candidate, eV/atom.
    :param settings: method, weights and length of the ranking; without weights, those learnt from all potentials.
    :return: the ranking; empty if every relaxation failed.
    """
    groups = _distinct(relaxations)
    if not groups:
        return ()
    described = features(groups, facts, relaxations, energies)
    judged = confidences(described, with_weights(settings, OTHER).weights)
    found = [
        _Distinct(
            members=tuple(group),
            score=_score(group, facts, energies, float(confidence), settings),
            confidence=float(confidence),
            features=tuple(row.tolist()),
        )
        for group, row, confidence in zip(groups, described, judged, strict=True)
    ]
    found.sort(key=lambda one: (one.score, min(one.members)))
    best = enumerate(found[: settings.top], start=1)
    return tuple(_place(rank, one, facts, relaxations, energies) for rank, one in best)


def same_structure(first: Structure, first_energy: float, second: Structure, second_energy: float) -> bool:
    """Return whether two relaxed structures of one compound are the same.

    :param first: one structure.
    :param first_energy: its energy, eV/atom.
    :param second: the other structure.
    :param second_energy: its energy with the same method, eV/atom.
    """
    return _comparable(first, first_energy, second, second_energy) and bool(_MATCHER.fit(first, second))


def _comparable(first: Structure, first_energy: float, second: Structure, second_energy: float) -> bool:
    """Return whether energy and volume allow two structures to be the same."""
    smaller, larger = sorted(structure.volume / len(structure) for structure in (first, second))
    return abs(first_energy - second_energy) <= _SAME_ENERGY and larger <= _SAME_VOLUME * smaller


def _distinct(relaxations: Sequence[Relaxation]) -> list[list[int]]:
    """Return the candidates that could be relaxed, those that have become the same structure together."""
    relaxed = [
        index
        for index, relaxation in enumerate(relaxations)
        if relaxation.reason is None and math.isfinite(relaxation.energy)
    ]
    energies = {index: relaxations[index].energy for index in relaxed}
    structures = {index: relaxations[index].structure for index in relaxed}
    reduced = functools.cache(lambda index: reduced_structure(structures[index]))

    def same(first: int, second: int) -> bool:
        if not _comparable(structures[first], energies[first], structures[second], energies[second]):
            return False
        return bool(_MATCHER.fit(reduced(first), reduced(second), skip_structure_reduction=True))

    groups: list[list[int]] = []
    for index in sorted(relaxed, key=lambda index: (energies[index], index)):
        twins = next((group for group in groups if same(index, group[0])), None)
        if twins is None:
            groups.append([index])
        else:
            twins.append(index)
    return groups


def _score(
    group: Sequence[int],
    facts: Sequence[CandidateFacts],
    energies: Sequence[float],
    confidence: float,
    settings: RankSettings,
) -> float:
    """Return what a distinct structure is ranked by, lowest first."""
    if settings.method == 'confidence':
        return -math.log(max(confidence, 1e-300))
    weight = settings.probability_weight if settings.method == 'energy_and_probability' else 0.0
    return min(energies[index] + weight * facts[index].cost for index in group)


def _place(
    rank: int,
    distinct: _Distinct,
    facts: Sequence[CandidateFacts],
    relaxations: Sequence[Relaxation],
    energies: Sequence[float],
) -> RankedCandidate:
    """Give a distinct structure its place."""
    shown = _representative(distinct.members, facts, relaxations, energies)
    relaxation = relaxations[shown]
    structure = relaxation.structure
    number, symbol = spacegroup_of(structure)
    return RankedCandidate(
        rank=rank,
        index=shown,
        score=distinct.score,
        confidence=distinct.confidence,
        energy_per_atom=relaxation.energy,
        formation_energy_per_atom=energies[shown],
        volume_per_atom=structure.volume / len(structure),
        spacegroup=number,
        spacegroup_symbol=symbol,
        duplicates=tuple(index for index in distinct.members if index != shown),
        features=distinct.features,
    )


def _representative(
    members: Sequence[int],
    facts: Sequence[CandidateFacts],
    relaxations: Sequence[Relaxation],
    energies: Sequence[float],
) -> int:
    """Return which of equal structures with nearly the lowest energy is shown.

    The most symmetric one: potentials put small distortions of it below or above it by chance. Then the smallest cell,
    and the candidate that was the most probable one before its relaxation.
    """
    lowest = min(energies[index] for index in members)
    near = [index for index in members if energies[index] <= lowest + _NO_DIFFERENCE]
    if len(near) == 1:
        return near[0]

    def preference(index: int) -> tuple[float, int, float, float, int]:
        structure = relaxations[index].structure
        return -_symmetry(structure), len(structure), facts[index].cost, energies[index], index

    return min(near, key=preference)


def _symmetry(structure: Structure) -> float:
    """Return the number of symmetry operations for each atom, the same for every cell of a crystal."""
    operations = symmetry_operations(structure, SYMMETRY_TOLERANCE)
    return 0.0 if operations is None else round(len(operations[0]) / len(structure), 6)
