"""The commands below ``verdi data alphacrystal``."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import numpy as np
import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_alphacrystal.cli.data import cmd_data
from aiida_alphacrystal.data import ModelData, PotentialData
from aiida_alphacrystal.groups import ModelFamily
from tests.cli.test_root import walk


@pytest.fixture
def verdi(aiida_profile):
    """Return a function that runs a command below ``verdi data alphacrystal``."""

    def run(*words, status=0):
        result = CliRunner().invoke(cmd_data, [str(word) for word in words])
        assert result.exit_code == status, result.output
        return result.output

    return run


@pytest.fixture
def distances(run_prediction):
    """Return the distances of a finished prediction, made in this process."""
    return run_prediction('NaCl').outputs.distances


def test_verdi_knows_the_commands(cli):
    done = subprocess.run(
        [sys.executable, '-m', 'aiida', 'data', 'alphacrystal', '--help'],
        capture_output=True,
        text=True,
        check=False,
        env=cli.environment,
    )
    assert done.returncode == 0, done.stderr
    for name in ('distances', 'models', 'potential'):
        assert f'  {name} ' in done.stdout


@pytest.mark.parametrize('path', list(walk(cmd_data)), ids=lambda path: ' '.join(path) or 'root')
def test_help(path):
    result = CliRunner().invoke(cmd_data, [*path, '--help'])
    assert result.exit_code == 0
    command = cmd_data
    for name in path:
        command = command.commands[name]
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help


def test_distances(verdi, distances, tmp_path):
    shown = json.loads(verdi('distances', 'show', distances.pk, '--format', 'json'))
    assert shown['species'] == list(distances.species)
    assert np.allclose(shown['distances'], distances.distances, atol=1e-4)
    assert 'Na1' in verdi('distances', 'show', distances.uuid)

    verdi('distances', 'export', distances.pk, tmp_path / 'd.csv')
    lines = (tmp_path / 'd.csv').read_text().splitlines()
    assert lines[0].startswith('atom,Na1')
    assert np.allclose([[float(v) for v in line.split(',')[1:]] for line in lines[1:]], distances.distances, atol=1e-6)
    verdi('distances', 'export', distances.pk, tmp_path / 'd.npz')
    with np.load(tmp_path / 'd.npz') as content:
        assert tuple(content['species']) == distances.species
        assert np.array_equal(content['probabilities'], distances.get_array('probabilities'))
    verdi('distances', 'plot', distances.pk, tmp_path / 'd.png')
    assert (tmp_path / 'd.png').read_bytes().startswith(b'\x89PNG')


def test_distances_in_another_cell(verdi, distances, tmp_path):
    units = distances.all_formula_units[-1]
    assert units != distances.all_formula_units[0]
    assert '--formula-units shows another cell' in verdi('distances', 'show', distances.pk)
    words = ('--formula-units', units)
    shown = json.loads(verdi('distances', 'show', distances.pk, *words, '--format', 'json'))
    assert shown['formula'] == distances.get_formula(units)
    assert shown['all_formula_units'] == sorted(distances.all_formula_units)
    assert np.allclose(shown['distances'], distances.get_distances(units), atol=1e-4)
    verdi('distances', 'export', distances.pk, tmp_path / 'd.npz', *words)
    with np.load(tmp_path / 'd.npz') as content:
        assert np.array_equal(content['probabilities'], distances.get_array(f'probabilities_z{units}'))
    verdi('distances', 'plot', distances.pk, tmp_path / 'd.png', *words)
    assert (tmp_path / 'd.png').read_bytes().startswith(b'\x89PNG')
    for command in (('show',), ('export', tmp_path / 'e.csv'), ('plot', tmp_path / 'e.png')):
        said = verdi('distances', command[0], distances.pk, *command[1:], '--formula-units', 17, status=1)
        assert 'has none for 17 formula units: give one of' in said


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('show', 99999999), "There is no node '99999999'"),
        (('export', 99999999, 'd.txt'), 'give a name that ends with .csv or .npz'),
        (('plot', 99999999, 'd.txt'), 'give a name that ends with .png, .svg or .pdf'),
    ],
)
def test_bad_distances(verdi, words, sentence):
    assert sentence in verdi('distances', *words, status=1)


def test_distances_of_something_else(verdi, distances):
    assert 'is a CalcFunctionNode' in verdi('distances', 'show', distances.creator.pk, status=1)


@pytest.mark.parametrize(('environment', 'coloured'), [({}, True), ({'NO_COLOR': '1'}, False)])
def test_no_color_is_honoured(distances, tmp_path, environment, coloured):
    words = ['distances', 'export', str(distances.pk), str(tmp_path / 'd.csv')]
    result = CliRunner().invoke(cmd_data, words, env={'NO_COLOR': None, **environment}, color=True)
    assert result.exit_code == 0
    assert ('\x1b[' in result.output) is coloured


def test_install_and_list_models(verdi):
    assert 'has been made' in verdi('models', 'install', '--family', 'shipped')
    assert 'is there already' in verdi('models', 'install', '--family', 'shipped')
    family = ModelFamily.load('shipped')
    assert family.models == {purpose: ModelData.shipped(purpose) for purpose in ModelData.PURPOSES}
    rows = json.loads(verdi('models', 'list', '--format', 'json'))['rows']
    assert {row['purpose'] for row in rows if 'shipped' in row['families']} == set(ModelData.PURPOSES)
    assert 'shipped' in verdi('models', 'list')


def test_import_models(verdi, tmp_path):
    path = tmp_path / 'cells.safetensors'
    path.write_bytes(b'mine')
    path.with_suffix('.json').write_text('{"seed": 5}')
    first = verdi('models', 'import', path)
    second = verdi('models', 'import', path)
    assert 'are node' in first
    assert 'were there as node' in second
    verdi('models', 'import', path, '--family', 'mine')
    model = ModelFamily.load('mine').models['cells']
    assert (model.get_content(mode='rb'), model.card) == (b'mine', {'seed': 5})
    assert 'holds other weights' in verdi('models', 'install', '--family', 'mine', status=1)
    other = tmp_path / 'tea.safetensors'
    other.write_bytes(b'tea')
    assert "What 'tea.safetensors' is for cannot be told" in verdi('models', 'import', other, status=1)


def test_potentials(verdi, tmp_path):
    verdi('potential', 'install', 'chgnet')
    rows = json.loads(verdi('potential', 'list', '--format', 'json'))['rows']
    assert 'chgnet' in [row['name'] for row in rows]
    assert 'was there as node' in verdi('potential', 'install', 'chgnet')
    assert json.loads(verdi('potential', 'list', '--format', 'json'))['rows'] == rows
    assert isinstance(orm.load_node(rows[0]['pk']), PotentialData)
    (tmp_path / 'model.json').write_text('{}')
    assert 'Critical' in verdi('potential', 'import', tmp_path, status=1)
    assert "There is no 'nothing-here'" in verdi('potential', 'import', 'nothing-here', status=1)
    assert 'is no calculator of ASE' in verdi('potential', 'import', 'ase:os:system', status=1)


def test_calculators_of_ase(verdi, tmp_path):
    path = tmp_path / 'lj.json'
    document = {'calculator': 'ase.calculators.lj:LennardJones', 'elements': ['Cu'], 'name': 'lj'}
    path.write_text(json.dumps(document), encoding='utf-8')
    verdi('potential', 'import', path)
    verdi('potential', 'import', 'ase:ase.calculators.emt:EMT')
    assert 'was there as node' in verdi('potential', 'import', path)
    rows = json.loads(verdi('potential', 'list', '--format', 'json'))['rows']
    kinds = {row['name']: row['kind'] for row in rows}
    assert (kinds['lj'], kinds['emt']) == ('ase', 'ase')
