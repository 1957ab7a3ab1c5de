"""Files of crystals: what is read, and how a broken line is named."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.datasets import (
    DatasetError,
    draw_crystals,
    file_sha256,
    iterate_lines,
    near_hull,
    read_crystals,
)

SALT = {
    'material_id': 'salt',
    'lattice': [[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]],
    'species': ['Na', 'Cl'],
    'frac_coords': [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]],
    'spacegroup': 225,
    'formation_energy_per_atom': -2.1,
    'e_above_hull': 0.0,
}
SHARED = Path(__file__).parents[2] / '..' / 'shared' / 'data'


def write(path, *rows):
    path.write_text('\n'.join(row if isinstance(row, str) else json.dumps(row) for row in rows) + '\n')
    return path


def test_reads_a_crystal(tmp_path):
    (crystal,) = read_crystals(write(tmp_path / 'data.jsonl', SALT))
    assert crystal.material_id == 'salt'
    assert crystal.species == ('Na', 'Cl')
    assert crystal.spacegroup == 225
    assert crystal.formation_energy_per_atom == -2.1
    assert crystal.formula.label == 'NaCl'
    assert crystal.formula.formula_units == 1
    np.testing.assert_array_equal(crystal.lattice, SALT['lattice'])


def test_compressed_and_plain_files_read_the_same(tmp_path):
    plain = write(tmp_path / 'data.jsonl', SALT, '', SALT)
    packed = tmp_path / 'data.jsonl.gz'
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert [crystal.species for crystal in read_crystals(packed)] == [('Na', 'Cl')] * 2
    assert len(read_crystals(plain)) == 2


def test_larger_cells_are_left_out(tmp_path):
    path = write(tmp_path / 'data.jsonl', SALT, {**SALT, 'species': ['Na'], 'frac_coords': [[0, 0, 0]]})
    assert [crystal.natoms for crystal in read_crystals(path, max_atoms=1)] == [1]


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ('{"species": [', 'is not a JSON object'),
        ('[1, 2]', 'is not a JSON object'),
        ({**SALT, 'species': None}, 'needs species'),
        ({**SALT, 'species': ['Na', 'Xx']}, "'Xx' is not a chemical element"),
        ({**SALT, 'lattice': [[1, 0, 0], [0, 1, 0]]}, 'needs lattice, 3 rows of 3 numbers'),
        ({**SALT, 'lattice': [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}, 'lattice without volume'),
        ({**SALT, 'frac_coords': [[0.0, 0.0, 0.0]]}, 'needs frac_coords, 2 rows of 3 numbers'),
        ({**SALT, 'frac_coords': [[0.0, 0.0, 0.0], [0.5, 0.5, float('nan')]]}, 'needs frac_coords'),
        ({**SALT, 'spacegroup': 231}, 'space group 231'),
        ({**SALT, 'e_above_hull': 'low'}, "e_above_hull = 'low'"),
    ],
)
def test_a_broken_line_is_named(tmp_path, row, message):
    path = write(tmp_path / 'data.jsonl', SALT, row)
    with pytest.raises(DatasetError, match=message) as error:
        read_crystals(path)
    assert f'{path}:2' in str(error.value)


def test_missing_damaged_and_empty_files(tmp_path):
    with pytest.raises(DatasetError, match='There is no file'):
        read_crystals(tmp_path / 'none.jsonl')
    damaged = tmp_path / 'damaged.jsonl.gz'
    damaged.write_bytes(gzip.compress(json.dumps(SALT).encode() * 50)[:-30])
    with pytest.raises(DatasetError, match='damaged'):
        read_crystals(damaged)
    with pytest.raises(DatasetError, match='holds no crystal'):
        read_crystals(write(tmp_path / 'empty.jsonl'))


def test_sha256_of_a_file(tmp_path):
    path = write(tmp_path / 'data.jsonl', SALT)
    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.skipif(not SHARED.is_dir(), reason='the shared crystals are not beside this repository')
def test_reads_the_shared_validation_crystals():
    crystals = read_crystals(SHARED / 'val.jsonl.gz')
    assert len(crystals) == 737
    assert max(crystal.natoms for crystal in crystals) == 20


def test_a_directory_of_cif_files_is_read_in_order_of_the_names(tmp_path):
    sites = [[0] * 3, [0.5] * 3]
    for name, a in (('b', 5.64), ('a', 6.0)):
        Structure.from_spacegroup(225, Lattice.cubic(a), ['Na', 'Cl'], sites).to(str(tmp_path / f'{name}.cif'))
    first, second = read_crystals(tmp_path)
    assert (first.material_id, second.material_id) == ('a', 'b')
    assert first.natoms == 2
    assert first.volume == pytest.approx(6.0**3 / 4)
    assert second.formula.label == 'NaCl'


@pytest.mark.parametrize('text', ['', 'no crystal', 'data_x\nloop_\n_atom_site_label\nNa\n'])
def test_a_file_that_is_no_cif_is_named(tmp_path, text):
    (tmp_path / 'bad.cif').write_text(text)
    with pytest.raises(DatasetError, match=r'bad\.cif is no CIF file of a crystal'):
        read_crystals(tmp_path)


def test_partly_occupied_sites_are_refused(tmp_path):
    Structure(Lattice.cubic(4), [{'Na': 0.5, 'K': 0.5}], [[0] * 3]).to(str(tmp_path / 'mixed.cif'))
    with pytest.raises(DatasetError, match=r'mixed\.cif has sites that are partly occupied'):
        read_crystals(tmp_path)


def test_an_empty_directory_holds_no_crystal(tmp_path):
    with pytest.raises(DatasetError, match='holds no crystal'):
        read_crystals(tmp_path)


def test_lines_of_a_stream(tmp_path):
    content = (json.dumps(SALT) + '\n').encode() * 2
    assert len(list(iterate_lines(io.BytesIO(content), 'stream'))) == 2
    assert len(list(iterate_lines(io.BytesIO(gzip.compress(content)), 'stream', compressed=True))) == 2
    with pytest.raises(DatasetError, match='stream:3 is not a JSON object'):
        list(iterate_lines(io.BytesIO(content + b'{'), 'stream'))


def test_crystals_are_drawn_in_their_order(tmp_path):
    crystals = read_crystals(
        write(tmp_path / 'data.jsonl', *({**SALT, 'material_id': str(number)} for number in range(20)))
    )
    drawn = draw_crystals(crystals, 5, seed=1)
    places = [int(crystal.material_id) for crystal in drawn]
    assert places == sorted(set(places))
    assert len(places) == 5
    assert draw_crystals(crystals, 5, seed=1) == drawn
    assert draw_crystals(crystals, 5, seed=2) != drawn
    assert draw_crystals(crystals, 20, seed=1) == draw_crystals(crystals, None, seed=1) == crystals


def test_crystals_near_the_hull(tmp_path):
    unknown = {key: value for key, value in SALT.items() if key != 'e_above_hull'}
    rows = [SALT, {**SALT, 'material_id': 'high', 'e_above_hull': 0.2}, {**unknown, 'material_id': 'unknown'}]
    crystals = read_crystals(write(tmp_path / 'three.jsonl', *rows))
    assert [one.material_id for one in near_hull(crystals, 0.0)] == ['salt']
    assert [one.material_id for one in near_hull(crystals, 0.2)] == ['salt', 'high']
    assert near_hull(crystals, None) == crystals
    with pytest.raises(DatasetError, match=r'No crystal of the file states an e_above_hull of at most 0\.1 eV/atom'):
        near_hull(crystals[1:], 0.1)
