"""Predict nine textbook crystals from their formulas through the command line and compare with what is known.

Prints, for each, the rank at which the known structure appears, the normalised RMS distance, wall time and peak
memory; with ``--json`` one JSON object. The truth is used for scoring only.

    python benchmarks/predict.py --protocol balanced
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.metrics import STRICT_RMS, normalised_rms

# Space group, lattice (A, degrees), species and coordinates of one site per orbit, as in textbooks.
KNOWN = {
    'NaCl': [(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0, 0, 0], [0.5, 0.5, 0.5]])],
    'Si': [(227, Lattice.cubic(5.431), ['Si'], [[0, 0, 0]])],
    'SrTiO3': [(221, Lattice.cubic(3.905), ['Sr', 'Ti', 'O'], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]])],
    'MgO': [(225, Lattice.cubic(4.212), ['Mg', 'O'], [[0, 0, 0], [0.5, 0.5, 0.5]])],
    'CsCl': [(221, Lattice.cubic(4.12), ['Cs', 'Cl'], [[0, 0, 0], [0.5, 0.5, 0.5]])],
    'GaAs': [(216, Lattice.cubic(5.653), ['Ga', 'As'], [[0, 0, 0], [0.25, 0.25, 0.25]])],
    'TiO2': [(136, Lattice.tetragonal(4.594, 2.959), ['Ti', 'O'], [[0, 0, 0], [0.305, 0.305, 0]])],
    'Al2O3': [(167, Lattice.hexagonal(4.759, 12.991), ['Al', 'O'], [[0, 0, 0.3522], [0.3063, 0, 0.25]])],
    'LiFeAs': [
        (
            129,
            Lattice.tetragonal(3.791, 6.364),
            ['Fe', 'Li', 'As'],
            [[0, 0, 0], [0, 0.5, 0.654], [0, 0.5, 0.2365]],
        )
    ],
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('formulas', nargs='*', default=list(KNOWN), help='which of the nine; all by default')
    parser.add_argument('--protocol', default='balanced')
    parser.add_argument('--potential', default='chgnet')
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as profile_path:
        rows = [run(formula, arguments, profile_path) for formula in arguments.formulas]
    found = sum(row['rank'] is not None and row['rank'] <= 5 for row in rows)
    if arguments.json:
        print(json.dumps({'n': len(rows), 'within_top_5': found, 'rows': rows}, indent=2))
        return
    print(f'{"formula":8s} {"rank":>4s} {"strict":>6s} {"rms":>7s} {"seconds":>8s} {"peak MiB":>9s}')
    for row in rows:
        rms = '-' if row['rms'] is None else f'{row["rms"]:.4f}'
        rank, strict = (str(row[key] or '-') for key in ('rank', 'strict_rank'))
        print(f'{row["formula"]:8s} {rank:>4s} {strict:>6s} {rms:>7s} {row["seconds"]:8.1f} {row["peak_mib"]:9d}')
    print(f'{found} of {len(rows)} within the top 5')


def run(formula: str, arguments: argparse.Namespace, profile_path: str) -> dict[str, object]:
    """Predict one formula and score the candidates in their order."""
    command = [sys.executable, '-m', 'aiida_alphacrystal.cli', 'predict', formula, '--format', 'json']
    command += ['--protocol', arguments.protocol, '--potential', arguments.potential]
    started = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, 'AIIDA_PATH': profile_path}
    ) as process:
        output = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    truths = [Structure.from_spacegroup(*entry).get_primitive_structure() for entry in KNOWN[formula]]
    distances = []
    for candidate in json.loads(output)['candidates']:
        structure = Structure.from_str(candidate['cif'], fmt='cif')
        fits = [normalised_rms(structure, truth) for truth in truths]
        distances.append(min((fit for fit in fits if fit is not None), default=None))
    found = [(place, distance) for place, distance in enumerate(distances, start=1) if distance is not None]
    rank, rms = found[0] if found else (None, None)
    return {
        'formula': formula,
        'rank': rank,
        'strict_rank': next((place for place, distance in found if distance < STRICT_RMS), None),
        'rms': rms,
        'seconds': seconds,
        'peak_mib': usage.ru_maxrss // 1024,
    }


if __name__ == '__main__':
    main()
