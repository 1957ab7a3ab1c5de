"""Check the JSON and CIF files that ``.ci/run`` had predicted."""

# ruff: noqa: S101, T201

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pymatgen.core import Composition, Structure

FIELDS = {'rank', 'cif', 'spacegroup', 'formation_energy_per_atom', 'source', 'uuid'}


def check(path: Path) -> dict[str, Any]:
    """Return one result after checking that it is whole and in order.

    :param path: file with one JSON object.
    """
    result: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    assert result.keys() >= {'formula', 'candidates', 'potential', 'seed', 'uuid'}
    assert result['candidates'], f'no candidates in {path.name}'
    assert [candidate['rank'] for candidate in result['candidates']] == list(range(1, len(result['candidates']) + 1))
    for candidate in result['candidates']:
        assert candidate.keys() >= FIELDS
        assert 1 <= candidate['spacegroup'] <= 230
        structure = Structure.from_str(candidate['cif'], fmt='cif')
        assert structure.composition.reduced_formula == Composition(result['formula']).reduced_formula
    return result


def main(directory: Path) -> None:
    """Check all results.

    :param directory: where the results are.
    """
    paths = [path for path in sorted(directory.glob('*.json')) if path.stem != 'screening']
    results = {path.stem: check(path) for path in paths}
    assert len(results['NaCl']['candidates']) <= 3
    assert results['NaCl']['candidates'][0]['spacegroup'] == 225, 'rock salt is not the best NaCl'
    assert 221 in [candidate['spacegroup'] for candidate in results['SrTiO3']['candidates'][:5]], 'no cubic SrTiO3'
    assert all(candidate['number_of_atoms'] == 10 for candidate in results['Al4O6']['candidates'])
    rankings = [
        [
            {key: candidate[key] for key in candidate.keys() - {'pk', 'uuid'}}
            for candidate in results[name]['candidates']
        ]
        for name in ('NaCl', 'NaCl_again', 'NaCl_job')
        if name in results
    ]
    assert all(ranking == rankings[0] for ranking in rankings[1:]), 'the same seed gave another ranking'
    cifs = sorted((directory / 'cif').glob('*.cif'))
    assert len(cifs) == len(results['SrTiO3']['candidates'])
    for name, result in results.items():
        best = result['candidates'][0]
        print(f'{name}: {best["spacegroup_symbol"]}, {best["formation_energy_per_atom"]:.3f} eV/atom, {best["source"]}')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
