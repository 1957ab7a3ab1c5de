"""How often the search rebuilds known crystals from their own distances, space group and lattice, and how fast.

Prints JSON. The conditions: ``true`` distances, space group and lattice; distances with Gaussian noise of 0.3 A and all
lattice lengths 5 % off; noise of 0.6 A; ``end_to_end``, where the distances are those of the network and the five most
probable cells of stage 3 are searched. ``strict`` counts matches whose normalised RMS displacement is below 0.1;
``chance`` is one random crystal of the true space group, lattice and content whose atoms do not clash. ``speed_ratio``
is the number of fitness evaluations a second over that of writing a CIF, parsing it and computing its distances, for
crystals of 4, 8 and 12 atoms.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import spglib
import torch
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter
from scipy.special import ndtr

from aiida_alphacrystal.engine.cells import TemplateVotes, load_cell_model, predict_cells
from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.distances import DistancePrediction, minimum_image_distances
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.metrics import STRICT_RMS, normalised_rms
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.reconstruct import load_library
from aiida_alphacrystal.engine.reconstruct.contacts import CLASH_FRACTION, closest_contact
from aiida_alphacrystal.engine.reconstruct.landscape import Landscape
from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood
from aiida_alphacrystal.engine.reconstruct.minimum_image import reduced_lattice
from aiida_alphacrystal.engine.reconstruct.search import search_crystals
from aiida_alphacrystal.engine.reconstruct.wyckoff import (
    build_structure,
    conventional_lattice,
    enumerate_assignments,
    primitive_lattice,
    space_group,
)
from aiida_alphacrystal.engine.settings import CellSettings, SearchSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida_alphacrystal.engine.composition import Formula

    Cells = tuple[list[CellHypothesis], dict[int, DistancePrediction]]

#: Bins of the distances that a case is given, A: fine, since these are no predictions.
EDGES = np.linspace(0.0, 24.0, 481)
SHARPEST = 0.05
CONDITIONS = ('true', 'noise_0.3', 'noise_0.6', 'end_to_end')
#: What suits distances that are known, beside the defaults, which suit those of the networks; with noise a search needs
#: more work, since nothing tells when it is done.
KNOWN = {'exchanges': True, 'rivals': True}
NOISY = {**KNOWN, 'evaluations': 800_000}
USUAL = {'true': KNOWN, 'noise_0.3': NOISY, 'noise_0.6': NOISY, 'end_to_end': {}}


def read_cases(path: Path, limit: int, min_atoms: int, max_atoms: int) -> list[dict[str, Any]]:
    """Read evenly spaced structures that have at least two free coordinates, or one where two are too few."""
    crystals = (crystal for crystal in read_crystals(path, max_atoms) if crystal.natoms >= min_atoms)
    cases = [case for crystal in crystals if (case := describe(crystal)) is not None]
    free = [case for case in cases if case['freedom'] >= 2]
    cases = free if len(free) >= limit else cases
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
    """Return normal distributions around the true distances, moved by noise of their own width."""
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    noise = np.triu(rng.normal(0.0, sigma, distances.shape)) if sigma else np.zeros_like(distances)
    centre = np.maximum(distances + noise + np.triu(noise, 1).T, 0.5)
    probabilities = np.diff(ndtr((EDGES - centre[..., None]) / max(sigma, SHARPEST)), axis=-1) + 1e-9
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return DistancePrediction(tuple(site.specie.symbol for site in structure), EDGES, probabilities)


def off(cell: CellHypothesis, share: float, rng: np.random.Generator) -> CellHypothesis:
    """Make every lattice length too long or too short by a share."""
    lengths = np.array(cell.lattice[:3]) * (1.0 + share * rng.choice([-1.0, 1.0], 3))
    lattice = conventional_lattice(cell.spacegroup, (*lengths, *cell.lattice[3:]))
    return dataclasses.replace(cell, lattice=tuple(Lattice(lattice).parameters))


def given(condition: str) -> Callable[[dict[str, Any], int], Cells]:
    """Return what makes the cells and distances of a case under one condition."""
    if condition == 'end_to_end':
        return predicted()
    sigma = {'true': 0.0, 'noise_0.3': 0.3, 'noise_0.6': 0.6}[condition]

    def make(case: dict[str, Any], number: int) -> Cells:
        cell: CellHypothesis = case['cell']
        distances = prediction(case['structure'], sigma, np.random.default_rng((0, number)))
        if condition == 'noise_0.3':
            cell = off(cell, 0.05, np.random.default_rng((2, number)))
        return [cell], {cell.formula_units: distances}

    return make


def predicted() -> Callable[[dict[str, Any], int], Cells]:
    """Return what predicts the five most probable cells and their distances from the content of the cell."""
    cell_model, network, voters = load_cell_model(), load_network(), TemplateVotes(load_library())

    def make(case: dict[str, Any], _: int) -> Cells:
        formula: Formula = case['formula']
        natoms = len(case['structure'])
        cells = list(predict_cells(cell_model, formula, CellSettings(max_hypotheses=5), natoms, voters))
        units = {cell.formula_units for cell in cells}
        return cells, {
            unit: predict_distances(network, featurize(formula, unit, natoms), formula.species(unit)) for unit in units
        }

    return make


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


def measure(cases: list[dict[str, Any]], condition: str, settings: SearchSettings, verbose: bool) -> dict[str, float]:
    """Rebuild every case and return the shares solved and the times."""
    make, statistics = given(condition), load_library().pair_statistics
    grades, seconds = [], []
    for number, case in enumerate(cases):
        cells, distances = make(case, number)
        start = time.process_time()
        result = search_crystals(case['formula'], cells, distances, settings, 0, statistics)
        seconds.append(time.process_time() - start)
        grades.append(grade(case['structure'], [candidate.structure for candidate in result.candidates]))
        if verbose:
            best = result.candidates[0] if result.candidates else None
            print(
                case['id'], case['formula'].label, case['cell'].spacegroup, case['freedom'], grades[-1],
                f'{seconds[-1]:.2f} s', best and (round(best.fitness or 0.0, 3), best.origin), flush=True,
            )  # fmt: skip
    summary = {key: float(np.mean([row[key] for row in grades])) for key in grades[0]}
    return {**summary, 'seconds_mean': float(np.mean(seconds)), 'seconds_max': float(np.max(seconds))}


def speed_ratio(atoms: int) -> float:
    """Return how many times faster crystals are judged than by a CIF written, parsed and measured for each."""
    counts = {'Ti': 4, 'O': atoms - 4} if atoms > 4 else {'Ti': 4}
    assignment = enumerate_assignments(14, counts)[-1]
    parameters = (5.1, 6.2, 7.3, 90.0, 101.0, 90.0)
    group, lattice = space_group(14), reduced_lattice(primitive_lattice(14, parameters))
    free = np.random.default_rng(0).random((20, assignment.freedom))
    structures = [build_structure(14, parameters, assignment, row) for row in free]
    expected = minimum_image_distances(structures[0].lattice.matrix, structures[0].frac_coords)
    start = time.process_time()
    for structure in structures:
        parsed = CifParser.from_str(str(CifWriter(structure))).parse_structures(primitive=False)[0]
        np.abs(np.asarray(parsed.distance_matrix) - expected).mean()
    slow = (time.process_time() - start) / len(structures)
    device = torch.device('cpu')
    landscape = Landscape(group, [assignment], lattice, device)
    likelihood = DistanceLikelihood(prediction(structures[0], 0.0, np.random.default_rng(0)), 0.1, device)
    genes = landscape.draw((1, 20_000), torch.Generator().manual_seed(0))
    owner = torch.zeros(1, dtype=torch.int64)
    landscape.evaluate(likelihood, owner, genes[:, :1000])
    start = time.process_time()
    landscape.evaluate(likelihood, owner, genes)
    return slow / ((time.process_time() - start) / genes.shape[1])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='JSON lines of crystals, gzipped')
    parser.add_argument('--limit', type=int, default=120, help='number of crystals')
    parser.add_argument('--min-atoms', type=int, default=2)
    parser.add_argument('--max-atoms', type=int, default=20)
    parser.add_argument('--conditions', nargs='*', choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument('--set', nargs='*', default=[], help='settings of the search, such as method=genetic')
    parser.add_argument('--json', action='store_true', help='print nothing but JSON')
    arguments = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    changes = dict(text.split('=') for text in arguments.set)
    kinds = {key: type(value) for key, value in vars(SearchSettings()).items()}
    given_settings = {'max_candidates': 20, **{key: kinds[key](value) for key, value in changes.items()}}
    cases = read_cases(arguments.data, arguments.limit, arguments.min_atoms, arguments.max_atoms)
    chance = [
        grade(case['structure'], [random_crystal(case, np.random.default_rng((1, number)))])
        for number, case in enumerate(cases)
    ]
    table: dict[str, Any] = {'n': len(cases)}
    for condition in arguments.conditions:
        table[condition] = measure(
            cases, condition, SearchSettings(**{**USUAL[condition], **given_settings}), not arguments.json
        )
    table['chance'] = {key: float(np.mean([row[key] for row in chance])) for key in ('top1', 'strict_top1')}
    table['speed_ratio'] = {str(atoms): speed_ratio(atoms) for atoms in (4, 8, 12)}
    print(json.dumps(table, indent=1))


if __name__ == '__main__':
    main()
