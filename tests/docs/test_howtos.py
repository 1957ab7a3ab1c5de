"""The Python in the how-tos does what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aiida import orm
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.cli import main
from aiida_alphacrystal.engine.dataset_building import DatasetSettings, GivenCrystals, build_dataset
from aiida_alphacrystal.engine.datasets import Crystal, read_crystals

HOWTOS = Path(__file__).parents[2] / 'docs' / 'howto'


@pytest.fixture
def silicon_carbide(aiida_profile):
    lattice = Lattice([[0, 2.18, 2.18], [2.18, 0, 2.18], [2.18, 2.18, 0]])
    return orm.StructureData(pymatgen_structure=Structure(lattice, ['Si', 'C'], [[0, 0, 0], [0.25, 0.25, 0.25]]))


def python_of(page: str) -> str:
    """Return the first block of Python of a how-to."""
    return re.search(r'^```python\n(.*?)^```', (HOWTOS / page).read_text(encoding='utf-8'), re.M | re.S)[1]


def test_a_refiner_of_your_own(silicon_carbide):
    names: dict = {}
    exec(python_of('refiner.md'), names)
    refiner = names['MyRefiner']('mycode.relax')
    results = orm.Dict({'total_energy': -12.5, 'largest_force': 0.01})
    nodes = refiner.collect(SimpleNamespace(outputs=SimpleNamespace(relaxed=silicon_carbide, results=results)))
    refined = refiner.read(nodes, silicon_carbide)
    assert (refined.energy, refined.max_force) == (-12.5, 0.01)
    assert refined.structure == silicon_carbide.get_pymatgen_structure()
    with pytest.raises(names['RefinerError'], match='left no energy'):
        refiner.read({**nodes, 'results': orm.Dict({})}, silicon_carbide)


def test_cif_files_become_a_file_of_crystals(tmp_path, monkeypatch, silicon_carbide):
    monkeypatch.chdir(tmp_path)
    Path('cifs').mkdir()
    silicon_carbide.get_pymatgen_structure().to(filename='cifs/sic.cif')
    command = re.search(r'^aiida-alphacrystal (dataset folder .*)', (HOWTOS / 'train.md').read_text('utf-8'), re.M)[1]
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), '--val', '0', '--test', '0'])
    assert ended.value.code == 0
    (crystal,) = read_crystals(Path('data/train.jsonl.gz'))
    assert (crystal.material_id, sorted(crystal.species)) == ('sic', ['C', 'Si'])


def test_what_a_data_set_leaves_in_its_directory_is_told(tmp_path):
    carbide = Crystal('sic', np.diag([4.36] * 3), ('Si', 'C'), np.array([[0.0] * 3, [0.25] * 3]), 216)
    build_dataset(GivenCrystals({}, (carbide,)), DatasetSettings(), tmp_path)
    page = (HOWTOS / 'dataset.md').read_text(encoding='utf-8')
    assert all(f'`{path.name}`' in page for path in tmp_path.iterdir())


def test_the_line_of_a_file_of_crystals_can_be_read(tmp_path):
    line = re.search(r'^```json\n(.*?)^```', (HOWTOS / 'train.md').read_text(encoding='utf-8'), re.M | re.S)[1]
    assert json.loads(line)['material_id'] == 'mine-1'
    (tmp_path / 'one.jsonl').write_text(line)
    (crystal,) = read_crystals(tmp_path / 'one.jsonl')
    assert crystal.species == ('Na', 'Cl')


def test_the_shortest_way_through_the_engine(capsys):
    page = (HOWTOS.parent / 'reference' / 'python.md').read_text(encoding='utf-8')
    exec(re.search(r'^```python\n(.*?)^```', page, re.M | re.S)[1], {})
    first, *_ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r'1 Fm-3m -2\.0\d+', first)
