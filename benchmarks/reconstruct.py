"""How often the genetic algorithm rebuilds known crystals from their own distances, space group and lattice.

Prints JSON. ``strict`` counts matches whose normalised RMS displacement is below 0.1; ``chance`` is one random crystal
of the same space group, lattice and content whose atoms do not clash.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Structure

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.distances import DistancePrediction, fine_bins, minimum_image_distances
from aiida_alphacrystal.engine.metrics import STRICT_RMS, normalised_rms
from aiida_alphacrystal.engine.reconstruct.fitness import CLASH_FRACTION, closest_contact
from aiida_alphacrystal.engine.reconstruct.genetic import genetic_candidates
from aiida_alphacrystal.engine.reconstruct.wyckoff import build_structure, enumerate_assignments, space_group
from aiida_alphacrystal.engine.settings import GeneticSettings


def read_cases(path: Path, limit: int, min_atoms: int, max_atoms: int) -> list[dict[str, Any]]:
    """Read evenly spaced structures that have at least one free coordinate."""
    crystals = (crystal for crystal in read_crystals(path, max_atoms) if crystal.natoms >= min_atoms)
    cases = [case for crystal in crystals if (case := describe(crystal)) is not None]
    if len(cases) <= limit:
        return cases
    return [cases[int(place)] for place in np.linspace(0, len(cases) - 1, limit)]


def describe(crystal: Crystal) -> dict[str, Any] | None:
    """Return the truth about one structure, None where it leaves nothing to find or is no primitive cell."""
    structure = crystal.to_structure()
    cell = (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure])
    dataset = spglib.get_symmetry_dataset(cell, symprec=0.1)
    if dataset is None or len(set(dataset.mapping_to_primitive)) < len(structure):
        return None
    group = space_group(dataset.number)
    orbits = set(zip(dataset.crystallographic_orbits.tolist(), dataset.wyckoffs, strict=True))
    freedom = sum(group.position(letter).freedom for _, letter in orbits)
    if freedom == 0:
        return None
    formula = crystal.formula
    ordered = Structure.from_sites(sorted(structure, key=lambda site: formula.elements.index(site.specie.symbol)))
    lattice = Structure(dataset.std_lattice, ['H'], [[0, 0, 0]]).lattice.parameters
    return {
        'id': crystal.material_id,
        'structure': ordered,
        'formula': formula,
        'freedom': freedom,
        'cell': CellHypothesis(dataset.number, formula.formula_units or 1, lattice, 1.0),
    }


def prediction(structure: Structure, sigma: float, rng: np.random.Generator) -> DistancePrediction:
    """Return distributions around the true distances, moved by noise of their own width."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    noise = np.triu(rng.normal(0.0, sigma, distances.shape)) if sigma else np.zeros_like(distances)
    centre = np.maximum(distances + noise + np.triu(noise, 1).T, 0.5)
    edges = fine_bins()
    if not sigma:
        place = np.clip(np.searchsorted(edges, centre) - 1, 0, len(edges) - 2)
        probabilities = np.eye(len(edges) - 1)[place]
    else:
        from scipy.special import ndtr

        probabilities = np.diff(ndtr((edges - centre[..., None]) / sigma), axis=-1) + 1e-9
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return DistancePrediction(tuple(site.specie.symbol for site in structure), edges, probabilities)


def grade(truth: Structure, candidates: list[Structure]) -> dict[str, bool]:
    """Compare candidates with the truth."""
    found = [normalised_rms(candidate, truth) for candidate in candidates]
    match = [rms is not None for rms in found]
    strict = [rms is not None and rms < STRICT_RMS for rms in found]
    return {
        'top1': any(match[:1]), 'top20': any(match), 'strict_top1': any(strict[:1]), 'strict_top20': any(strict)
    }  # fmt: skip


def random_crystal(case: dict[str, Any], rng: np.random.Generator) -> Structure:
    """Return a random crystal of the same cell and content; after 200 attempts atoms may clash."""
    cell, formula = case['cell'], case['formula']
    counts = dict(zip(formula.elements, (n * cell.formula_units for n in formula.counts), strict=True))
    assignments = enumerate_assignments(cell.spacegroup, counts, 500, parameters=cell.lattice)
    for _ in range(200):
        assignment = assignments[rng.integers(len(assignments))]
        structure = build_structure(cell.spacegroup, cell.lattice, assignment, rng.random(assignment.freedom))
        distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
        if closest_contact(distances, [site.specie.symbol for site in structure]) >= CLASH_FRACTION:
            break
    return structure


def measure(cases: list[dict[str, Any]], sigma: float, settings: GeneticSettings, verbose: bool) -> dict[str, float]:
    """Rebuild every case and return the shares solved and the times."""
    grades, seconds = [], []
    for number, case in enumerate(cases):
        predicted = prediction(case['structure'], sigma, np.random.default_rng((0, number)))
        start = time.process_time()
        cell = case['cell']
        result = genetic_candidates(case['formula'], [cell], {cell.formula_units: predicted}, settings, seed=0)
        seconds.append(time.process_time() - start)
        grades.append(grade(case['structure'], [candidate.structure for candidate in result.candidates]))
        if verbose:
            best = result.candidates[0] if result.candidates else None
            print(
                case['id'], case['formula'].label, cell.spacegroup, case['freedom'], grades[-1], f'{seconds[-1]:.1f} s',
                best and (round(best.fitness or 0.0, 3), best.origin), flush=True,
            )  # fmt: skip
    summary = {key: float(np.mean([row[key] for row in grades])) for key in grades[0]}
    return {**summary, 'seconds_mean': float(np.mean(seconds)), 'seconds_max': float(np.max(seconds))}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='JSON lines of crystals, gzipped')
    parser.add_argument('--limit', type=int, default=40, help='number of crystals')
    parser.add_argument('--min-atoms', type=int, default=2)
    parser.add_argument('--max-atoms', type=int, default=20)
    parser.add_argument('--sigma', type=float, nargs='*', default=[0.0, 0.3, 0.6], help='noise of the distances, A')
    parser.add_argument('--set', nargs='*', default=[], help='settings of the genetic algorithm, such as population=64')
    parser.add_argument('--verbose', action='store_true')
    arguments = parser.parse_args()
    warnings.simplefilter('ignore')
    given = dict(text.split('=') for text in arguments.set)
    kinds = {key: type(value) for key, value in vars(GeneticSettings()).items()}
    settings = GeneticSettings(**{'max_candidates': 20, **{key: kinds[key](value) for key, value in given.items()}})
    cases = read_cases(arguments.data, arguments.limit, arguments.min_atoms, arguments.max_atoms)
    chance = [
        grade(case['structure'], [random_crystal(case, np.random.default_rng((1, number)))])
        for number, case in enumerate(cases)
    ]
    table: dict[str, Any] = {'n': len(cases)}
    for sigma in arguments.sigma:
        table[f'noise_{sigma:g}' if sigma else 'true'] = measure(cases, sigma, settings, arguments.verbose)
    table['chance'] = {key: float(np.mean([row[key] for row in chance])) for key in ('top1', 'strict_top1')}
    print(json.dumps(table, indent=1))


if __name__ == '__main__':
    main()
