"""Predict the crystals of Tables 3 and 4 of the AlphaCrystal-II paper and compare by its eight metrics.

Each is predicted from the content of its cell, with the engine and without AiiDA; the truth is read only to score. Of
every metric the value of the first structure and the best of the first ten are given, and the rank of the first match.

    python benchmarks/paper_cases.py --data paper.jsonl.gz --potential chgnet --json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from aiida_alphacrystal.engine import pipeline
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.metrics import Comparison, compare
from aiida_alphacrystal.engine.relax import Potential, load_potential, resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings, RankSettings

#: Metrics, and whether a larger value is the better one.
METRICS = {
    'superpose_distance': False,
    'energy_distance': False,
    'sinkhorn_distance': False,
    'fingerprint_distance': False,
    'ofm_distance': False,
    'wyckoff_mse': False,
    'wyckoff_rmse': False,
    'distance_map_overlap': True,
}
TOP = 10


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--potential', default='chgnet')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    models = pipeline.load_models()
    potential = load_potential(resolve_potential(arguments.potential).files)
    rows = []
    for crystal in read_crystals(arguments.data):
        rows.append(run(crystal, models, potential, arguments.seed))
        if not arguments.json:
            print(line(rows[-1]), flush=True)
    if arguments.json:
        print(json.dumps({'potential': potential.name, 'seed': arguments.seed, 'cases': rows}, indent=2))


def run(crystal: Crystal, models: pipeline.Models, potential: Potential, seed: int) -> dict[str, object]:
    """Predict one crystal and compare the first structures with it."""
    settings = PredictionSettings(rank=RankSettings(top=TOP))
    prediction = pipeline.predict(crystal.formula, models, potential, settings, seed)
    truth = crystal.to_structure()
    ranked = [prediction.relaxations[place.index].structure for place in prediction.ranking]
    comparisons = [compare(structure, truth, potential.energy_per_atom) for structure in ranked]
    return {
        'material_id': crystal.material_id,
        'formula': crystal.formula.label,
        'spacegroup': crystal.spacegroup,
        'rank': next((rank for rank, one in enumerate(comparisons, start=1) if one.match), None),
        'top_1': {name: getattr(comparisons[0], name) for name in METRICS},
        'top_10': {name: best(comparisons, name) for name in METRICS},
    }


def best(comparisons: list[Comparison], name: str) -> float | None:
    """Return the best value of a metric, None where no structure has one."""
    values = [value for comparison in comparisons if (value := getattr(comparison, name)) is not None]
    return (max if METRICS[name] else min)(values, default=None)


def line(row: dict[str, object]) -> str:
    """Return one row for a terminal."""
    values = ' '.join('     -' if value is None else f'{value:6.3f}' for value in row['top_10'].values())
    return f'{row["formula"]:14s} rank {row["rank"] or "-":>2}  {values}'


if __name__ == '__main__':
    main()
