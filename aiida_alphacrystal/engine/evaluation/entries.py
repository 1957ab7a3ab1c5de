"""Predict one known crystal from the content of its cell, and score the answer."""

from __future__ import annotations

import dataclasses
import itertools
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.candidate_sources import NEAREST, RANDOM
from aiida_alphacrystal.engine.errors import AlphaCrystalError, one_sentence
from aiida_alphacrystal.engine.evaluation.plan import LONGEST
from aiida_alphacrystal.engine.metrics import STRICT_RMS, first_match, normalised_rms
from aiida_alphacrystal.engine.metrics.validity import composition_is_valid, geometry_is_valid
from aiida_alphacrystal.engine.pipeline import Models, generate, relax_and_rank
from aiida_alphacrystal.engine.reconstruct.random_crystals import random_candidates
from aiida_alphacrystal.engine.reconstruct.templates import same_stoichiometry

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.evaluation.plan import Plan
    from aiida_alphacrystal.engine.rank import RankedCandidate
    from aiida_alphacrystal.engine.reconstruct import Candidate
    from aiida_alphacrystal.engine.relax import Potential

__all__ = ('COLUMNS', 'EntryResult', 'answer', 'failed', 'read_result')

#: What depends on the machine and its load.
_MEASURED = frozenset({'seconds', 'scoring_seconds', 'peak_memory_mib'})

#: What is too much for a table.
_LONG = frozenset({'features', 'matches'})

#: Digits after the point that displacements are kept with.
_DIGITS = 6


@dataclasses.dataclass(frozen=True)
class EntryResult:
    """How the prediction of one known crystal compares with it.

    A rank is the place of the first structure that matches, from 1, None where none of them does; displacements are
    normalised root mean squares.

    :param index: place of the entry in the evaluation, from 0.
    :param material_id: its name.
    :param formula: content of its cell.
    :param natoms: atoms in its cell.
    :param above_hull: its energy above the hull, eV/atom; None where the data do not say.
    :param structures: distinct structures that were ranked.
    :param matching: how many of them match.
    :param rank: in the ranking.
    :param rms: displacement of the structure at that rank.
    :param rms_1: displacement of the first structure, None where it does not match.
    :param rms_20: smallest displacement among the first 20.
    :param strict_rank: in the ranking, counting displacements below ``STRICT_RMS`` only.
    :param valid_rank: in the ranking, counting what passes the validity filter of the published benchmarks only.
    :param valid: whether the known crystal itself passes that filter.
    :param energy_rank: in the ranking by energy alone; None where nothing was relaxed, too.
    :param template_rank: among the nearest templates as they are; None marks a new prototype.
    :param source: where the structure at ``rank`` came from.
    :param origin: how it was made.
    :param seconds: time of the prediction.
    :param scoring_seconds: time of the comparison with the known crystal.
    :param peak_memory_mib: most memory that the process has held so far.
    :param features: of every ranked structure, what its confidence follows from; empty where nothing was relaxed.
    :param matches: whether each of them matches.
    :param confidence: of the first structure; None where nothing was relaxed.
    :param reason: why there is no structure, None where there is one.
    """

    index: int
    material_id: str
    formula: str
    natoms: int
    above_hull: float | None = None
    structures: int = 0
    matching: int = 0
    rank: int | None = None
    rms: float | None = None
    rms_1: float | None = None
    rms_20: float | None = None
    strict_rank: int | None = None
    valid_rank: int | None = None
    valid: bool = False
    energy_rank: int | None = None
    template_rank: int | None = None
    source: str | None = None
    origin: str | None = None
    confidence: float | None = None
    reason: str | None = None
    features: tuple[tuple[float, ...], ...] = ()
    matches: tuple[bool, ...] = ()
    seconds: float = 0.0
    scoring_seconds: float = 0.0
    peak_memory_mib: float = 0.0


def read_result(row: Mapping[str, Any]) -> EntryResult:
    """Return a result from the values that JSON has kept of it.

    :param row: as ``dataclasses.asdict`` gives it.
    :raises TypeError: if it is no result.
    """
    result = EntryResult(**row)
    described = tuple(tuple(values) for values in result.features)
    return dataclasses.replace(result, features=described, matches=tuple(result.matches))


#: What depends on the inputs alone: the columns of the table of entries.
COLUMNS = tuple(field.name for field in dataclasses.fields(EntryResult) if field.name not in _MEASURED | _LONG)


@dataclasses.dataclass(frozen=True)
class _Answer:
    """The ranking of one entry.

    :param candidates: what the structures came from, best first.
    :param structures: the structures, in the same order.
    :param energies: lowest formation energy of each distinct structure, eV/atom; None where nothing was relaxed.
    :param ranking: the places of the structures; empty where nothing was relaxed.
    """

    candidates: tuple[Candidate, ...]
    structures: tuple[Structure, ...]
    energies: tuple[float, ...] | None = None
    ranking: tuple[RankedCandidate, ...] = ()


