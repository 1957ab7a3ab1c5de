"""Relax candidates with our batched methods and one by one with ASE.

The candidates are distorted known crystals or what the templates propose for the formulas of known crystals. Every
route relaxes the same ones to the same tolerance: ``keep``, ``free`` and ``then_free`` are settings of our symmetry,
``bayesian`` is our Gaussian-process route, ``fire`` and ``bfgs`` are those of ASE in its FrechetCellFilter, which keep
the symmetry with FixSymmetry unless ``--ase-free`` is given. Prints one JSON object: seconds (also those of the
processor, where the machine is shared) and evaluations per candidate of each route, how its energies differ from those
of the first route, and the time that is spent outside the potential over that inside.

    python benchmarks/relaxation.py ../shared/data/val.jsonl.gz --starts templates --count 40 --routes keep free
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from aiida_alphacrystal.engine.composition import formula_from_counts
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.reconstruct import load_library
from aiida_alphacrystal.engine.reconstruct.templates import propose
from aiida_alphacrystal.engine.relax import (
    Evaluation,
    Potential,
    load_potential,
    relax_structures,
    resolve_potential,
)
from aiida_alphacrystal.engine.relax.base import AtomArrays
from aiida_alphacrystal.engine.relax.symmetrise import KEPT_TOLERANCE, symmetric_freedom
from aiida_alphacrystal.engine.settings import RelaxSettings, TemplateSettings
from aiida_alphacrystal.engine.threads import one_thread

OURS = {
    'keep': {'symmetry': 'keep'},
    'free': {'symmetry': 'free'},
    'then_free': {'symmetry': 'then_free'},
    'bayesian': {'method': 'bayesian'},
}
ASE = {'fire': FIRE, 'bfgs': BFGS}


class AsePotential(Calculator):  # type: ignore[misc]
    """Our potential as a calculator of ASE."""

    implemented_properties = ('energy', 'forces', 'stress')

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Sequence[str] = tuple(all_changes)
    ) -> None:
        """Evaluate one crystal."""
        super().calculate(atoms, properties, system_changes)
        crystal = AtomArrays(atoms.numbers.astype(np.int64), atoms.cell[:], atoms.positions)
        evaluation = self.potential.evaluate_crystals([crystal])
        self.results = {
            'energy': evaluation.energies[0],
            'forces': evaluation.forces[0],
            'stress': evaluation.stresses[0][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


@dataclasses.dataclass
class Meter:
    """What the potential was asked, and how long it took to answer."""

    seconds: float = 0.0
    evaluations: int = 0

    def watch(self, potential: Potential) -> None:
        """Count what a potential is asked from now on."""
        evaluate: Callable[..., Evaluation] = type(potential).evaluate_crystals.__get__(potential)

        def timed(crystals: Sequence[AtomArrays]) -> Evaluation:
            begin = time.perf_counter()
            result = evaluate(crystals)
            self.seconds += time.perf_counter() - begin
            self.evaluations += len(crystals)
            return result

        potential.evaluate_crystals = timed  # type: ignore[method-assign]


def distorted(crystals: Sequence[Crystal], displacement: float, strain: float, seed: int) -> Iterator[Structure]:
    """Strain the cells and move the atoms of known crystals."""
    rng = np.random.default_rng(seed)
    for crystal in crystals:
        tensor = rng.normal(0, strain, (3, 3))
        matrix = crystal.lattice @ (np.eye(3) + 0.5 * (tensor + tensor.T))
        positions = crystal.frac_coords @ matrix
        positions += rng.normal(0, displacement, positions.shape)
        yield Structure(matrix, list(crystal.species), positions, coords_are_cartesian=True)


def proposed(crystals: Sequence[Crystal], each: int) -> Iterator[Structure]:
    """Propose templates for the cell contents of known crystals."""
    library = load_library()
    for crystal in crystals:
        formula = formula_from_counts(Counter(crystal.species), max_atoms=64, fix_cell=True)
        for candidate in propose(library, formula, TemplateSettings(max_candidates=each), 64):
            yield candidate.structure


def relax(
    route: str, potential: Potential, starts: Sequence[Structure], settings: RelaxSettings, *, ase_free: bool
) -> dict[str, Any]:
    """Relax all candidates by one route and return what it cost and where it ended."""
    meter = Meter()
    meter.watch(potential)
    begin, cpu = time.perf_counter(), time.process_time()
    if route in OURS:
        relaxations = relax_structures(starts, potential, dataclasses.replace(settings, **OURS[route]))
        ends = [(one.energy, one.converged) for one in relaxations]
        steps = [one.steps for one in relaxations]
    else:
        steps = None
        with one_thread():
            ends = [relax_with_ase(ASE[route], potential, start, settings, ase_free) for start in starts]
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    del potential.evaluate_crystals
    print(f'{route}: {seconds:.1f} s', file=sys.stderr)
    return {
        'energies': np.array([energy for energy, _ in ends]),
        'steps': steps,
        'converged': sum(converged for _, converged in ends),
        'failed': sum(not np.isfinite(energy) for energy, _ in ends),
        'seconds_per_candidate': seconds / len(starts),
        'cpu_seconds_per_candidate': cpu / len(starts),
        'evaluations_per_candidate': meter.evaluations / len(starts),
        'time_outside_potential_over_inside': seconds / meter.seconds - 1,
    }


def relax_with_ase(
    optimizer: Any, potential: Potential, start: Structure, settings: RelaxSettings, free: bool
) -> tuple[float, bool]:
    """Relax one candidate and return its energy in eV/atom and whether it converged."""
    atoms = AseAtomsAdaptor.get_atoms(start)
    atoms.calc = AsePotential(potential)
    try:
        if not free:
            atoms.set_constraint(FixSymmetry(atoms, symprec=KEPT_TOLERANCE))
        filtered = FrechetCellFilter(atoms)
        converged = optimizer(filtered, logfile=None).run(fmax=settings.force_tolerance, steps=settings.max_steps)
        return atoms.get_potential_energy() / len(atoms), bool(converged)
    except Exception as error:  # a relaxation that explodes is a failure of its route
        print(f'{start.formula}: {type(error).__name__}: {error}', file=sys.stderr)
        return float('nan'), False


def compare(first: dict[str, Any], other: dict[str, Any], starts: Sequence[Structure]) -> dict[str, Any]:
    """Say how the energies of a route differ from those of the first one, in meV/atom."""
    difference = 1000 * (other['energies'] - first['energies'])
    return {
        'median_magnitude': float(np.nanmedian(np.abs(difference))),
        'first_is_higher_by_more_than_1': int((difference < -1).sum()),
        'first_is_lower_by_more_than_1': int((difference > 1).sum()),
        'by_symmetric_variables': by_variables(first, other, difference, starts),
        'largest': {
            f'{index} {starts[index].composition.reduced_formula}': round(float(difference[index]), 1)
            for index in np.argsort(-np.abs(np.nan_to_num(difference)))[:8]
            if abs(difference[index]) > 1
        },
    }


def by_variables(
    first: dict[str, Any], other: dict[str, Any], difference: NDArray[np.float64], starts: Sequence[Structure]
) -> dict[str, Any]:
    """Say where two routes differ by how many variables keep the symmetry, and how many steps they take there."""
    variables = np.array([sum(symmetric_freedom(start).sizes) for start in starts])
    groups = {}
    for low, high in ((1, 3), (4, 6), (7, 12), (13, 999)):
        rows = np.flatnonzero((variables >= low) & (variables <= high))
        if len(rows):
            steps = [route['steps'] and float(np.mean(np.array(route['steps'])[rows])) for route in (first, other)]
            groups[f'{low} to {high}'] = {
                'candidates': len(rows),
                'within_1': int((np.abs(difference[rows]) <= 1).sum()),
                'first_is_higher': int((difference[rows] < -1).sum()),
                'first_is_lower': int((difference[rows] > 1).sum()),
                'median': float(np.nanmedian(difference[rows])),
                'steps': steps,
            }
    return groups


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('crystals_file', type=Path)
    parser.add_argument('--potential', default='chgnet')
    parser.add_argument('--starts', choices=['distorted', 'templates'], default='templates')
    parser.add_argument('--count', type=int, default=40, help='candidates')
    parser.add_argument('--part', default='0/1', help='relax every n-th candidate only, from number i on: i/n')
    parser.add_argument('--each', type=int, default=5, help='templates for each known crystal')
    parser.add_argument('--routes', nargs='+', choices=[*OURS, *ASE], default=['keep', 'fire'])
    parser.add_argument('--ase-free', action='store_true', help='let ASE leave the symmetry')
    parser.add_argument('--max-atoms', type=int, default=20)
    parser.add_argument('--displacement', type=float, default=0.1, help='A')
    parser.add_argument('--strain', type=float, default=0.05)
    parser.add_argument('--force-tolerance', type=float, default=0.05, help='eV/A')
    parser.add_argument('--max-steps', type=int, default=500)
    parser.add_argument('--batch-size', type=int, default=RelaxSettings.batch_size)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter('ignore')
    resolved = resolve_potential(options.potential)
    potential = load_potential(resolved.files)
    crystals = [
        crystal
        for crystal in read_crystals(options.crystals_file, options.max_atoms)
        if set(crystal.species) <= potential.elements
    ]
    each = options.each if options.starts == 'templates' else 1
    chosen = [crystals[row] for row in np.linspace(0, len(crystals) - 1, -(-options.count // each)).astype(int)]
    if options.starts == 'templates':
        starts = list(proposed(chosen, each))
    else:
        starts = list(distorted(chosen, options.displacement, options.strain, options.seed))
    part, parts = (int(number) for number in options.part.split('/'))
    starts = starts[part::parts]
    settings = RelaxSettings(
        force_tolerance=options.force_tolerance, max_steps=options.max_steps, batch_size=options.batch_size
    )
    potential.evaluate(starts[:2])
    routes = {route: relax(route, potential, starts, settings, ase_free=options.ase_free) for route in options.routes}
    first, *others = options.routes
    report: dict[str, Any] = {
        'potential': potential.name,
        'notice': resolved.notice,
        'convention': potential.convention,
        'version': potential.version,
        'threads': torch.get_num_threads(),
        'candidates': len(starts),
        'atoms': int(sum(len(start) for start in starts)),
        'settings': dataclasses.asdict(settings),
        'routes': {
            name: {key: value for key, value in route.items() if key not in {'energies', 'steps'}}
            for name, route in routes.items()
        },
        'meV_per_atom_from_' + first: {name: compare(routes[first], routes[name], starts) for name in others},
    }
    print(json.dumps(report, indent=1))


if __name__ == '__main__':
    main()
