"""The command that compares two crystals."""

from __future__ import annotations

import json

import pytest
from pymatgen.core import Lattice, Structure


@pytest.fixture
def cifs(tmp_path):
    """Write crystals as CIF files and return where they are."""
    sites = [[0] * 3, [0.5] * 3]
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], sites)
    crystals = {
        'salt': salt,
        'again': salt.get_primitive_structure(),
        'other': Structure(Lattice.cubic(3.4), ['Na', 'Cl'], sites),
        'oxide': Structure.from_spacegroup(225, Lattice.cubic(4.2), ['Mg', 'O'], sites),
        'partly': Structure(Lattice.cubic(3.4), [{'Na': 0.5, 'K': 0.5}, 'Cl'], sites),
    }
    for name, crystal in crystals.items():
        crystal.to(str(tmp_path / f'{name}.cif'))
    (tmp_path / 'text.cif').write_text('no crystal\n')
    return lambda name: tmp_path / f'{name}.cif'


def test_equal_crystals(cli, cifs):
    completed = cli('compare', cifs('again'), cifs('salt'), '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    found = json.loads(completed.stdout)
    assert (found['predicted'], found['truth'], found['match']) == ('again.cif', 'salt.cif', True)
    zero = ('superpose', 'energy', 'sinkhorn', 'fingerprint', 'ofm')
    assert [found[f'{name}_distance'] for name in zero] == pytest.approx([0] * 5, abs=1e-4)
    assert found['wyckoff_rmse'] == pytest.approx(0, abs=1e-6)
    assert found['distance_map_overlap'] == 1
    assert found['reasons'] == {}


def test_other_crystals_as_a_table(cli, cifs):
    completed = cli('compare', cifs('other'), cifs('salt'), '--no-energy')
    assert completed.returncode == 0, completed.stderr
    lines = dict(line.split('  ', 1) for line in completed.stdout.splitlines())
    assert lines['match'].strip() == 'no'
    assert lines['energy distance'].strip() == '-  No potential was given.'
    assert lines['superpose distance'].strip().endswith('Å')
    assert 'space groups differ' in lines['Wyckoff RMSE']


@pytest.mark.parametrize(
    ('first', 'second', 'message'),
    [
        ('oxide', 'salt', 'MgO cannot be compared with NaCl'),
        ('partly', 'salt', 'partly occupied'),
        ('text', 'salt', 'text.cif is no CIF file of a crystal'),
        ('missing', 'salt', 'does not exist'),
    ],
)
def test_wrong_input_is_one_sentence(cli, cifs, first, second, message):
    completed = cli('compare', cifs(first), cifs(second))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert message in ' '.join(completed.stderr.split())
    assert 'Traceback' not in completed.stderr
