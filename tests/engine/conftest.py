"""Small crystals of our own making for the tests of the engine."""

import json

import pytest
from pymatgen.core import Lattice, Structure

ROCK_SALTS = {'LiF': 4.03, 'NaCl': 5.64, 'KBr': 6.60, 'MgO': 4.21, 'CaO': 4.81, 'SrO': 5.16, 'NaF': 4.63, 'KCl': 6.29}
CAESIUM_CHLORIDES = {'CsCl': 4.12, 'CsBr': 4.29, 'TlCl': 3.84}
ZINC_BLENDES = {'GaAs': 5.65, 'ZnS': 5.41, 'InP': 5.87, 'AlP': 5.46}
PEROVSKITES = {'SrTiO3': 3.905, 'BaTiO3': 4.01, 'KTaO3': 3.99, 'CaTiO3': 3.84}


def _binary(formula):
    symbols = [formula[:2].strip('0123456789'), '']
    for cut in (1, 2):
        if len(formula) > cut and formula[cut].isupper():
            symbols = [formula[:cut], formula[cut:]]
    return symbols


def known_crystals():
    """Yield name, space group and primitive structure of textbook crystals."""
    for formula, a in ROCK_SALTS.items():
        yield formula, 225, Structure.from_spacegroup(225, Lattice.cubic(a), _binary(formula), [[0] * 3, [0.5] * 3])
    for formula, a in CAESIUM_CHLORIDES.items():
        yield formula, 221, Structure.from_spacegroup(221, Lattice.cubic(a), _binary(formula), [[0] * 3, [0.5] * 3])
    for formula, a in ZINC_BLENDES.items():
        yield formula, 216, Structure.from_spacegroup(216, Lattice.cubic(a), _binary(formula), [[0] * 3, [0.25] * 3])
    for formula, a in PEROVSKITES.items():
        symbols = [formula[:-4] if formula[0] == 'K' else formula[:2], formula[-4:-2], 'O']
        sites = [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
        yield formula, 221, Structure.from_spacegroup(221, Lattice.cubic(a), symbols, sites)


@pytest.fixture(scope='session')
def crystals_file(tmp_path_factory):
    """Write the textbook crystals as a dataset file."""
    path = tmp_path_factory.mktemp('data') / 'crystals.jsonl'
    with path.open('w') as handle:
        for formula, spacegroup, conventional in known_crystals():
            structure = conventional.get_primitive_structure()
            row = {
                'material_id': formula,
                'spacegroup': spacegroup,
                'lattice': structure.lattice.matrix.tolist(),
                'species': [site.specie.symbol for site in structure],
                'frac_coords': structure.frac_coords.tolist(),
                'e_above_hull': 0.0,
            }
            handle.write(json.dumps(row) + '\n')
    return path
