"""One object that says how an evaluation went."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from aiida_alphacrystal.engine.evaluation.entries import EntryResult
from aiida_alphacrystal.engine.metrics import MATCH_TOLERANCE, expected_calibration_error

__all__ = ('TOPS', 'summarise')

TOPS = (1, 5, 10, 20)

#: Energy above the hull (eV/atom) up to which a crystal counts as stable; the hull is not known better.
_STABLE = 0.005

Rank = Callable[[EntryResult], int | None]


def summarise(results: Sequence[EntryResult]) -> dict[str, Any]:
    """Return the scores of an evaluation; rates are fractions, None where there is no entry to count.

    - ``match_rate``: entries with a match among the first 1, 5, 10 and 20 structures; ``match_rate_strict`` with a
      displacement below ``STRICT_RMS``; ``match_rate_valid`` where both crystals pass the validity filter, of all
      entries, as in the published benchmarks, so that ``valid_entries`` is the most that it can be.
    - ``rmse``: mean displacement of the first structures that match, and of the best match among the first 20;
      ``rmse_median`` the same as a median; ``crmse`` as a mean in which a miss counts as the tolerance of the matcher.
    - ``stable``: the entries within ``max_above_hull`` (eV/atom) of the hull; a metastable crystal is rightly not the
      one of lowest energy.
    - ``new_prototypes``: the entries that no template of their stoichiometry matches.
    - ``chance``: the same structures in random order, which is what the ranking is to beat.
    - ``template_baseline``: the nearest templates as they are.
    - ``energy_ranking``: the same structures by energy alone, as in the paper; None where nothing was relaxed.
    - ``calibration_error``: expected calibration error of the confidence of the first structures; None where nothing
      was relaxed.

    :param results: of all entries.
    """
    stable = [result for result in results if result.above_hull is not None and result.above_hull <= _STABLE]
    new = [result for result in results if result.template_rank is None]
    relaxed = any(result.energy_rank is not None for result in results)
    seconds = [result.seconds for result in results]
    return {
        'n': len(results),
        'match_rate': _rates(results, lambda result: result.rank),
        'match_rate_strict': _rates(results, lambda result: result.strict_rank),
        'match_rate_valid': _rates(results, lambda result: result.valid_rank),
        'valid_entries': _mean([float(result.valid) for result in results]),
        **_displacements(results),
        'stable': {
            'n': len(stable),
            'max_above_hull': _STABLE,
            'match_rate': _rates(stable, lambda result: result.rank),
        },
        'new_prototypes': {'n': len(new), 'match_rate': _rates(new, lambda result: result.rank)},
        'chance': {str(top): _mean([_chance(result, top) for result in results]) for top in TOPS},
        'template_baseline': _rates(results, lambda result: result.template_rank),
        'energy_ranking': _rates(results, lambda result: result.energy_rank) if relaxed else None,
        'calibration_error': _calibration_error(results),
        'seconds_per_entry': {'median': statistics.median(seconds), 'p95': _quantile(seconds, 0.95)},
        'scoring_seconds': math.fsum(result.scoring_seconds for result in results),
        'predicting_seconds': math.fsum(seconds),
        'peak_memory_mib': max(result.peak_memory_mib for result in results),
        'failures': [
            {'material_id': result.material_id, 'reason': result.reason}
            for result in results
            if result.reason is not None
        ],
    }


def _rates(results: Sequence[EntryResult], rank: Rank) -> dict[str, float | None]:
    """Return the share of entries whose rank is among the first."""
    ranks = [rank(result) or math.inf for result in results]
    return {str(top): _mean([float(place <= top) for place in ranks]) for top in TOPS}


def _displacements(results: Sequence[EntryResult]) -> dict[str, dict[str, float | None]]:
    """Return mean and median displacements of what matches, and the mean in which misses count."""
    found = {'1': [result.rms_1 for result in results], '20': [result.rms_20 for result in results]}
    matched = {top: [rms for rms in values if rms is not None] for top, values in found.items()}
    return {
        'rmse': {top: _mean(values) for top, values in matched.items()},
        'rmse_median': {top: statistics.median(values) if values else None for top, values in matched.items()},
        'crmse': {
            top: _mean([MATCH_TOLERANCE if rms is None else rms for rms in values]) for top, values in found.items()
        },
    }


def _calibration_error(results: Sequence[EntryResult]) -> float | None:
    """Return how far the confidence of the first structures is from how often they match."""
    stated = [(result.confidence, result.rank == 1) for result in results if result.confidence is not None]
    if not stated:
        return None
    return expected_calibration_error([confidence for confidence, _ in stated], [right for _, right in stated])


def _chance(result: EntryResult, top: int) -> float:
    """Return how often one of the first structures matches if they stand in random order."""
    others, drawn = result.structures - result.matching, min(top, result.structures)
    if not result.matching:
        return 0.0
    return 1.0 - math.comb(others, drawn) / math.comb(result.structures, drawn)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is not below a share of all."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]
