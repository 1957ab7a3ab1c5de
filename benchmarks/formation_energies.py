"""Compare formation energies of known crystals with those that the Materials Project gives.

Prints one JSON object: mean and median of the magnitude of the error and the mean error, in eV/atom, with the
corrections that the potential needs and without. The crystals are taken as they are; the elements are relaxed.

    python benchmarks/formation_energies.py test.jsonl.gz --potential ./M3GNet-MP-2021.2.8-PES --limit 500
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from aiida_alphacrystal.engine.datasets import draw_crystals, read_crystals
from aiida_alphacrystal.engine.relax import (
    elemental_references,
    energy_correction,
    formation_energy,
    load_potential,
    resolve_potential,
)

BATCH = 16


def errors(differences: list[float]) -> dict[str, float]:
    """Return how large differences are, eV/atom."""
    magnitudes = np.abs(differences)
    return {
        'mean_absolute_error': round(float(magnitudes.mean()), 4),
        'median_absolute_error': round(float(np.median(magnitudes)), 4),
        'mean_error': round(float(np.mean(differences)), 4),
    }


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--potential', default='chgnet')
    parser.add_argument('--limit', type=int, default=500, help='crystals, drawn at random')
    parser.add_argument('--seed', type=int, default=0, help='of the draw')
    options = parser.parse_args()
    warnings.simplefilter('ignore')
    potential = load_potential(resolve_potential(options.potential).files)
    scheme = potential.facts['corrections']
    known = tuple(
        crystal
        for crystal in read_crystals(options.data)
        if crystal.formation_energy_per_atom is not None and set(crystal.species) <= potential.elements
    )
    crystals = draw_crystals(known, options.limit, options.seed)
    references = elemental_references({symbol for crystal in crystals for symbol in crystal.species}, potential)
    structures = [crystal.to_structure() for crystal in crystals]
    bare: list[float] = []
    for first in range(0, len(structures), BATCH):
        energies = potential.evaluate(structures[first : first + BATCH]).energies
        bare += [
            formation_energy(float(energy) / crystal.natoms, Counter(crystal.species), references)
            - (crystal.formation_energy_per_atom or 0.0)
            for energy, crystal in zip(energies, crystals[first : first + BATCH], strict=True)
        ]
    corrections = [energy_correction(structure, scheme) for structure in structures]
    corrected = [error + correction for error, correction in zip(bare, corrections, strict=True)]
    facts = {'potential': potential.name, 'corrections': scheme, 'crystals': len(crystals)}
    print(json.dumps({**facts, 'corrected': errors(corrected), 'bare': errors(bare)}, indent=1))


if __name__ == '__main__':
    main()
