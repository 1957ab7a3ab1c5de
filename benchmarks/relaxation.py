"""Relax distorted known crystals with our batched optimiser and one by one with ASE, and check formation energies.

Prints one JSON object: seconds and evaluations per crystal of both, the differences of the minima, the share of our
time that is spent outside the potential, and the error of the formation energies of the undistorted crystals.

    python benchmarks/relaxation.py ../shared/data/val.jsonl.gz --potential chgnet --crystals 24
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from aiida_alphacrystal.engine.datasets import Crystal, read_crystals
from aiida_alphacrystal.engine.relax import (
    Evaluation,
    Potential,
    elemental_references,
    formation_energy,
    load_potential,
    relax_structures,
    resolve_potential,
)
from aiida_alphacrystal.engine.relax.base import AtomArrays
from aiida_alphacrystal.engine.settings import RelaxSettings


class AsePotential(Calculator):  # type: ignore[misc]
    """Our potential as a calculator of ASE; counts its calls."""

    implemented_properties = ('energy', 'forces', 'stress')

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential
        self.calls = 0

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Sequence[str] = tuple(all_changes)
    ) -> None:
        """Evaluate one crystal."""
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        crystal = AtomArrays(atoms.numbers.astype(np.int64), atoms.cell[:], atoms.positions)
        evaluation = self.potential.evaluate_crystals([crystal])
        self.results = {
            'energy': evaluation.energies[0],
            'forces': evaluation.forces[0],
            'stress': evaluation.stresses[0][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


def distort(crystal: Crystal, rng: np.random.Generator, displacement: float, strain: float) -> Structure:
    """Strain the cell and move the atoms of a known crystal."""
    tensor = rng.normal(0, strain, (3, 3))
    matrix = crystal.lattice @ (np.eye(3) + 0.5 * (tensor + tensor.T))
    positions = crystal.frac_coords @ matrix
    positions += rng.normal(0, displacement, positions.shape)
    return Structure(matrix, list(crystal.species), positions, coords_are_cartesian=True)


def compare_minima(potential: Potential, starts: list[Structure], settings: RelaxSettings) -> dict[str, Any]:
    """Relax the same crystals in a batch and one by one."""
    spent = evaluated = 0.0
    evaluate = potential.evaluate_crystals

    def timed(crystals: Sequence[AtomArrays]) -> Evaluation:
        nonlocal spent, evaluated
        begin = time.perf_counter()
        result = evaluate(crystals)
        spent += time.perf_counter() - begin
        evaluated += len(crystals)
        return result

    begin = time.perf_counter()
    potential.evaluate_crystals = timed  # type: ignore[method-assign]
    relaxations = relax_structures(starts, potential, settings)
    potential.evaluate_crystals = evaluate  # type: ignore[method-assign]
    ours = time.perf_counter() - begin
    energies, calls = [], 0
    begin = time.perf_counter()
    for start in starts:
        atoms = AseAtomsAdaptor.get_atoms(start)
        atoms.calc = AsePotential(potential)
        FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=settings.force_tolerance, steps=settings.max_steps)
        energies.append(atoms.get_potential_energy() / len(atoms))
        calls += atoms.calc.calls
    theirs = time.perf_counter() - begin
    difference = 1000 * (np.array([relaxation.energy for relaxation in relaxations]) - energies)
    return {
        'crystals': len(starts),
        'converged': sum(relaxation.converged for relaxation in relaxations),
        'seconds_per_crystal': ours / len(starts),
        'seconds_per_crystal_ase_fire': theirs / len(starts),
        'speedup': theirs / ours,
        'evaluations_per_crystal': evaluated / len(starts),
        'evaluations_per_crystal_ase_fire': calls / len(starts),
        'share_of_time_outside_potential': 1 - spent / ours,
        'energy_difference_meV_per_atom': {
            'median_magnitude': float(np.nanmedian(np.abs(difference))),
            'higher_by_more_than_1': int((difference > 1).sum()),
            'lower_by_more_than_1': int((difference < -1).sum()),
        },
    }


def compare_formation_energies(potential: Potential, crystals: list[Crystal]) -> dict[str, Any]:
    """Compare formation energies of crystals as they are with those of the file."""
    references = elemental_references({symbol for crystal in crystals for symbol in crystal.species}, potential)
    structures = [crystal.to_structure() for crystal in crystals]
    energies = np.concatenate(
        [potential.evaluate(structures[first : first + 16]).energies for first in range(0, len(structures), 16)]
    )
    errors = [
        formation_energy(energy / crystal.natoms, Counter(crystal.species), references)
        - crystal.formation_energy_per_atom
        for energy, crystal in zip(energies, crystals, strict=True)
        if crystal.formation_energy_per_atom is not None
    ]
    return {
        'crystals': len(errors),
        'mean_absolute_error': float(np.mean(np.abs(errors))),
        'median_absolute_error': float(np.median(np.abs(errors))),
        'mean_error': float(np.mean(errors)),
    }


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('crystals_file', type=Path)
    parser.add_argument('--potential', default='chgnet')
    parser.add_argument('--crystals', type=int, default=24)
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
    rng = np.random.default_rng(options.seed)
    starts = [distort(crystal, rng, options.displacement, options.strain) for crystal in crystals[: options.crystals]]
    settings = RelaxSettings(options.force_tolerance, options.max_steps, options.batch_size)
    potential.evaluate(starts[:2])
    report = {
        'potential': potential.name,
        'notice': resolved.notice,
        'convention': potential.convention,
        'version': potential.version,
        'threads': torch.get_num_threads(),
        'relaxation': compare_minima(potential, starts, settings),
        'formation_energy_eV_per_atom': compare_formation_energies(potential, crystals),
    }
    print(json.dumps(report, indent=1))


if __name__ == '__main__':
    main()
