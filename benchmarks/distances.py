"""Score predicted distances on the groups of the paper's Table 5, beside networks of the paper, or fit the mixture.

The scores are those of ``aiida-alphacrystal models evaluate distances``, for several networks of the paper at once.
With ``--fit``, the numbers of the mixture of network and templates (``engine/network/informed.py``) are fitted to the
likelihood of the distances of the crystals, which must be none of those to be reported on.

    python benchmarks/distances.py --data test.jsonl.gz --reference 20=n20/distances.safetensors --json
    python benchmarks/distances.py --data val.jsonl.gz --fit
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

from aiida_alphacrystal.cli.params import usable_cores
from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, load_reference, predict_distances
from aiida_alphacrystal.engine.network.evaluation import GROUPS, evaluate_distances, true_distances
from aiida_alphacrystal.engine.network.informed import Mixture, align_templates, inform
from aiida_alphacrystal.engine.network.scoring import score_distances
from aiida_alphacrystal.engine.reconstruct import load_library

#: Root mean square errors that the paper publishes, by group and number of bins, A.
PAPER = {
    ('all', '20'): 0.9239,
    ('all', '10'): 1.0984,
    ('all', '5'): 1.2269,
    ('cubic', '10'): 0.7394,
    ('binary', '10'): 1.3109,
    ('ternary', '10'): 1.2779,
}

#: Rules that decide when a template is trusted, tried by ``--fit``: least probability, and more for each angstrom.
TRUSTED, DOUBTS, PULLS = (0.1, 0.2, 0.3, 0.5), (0.0, 0.1, 0.15, 0.3), (0.0, 0.2, 0.4)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--max-atoms', type=int, default=12)
    parser.add_argument('--reference', action='append', default=[], metavar='BINS=FILE', help='a network of the paper')
    parser.add_argument('--jobs', type=int, default=usable_cores())
    parser.add_argument('--fit', action='store_true')
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    crystals = read_crystals(arguments.data, None if arguments.fit else arguments.max_atoms)
    if arguments.fit:
        print(json.dumps(fit(crystals, arguments.max_atoms), indent=2))
        return
    given = dict(text.split('=', 1) for text in arguments.reference) or {'20': None}
    network, library = load_network(), load_library()
    results = {}
    for bins, path in given.items():
        reference = load_reference(None if path is None else Path(path))
        results[bins] = evaluate_distances(network, reference, library, crystals, arguments.jobs)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for bins, scores in results.items():
        for group in GROUPS:
            theirs, ours = scores['groups'][group]['reference'], scores['groups'][group]['ours']
            published = PAPER.get((group, bins), '-')
            print(
                f'{group} N={bins} paper {published} reference {theirs["rmse_mean"]:.4f} ours {ours["rmse_mean"]:.4f}'
            )


def fit(crystals: tuple[Crystal, ...], max_atoms: int) -> dict[str, Any]:
    """Return the mixture of highest likelihood, and what each rule of trust gives with it."""
    network, library = load_network(), load_library()
    known = []
    for crystal in crystals:
        if crystal.natoms > 1:
            formula = crystal.formula
            units = formula.formula_units or 1
            rows = featurize(formula, units, crystal.natoms)
            said = predict_distances(network, rows, formula.species(units))
            known.append((align_templates(said, library, formula, units), true_distances(crystal)))
    mixture, loss = fit_mixture(known)
    small = [(templates, truth) for templates, truth in known if len(truth) <= max_atoms]
    rules = {}
    for trusted in TRUSTED:
        for doubt in DOUBTS:
            for pull in PULLS:
                rule = dataclasses.replace(mixture, trusted=trusted, doubt=doubt, pull=pull)
                estimates = [inform(templates, rule).estimate for templates, _ in small]
                species = [templates.network.species for templates, _ in small]
                scores = score_distances(estimates, [truth for _, truth in small], species)
                rules[f'{trusted} {doubt} {pull}'] = {name: round(value, 4) for name, value in scores.items()}
    return {'loss_per_pair': loss, 'mixture': dataclasses.asdict(mixture), 'rules': rules}


def fit_mixture(known: list[tuple[Any, np.ndarray]]) -> tuple[Mixture, float]:
    """Return the mixture under which the true distances are most likely; every crystal counts as much."""
    start = Mixture()
    scales = np.array(start.scales)
    template_densities, network_densities, chances, weights = [], [], [], []
    for templates, truth in known:
        order = match_atoms(truth, inform(templates, start).estimate, templates.network.species)
        pairs = np.triu_indices(len(truth))
        values = truth[np.ix_(order, order)][pairs]
        edges = templates.network.bin_edges
        place = np.clip(np.searchsorted(edges, values) - 1, 0, len(edges) - 2)
        inside = templates.network.probabilities[pairs][np.arange(len(values)), place]
        network_densities.append(inside / np.diff(edges)[place])
        density, chance = np.zeros((4, len(scales), len(values))), np.zeros((4, len(values)))
        for number, (matrix, probability) in enumerate(zip(templates.matrices, templates.probabilities, strict=True)):
            centre = matrix[pairs]
            density[number] = norm.pdf(values, centre, scales[:, None] * centre)
            chance[number] = probability
        template_densities.append(density)
        chances.append(chance)
        weights.append(np.full(len(values), 1 / len(values)))
    densities, chance = np.concatenate(template_densities, axis=2), np.concatenate(chances, axis=1)
    network, weight = np.concatenate(network_densities), np.concatenate(weights)

    def unpack(values: np.ndarray) -> tuple[float, float, np.ndarray]:
        shares = np.exp(np.append(values[2:], 0.0))
        return float(np.exp(values[0])), float(np.exp(values[1])), shares / shares.sum()

    def loss(values: np.ndarray) -> float:
        sharpness, factor, shares = unpack(values)
        powers = np.where(chance > 0.0, np.maximum(chance, 1e-9) ** sharpness, 0.0)
        left = factor * np.maximum(1.0 - chance.sum(axis=0), 1e-3)
        density = np.einsum('tp,tsp,s->p', powers, densities, shares) + left * network
        return float(-(weight * np.log(density / (powers.sum(axis=0) + left) + 1e-6)).sum() / weight.sum())

    first = np.array(
        [np.log(start.sharpness), np.log(start.network), *np.log(np.array(start.shares[:-1]) / start.shares[-1])]
    )
    found = minimize(loss, first, method='Nelder-Mead', options={'maxiter': 900, 'xatol': 0.01, 'fatol': 1e-5})
    sharpness, factor, shares = unpack(found.x)
    fitted = dataclasses.replace(start, sharpness=sharpness, network=factor, shares=tuple(shares.tolist()))
    return fitted, float(found.fun)


if __name__ == '__main__':
    main()
