"""Files of crystals of every kind."""

from __future__ import annotations

import csv
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.dataset_building import FolderSource, UnusableError
from aiida_alphacrystal.engine.dataset_building.folder import _read_json_line, _read_table_row
from aiida_alphacrystal.engine.datasets import DatasetError

from .conftest import caesium_chloride, rock_salt

SALT = {
    'material_id': 'salt',
    'lattice': [[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]],
    'species': ['Na', 'Cl'],
    'frac_coords': [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]],
    'formation_energy_per_atom': -2.1,
    'e_above_hull': 0.0,
}


def outcome(read):
    """Return the crystal that is read, or why there is none."""
    try:
        return read(), ''
    except UnusableError as reason:
        return None, str(reason)


def read(path):
    """Return the crystals of a source, and name and reason of what is none."""
    found = [(entry.name, *outcome(entry.read)) for page in FolderSource(path).pages(None) for entry in page.entries]
    return [crystal for _, crystal, _ in found if crystal], [(name, reason) for name, _, reason in found if reason]


def write_table(path, rows, columns=('material_id', 'cif', 'formation_energy_per_atom', 'e_above_hull')):
    with path.open('w', newline='') as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_cif_files_of_a_directory_and_of_those_in_it(tmp_path):
    (tmp_path / 'more').mkdir()
    rock_salt(5.64, 'Na', 'Cl').to(str(tmp_path / 'b.cif'))
    caesium_chloride(4.12, 'Cs', 'Cl').to(str(tmp_path / 'more' / 'a.cif'))
    Structure(Lattice.cubic(4), [{'Na': 0.5, 'K': 0.5}], [[0] * 3]).to(str(tmp_path / 'alloy.cif'))
    (tmp_path / 'bad.CIF').write_text('no crystal')
    (tmp_path / 'notes.txt').write_text('nothing')
    crystals, left_out = read(tmp_path)
    assert [(crystal.material_id, crystal.natoms, crystal.spacegroup) for crystal in crystals] == [
        ('b', 2, 225),
        ('more/a', 2, 221),
    ]
    assert left_out[0] == ('alloy', 'several elements share a site')
    assert left_out[1][0] == 'bad'
    assert left_out[1][1].startswith('no CIF of a crystal (')


@pytest.mark.parametrize('name', ['one.jsonl', 'one.jsonl.gz'])
def test_json_lines(tmp_path, name):
    rows = [
        json.dumps(SALT),
        '',
        '{"species": [',
        json.dumps({**SALT, 'species': ['D', 'Cl']}),
        json.dumps({**SALT, 'frac_coords': [[0, 0, 0]]}),
        json.dumps({**SALT, 'e_above_hull': 'low'}),
    ]
    content = ('\n'.join(rows) + '\n').encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith('.gz') else content)
    (crystal,), left_out = read(path)
    assert (crystal.material_id, crystal.spacegroup, crystal.formation_energy_per_atom) == ('salt', 225, -2.1)
    assert [where for where, _ in left_out] == [f'{name}:{line}' for line in (3, 4, 5, 6)]
    assert left_out[1][1] == 'has species that cannot be used: D is an isotope: write H instead.'
    assert left_out[2][1] == 'needs frac_coords, 2 rows of 3 numbers'
    assert left_out[3][1] == "has e_above_hull = 'low': give a number in eV/atom or leave it out."


def test_a_table_as_mp_20_has_it(tmp_path):
    cif = rock_salt(5.64, 'Na', 'Cl').to(fmt='cif')
    rows = [
        {'material_id': 'mp-1', 'cif': cif, 'formation_energy_per_atom': '-2.1', 'e_above_hull': '0.0'},
        {'material_id': '', 'cif': cif},
        {'material_id': 'mp-3', 'cif': cif, 'e_above_hull': 'high'},
        {'material_id': 'mp-4', 'cif': 'tea'},
    ]
    crystals, left_out = read(write_table(tmp_path / 'train.csv', rows))
    facts = [(one.material_id, one.formation_energy_per_atom, one.e_above_hull, one.spacegroup) for one in crystals]
    assert facts == [('mp-1', -2.1, 0.0, 225), ('train.csv:2', None, None, 225)]
    assert left_out[0] == ('mp-3', 'e_above_hull is no number')
    assert left_out[1][0] == 'mp-4'


def test_a_table_without_cif_is_refused(tmp_path):
    path = write_table(tmp_path / 'train.csv', [], ('material_id', 'structure'))
    with pytest.raises(DatasetError, match=r'train\.csv has no column cif'):
        read(path)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / 'damaged.jsonl.gz'
    path.write_bytes(gzip.compress(json.dumps(SALT).encode() * 50)[:-30])
    with pytest.raises(DatasetError, match=r'damaged\.jsonl\.gz cannot be read'):
        read(path)


def test_where_there_is_no_file(tmp_path):
    (tmp_path / 'notes.txt').write_text('nothing')
    for path in (tmp_path, tmp_path / 'notes.txt', tmp_path / 'missing.csv'):
        with pytest.raises(DatasetError, match='There is no file of crystals at'):
            FolderSource(path)


def test_pages_go_on(tmp_path):
    path = tmp_path / 'many.jsonl'
    path.write_text(''.join(json.dumps({**SALT, 'material_id': str(number)}) + '\n' for number in range(250)))
    source = FolderSource(path)
    pages = list(source.pages(None))
    assert [(len(page.entries), page.after, page.total) for page in pages] == [
        (100, 100, 250),
        (100, 200, 250),
        (50, None, 250),
    ]
    (last,) = source.pages(200)
    assert [entry.name for entry in last.entries] == [entry.name for entry in pages[2].entries]
    before = source.describe()
    path.write_text(path.read_text() + '\n')
    assert source.describe() != before


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(sorted(SALT)), value=ANYTHING)
def test_a_line_with_anything_in_it_is_a_crystal_or_has_a_reason(field, value):
    crystal, reason = outcome(lambda: _read_json_line(json.dumps({**SALT, field: value}), 'here:1'))
    assert reason or crystal.natoms <= 2
    assert 'here:1' not in reason


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60), energy=st.text(max_size=6))
def test_a_cell_with_anything_in_it_has_a_reason(text, energy):
    with pytest.raises(UnusableError):
        _read_table_row({'cif': f'data_x\n{text}', 'e_above_hull': energy}, 'row')