def answer(index: int, crystal: Crystal, plan: Plan, models: Models, potential: Potential | None) -> EntryResult:
    """Predict a known crystal from the content of its cell and score the prediction.

    Whatever goes wrong in the prediction becomes the reason of a miss.

    :param index: place of the entry in the evaluation.
    :param crystal: the known crystal, whose structure is read only to score.
    :param plan: what is evaluated.
    :param models: trained weights.
    :param potential: of the plan, ready for use.
    """
    begin = time.perf_counter()
    reason, given = None, _Answer((), ())
    try:
        given = _predict(crystal, plan, models, potential)
    except AlphaCrystalError as error:
        reason = str(error)
    except Exception as error:  # one entry must not end an evaluation of hours
        reason = f'Something unforeseen happened ({type(error).__name__}: {one_sentence(error)}).'
    predicted = time.perf_counter()
    scores = _score(crystal.to_structure(), given, _nearest(crystal, models))
    scored = time.perf_counter()
    return EntryResult(
        index=index,
        material_id=crystal.material_id,
        formula=crystal.formula.label,
        natoms=crystal.natoms,
        above_hull=crystal.e_above_hull,
        reason=reason,
        seconds=round(predicted - begin, 3),
        scoring_seconds=round(scored - predicted, 3),
        peak_memory_mib=round(_peak_memory(), 1),
        **scores,
    )


def failed(index: int, crystal: Crystal, reason: str) -> EntryResult:
    """Return the result of an entry that could not even be scored.

    :param index: place of the entry in the evaluation.
    :param crystal: the known crystal.
    :param reason: one sentence.
    """
    return EntryResult(
        index, crystal.material_id, crystal.formula.label, crystal.natoms, crystal.e_above_hull, reason=reason
    )


def _predict(crystal: Crystal, plan: Plan, models: Models, potential: Potential | None) -> _Answer:
    """Make, relax and rank the candidates of one entry."""
    formula, settings = crystal.formula, plan.effective_settings
    if plan.control == NEAREST:
        nearest = tuple(itertools.islice(_nearest(crystal, models), LONGEST))
        return _Answer((), nearest)
    if potential is not None:
        potential.check_elements(frozenset(formula.elements))
    if plan.control == RANDOM:
        candidates = random_candidates(formula, formula.formula_units or 1, LONGEST, plan.seed)
    else:
        candidates = generate(formula, models, settings, plan.seed).reconstruction.candidates
    if potential is None:
        return _Answer(candidates, tuple(candidate.structure for candidate in candidates))
    relaxations, _, ranking = relax_and_rank(formula, candidates, potential, settings)
    return _Answer(
        candidates=tuple(candidates[place.index] for place in ranking),
        structures=tuple(relaxations[place.index].structure for place in ranking),
        energies=tuple(
            min(relaxations[index].energy for index in (place.index, *place.duplicates)) for place in ranking
        ),
        ranking=ranking,
    )


def _nearest(crystal: Crystal, models: Models) -> Iterator[Structure]:
    """Yield the templates with the stoichiometry of a crystal, nearest first; none where an element is unknown."""
    try:
        yield from same_stoichiometry(models.templates, crystal.formula, crystal.natoms)
    except AlphaCrystalError:
        return


def _score(truth: Structure, given: _Answer, nearest: Iterable[Structure]) -> dict[str, Any]:
    """Compare a ranking with the known crystal."""
    distances = [normalised_rms(structure, truth) for structure in given.structures]
    rank = _first(distances)
    valid = composition_is_valid(truth.composition) and geometry_is_valid(truth)
    passed = [
        distance if distance is not None and valid and geometry_is_valid(structure) else None
        for distance, structure in zip(distances, given.structures, strict=True)
    ]
    origin = given.candidates[rank - 1] if rank is not None and given.candidates else None
    return {
        'structures': len(distances),
        'matching': sum(distance is not None for distance in distances),
        'rank': rank,
        'rms': None if rank is None else _rounded(distances[rank - 1]),
        'rms_1': _rounded(distances[0]) if distances else None,
        'rms_20': _rounded(min((rms for rms in distances[:LONGEST] if rms is not None), default=None)),
        'strict_rank': _first([rms if rms is not None and rms < STRICT_RMS else None for rms in distances]),
        'valid_rank': _first(passed),
        'valid': valid,
        'energy_rank': _first(_by_energy(distances, given.energies)),
        'template_rank': first_match(nearest, truth),
        'source': None if origin is None else origin.source,
        'origin': None if origin is None else origin.origin,
        'confidence': given.ranking[0].confidence if given.ranking else None,
        'features': tuple(tuple(_rounded(value) for value in place.features) for place in given.ranking),
        'matches': tuple(distance is not None for distance in distances) if given.ranking else (),
    }


def _by_energy(distances: Sequence[float | None], energies: Sequence[float] | None) -> list[float | None]:
    """Return the distances in the order of the energies; none where there are no energies."""
    if energies is None:
        return []
    order = sorted(range(len(distances)), key=lambda place: (energies[place], place))
    return [distances[place] for place in order]


def _first(distances: Sequence[float | None]) -> int | None:
    """Return the first rank, from 1, at which there is a distance."""
    return next((rank for rank, distance in enumerate(distances, start=1) if distance is not None), None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _peak_memory() -> float:
    """Return the most memory that this process has held, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)
