"""Score the distances that the network predicts, on the groups of the paper's Table 5.

Root mean square errors over the pairs of different atoms, with the atoms matched inside each element and in the order
of the file; pooled over all pairs, and as the mean and the median over crystals.

    python benchmarks/distances.py --data test.jsonl.gz --max-atoms 12 --json
"""

from __future__ import annotations

import argparse
import collections
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.network.scoring import score_distances

FIRST_CUBIC = 195

#: The groups of Table 5.
GROUPS: dict[str, Callable[[Crystal], bool]] = {
    'all': lambda crystal: crystal.natoms > 1,
    'cubic': lambda crystal: crystal.spacegroup is not None and crystal.spacegroup >= FIRST_CUBIC,
    'binary': lambda crystal: len(set(crystal.species)) == 2,
    'ternary': lambda crystal: len(set(crystal.species)) == 3,
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--max-atoms', type=int, default=12)
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    network = load_network()
    crystals = read_crystals(arguments.data, arguments.max_atoms)
    pairs = {crystal.material_id: predict(network, crystal) for crystal in crystals}
    result = {}
    for name, belongs in GROUPS.items():
        chosen = [(*pairs[crystal.material_id], crystal) for crystal in crystals if belongs(crystal)]
        predicted, true, members = zip(*chosen, strict=True)
        elements = [sorted_species(crystal) for crystal in members]
        in_order = score_distances(predicted, true, [list(range(len(species))) for species in elements])
        result[name] = {'matched': score_distances(predicted, true, elements), 'file_order': in_order}
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for name, scores in result.items():
        for kind, values in scores.items():
            print(name, kind, ' '.join(f'{key} {value:.3f}' for key, value in values.items()))


def sorted_species(crystal: Crystal) -> list[str]:
    """Return the elements in the order of the formula."""
    formula = crystal.formula
    return list(formula.species(formula.formula_units or 1))


def predict(network: object, crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected and the true distances of a crystal, equal elements side by side."""
    formula = crystal.formula
    units = formula.formula_units or 1
    prediction = predict_distances(network, featurize(formula, units, 20), formula.species(units))
    rows = collections.defaultdict(list)
    for row, symbol in enumerate(crystal.species):
        rows[symbol].append(row)
    order = [row for symbol in formula.elements for row in rows[symbol]]
    true = minimum_image_distances(crystal.lattice, crystal.frac_coords)
    return prediction.expectation, true[np.ix_(order, order)]


if __name__ == '__main__':
    main()
