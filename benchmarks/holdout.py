"""Predict crystals that no training file holds from their cell composition, and count how often the truth appears.

Runs the engine without AiiDA. The truth is read only to score, by the criterion of ``engine/metrics.py``; a failed
prediction is a miss. Beside the ranking of the protocol stand the best template as it is, and the pure energy ranking
of the paper.

    python benchmarks/holdout.py --data test.jsonl.gz --max-atoms 12 --limit 50 --json
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import random
import statistics
import time
from pathlib import Path

from pymatgen.core import Structure

from aiida_alphacrystal.engine import pipeline
from aiida_alphacrystal.engine.composition import formula_from_counts
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.metrics import STRICT_RMS, normalised_rms
from aiida_alphacrystal.engine.rank import rank_candidates
from aiida_alphacrystal.engine.relax import Potential, load_potential, resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings, RankSettings

TOPS = (1, 5, 20)
MISS = math.inf


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--max-atoms', type=int, default=12)
    parser.add_argument('--limit', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0, help='of the choice of entries')
    parser.add_argument('--potential', default='chgnet')
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    crystals = list(read_crystals(arguments.data, arguments.max_atoms))
    random.Random(arguments.seed).shuffle(crystals)
    models = pipeline.load_models()
    potential = load_potential(resolve_potential(arguments.potential).files)
    rows = []
    for crystal in crystals[: arguments.limit]:
        rows.append(score(crystal, models, potential))
        if not arguments.json:
            print(rows[-1], flush=True)
    print(json.dumps({'n': len(rows), 'potential': arguments.potential, **summarise(rows)}, indent=2))


def score(crystal: Crystal, models: pipeline.Models, potential: Potential) -> dict[str, object]:
    """Return at which rank the truth appears in each ranking."""
    formula = formula_from_counts(collections.Counter(crystal.species), fix_cell=True)
    settings = PredictionSettings(rank=RankSettings(top=20))
    started = time.monotonic()
    try:
        prediction = pipeline.predict(formula, models, potential, settings)
    except AlphaCrystalError as error:
        missed = dict.fromkeys(('ours', 'strict', 'energy', 'template'), MISS)
        return {'id': crystal.material_id, **missed, 'seconds': time.monotonic() - started, 'failure': str(error)}
    seconds = time.monotonic() - started
    truth = crystal.to_structure()
    candidates = prediction.reconstruction.candidates
    distances = [distance(relaxation.structure, truth) for relaxation in prediction.relaxations]
    costs = [candidate.cost for candidate in candidates]
    by_energy = rank_candidates(
        costs, prediction.relaxations, prediction.references, RankSettings(method='energy', top=20)
    )
    ours = [distances[place.index] for place in prediction.ranking]
    templates = [distance(entry.structure, truth) for entry in candidates if entry.source == 'template']
    return {
        'id': crystal.material_id,
        'ours': first_below(ours, MISS),
        'strict': first_below(ours, STRICT_RMS),
        'energy': first_below([distances[place.index] for place in by_energy], MISS),
        'template': first_below(templates, MISS),
        'seconds': seconds,
    }


def distance(structure: Structure, truth: Structure) -> float:
    """Return the normalised RMS distance of two structures, infinite where they do not match."""
    found = normalised_rms(structure, truth)
    return MISS if found is None else found


def first_below(distances: list[float], bound: float) -> float:
    """Return the first rank whose distance is below a bound, infinite where there is none."""
    return next((rank for rank, value in enumerate(distances, start=1) if value < bound), MISS)


def summarise(rows: list[dict[str, object]]) -> dict[str, object]:
    """Return match rates by ranking and the time per entry."""
    rates = {
        name: {str(top): round(sum(row[name] <= top for row in rows) / len(rows), 3) for top in TOPS}
        for name in ('ours', 'strict', 'energy', 'template')
    }
    seconds = [row['seconds'] for row in rows]
    return {'match_rate': rates, 'seconds': {'median': statistics.median(seconds), 'max': max(seconds)}}


if __name__ == '__main__':
    main()
