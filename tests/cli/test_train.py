"""The commands that learn from known crystals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import aiida_alphacrystal
from aiida_alphacrystal.engine.datasets import file_sha256
from aiida_alphacrystal.engine.evaluation import EntryResult, Journal
from aiida_alphacrystal.engine.reconstruct.library import load_library

from .conftest import Command, interrupt, wait_until_it_says

CRYSTALS = (
    {'species': ['Na', 'Cl'], 'frac_coords': [[0, 0, 0], [0.5, 0.5, 0.5]], 'spacegroup': 225, 'a': 4.0, 'kind': 'fcc'},
    {'species': ['Mg', 'O'], 'frac_coords': [[0, 0, 0], [0.5, 0.5, 0.5]], 'spacegroup': 225, 'a': 3.0, 'kind': 'fcc'},
    {'species': ['Cs', 'Cl'], 'frac_coords': [[0, 0, 0], [0.5, 0.5, 0.5]], 'spacegroup': 221, 'a': 4.1, 'kind': 'sc'},
)


def write_crystals(path):
    """Write a few crystals as the training commands read them."""
    lines = []
    for number, crystal in enumerate(CRYSTALS):
        a = crystal['a']
        fcc = [[0, a / 2**0.5, a / 2**0.5], [a / 2**0.5, 0, a / 2**0.5], [a / 2**0.5, a / 2**0.5, 0]]
        cubic = [[a, 0, 0], [0, a, 0], [0, 0, a]]
        lines.append(
            {
                'material_id': f'known-{number}',
                'formula': ''.join(crystal['species']),
                'nsites': 2,
                'spacegroup': crystal['spacegroup'],
                'lattice': fcc if crystal['kind'] == 'fcc' else cubic,
                'species': crystal['species'],
                'frac_coords': crystal['frac_coords'],
                'formation_energy_per_atom': -2.0,
                'e_above_hull': 0.0,
            }
        )
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
    return path


def test_templates(cli, tmp_path):
    data = write_crystals(tmp_path / 'known.jsonl')
    completed = cli('train', 'templates', '--data', data, '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    card = json.loads(completed.stdout)
    assert card == json.loads((tmp_path / 'weights' / 'templates.json').read_text(encoding='utf-8'))
    assert card['members'] == 3
    assert (tmp_path / 'weights' / 'templates.safetensors').exists()


GROUPS = """
from aiida import orm
from pymatgen.core import Lattice, Structure
from aiida_alphacrystal.cli.profile import load_profile
load_profile(None, create=True)

def crystal(spacegroup, a, *symbols):
    return orm.StructureData(
        pymatgen=Structure.from_spacegroup(spacegroup, Lattice.cubic(a), symbols, [[0] * 3, [0.5] * 3])
    )

alloy = orm.StructureData(cell=[[3, 0, 0], [0, 3, 0], [0, 0, 3]])
alloy.append_atom(position=(0, 0, 0), symbols=['Cu', 'Au'], weights=[0.5, 0.5])
nodes = [crystal(225, 4.0, 'Li', 'F'), crystal(221, 3.8, 'Tl', 'Cl'), alloy, orm.Int(1), orm.Int(2)]
orm.Group('mine').store().add_nodes([node.store() for node in nodes])
orm.Group('nothing').store()
print(alloy.uuid, min(node.uuid for node in nodes[3:]))
"""


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    """Return a command line with a group, what was left out of it, and a library made from the rest."""
    directory = tmp_path_factory.mktemp('templates')
    command = Command(directory)
    made = command(script=GROUPS)
    assert made.returncode == 0, made.stderr
    completed = command('train', 'templates', '--group', 'mine', '--output', directory / 'mine')
    assert completed.returncode == 0, completed.stderr
    return command, made.stdout.split(), completed, directory / 'mine' / 'templates.safetensors'


def test_templates_from_a_group(library):
    _, (alloy, number), completed, path = library
    card = json.loads(completed.stdout)
    assert card == json.loads(path.with_name('templates.json').read_text(encoding='utf-8'))
    assert card['data'] == {'group': 'mine', 'crystals': 2}
    assert (card['prototypes'], card['members']) == (2, 2)
    said = completed.stderr.splitlines()
    first = said.index("Nodes of the group 'mine' that were skipped: 3")
    assert said[first + 1 : first + 3] == [
        f'  2 x no structure (Int) (such as {number})',
        f'  1 x several elements share a site (such as {alloy})',
    ]
    assert said[0] == '1/8 Reading the group'


def test_templates_added_to_a_library(library, tmp_path):
    command, _, _, path = library
    data = write_crystals(tmp_path / 'known.jsonl')
    options = ('--data', data, '--group', 'mine', '--extend', path, '--source', 'made by ourselves')
    completed = command('train', 'templates', *options, '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    card = json.loads(completed.stdout)
    assert (card['prototypes'], card['members']) == (2, 7)
    assert card['data'] == {
        'file': 'known.jsonl',
        'sha256': file_sha256(data),
        'group': 'mine',
        'crystals': 5,
        'source': 'made by ourselves',
        'extended': {'file': 'templates.safetensors', 'sha256': file_sha256(path)},
    }


def test_templates_added_to_those_of_the_package(cli, tmp_path):
    data = write_crystals(tmp_path / 'known.jsonl')
    completed = cli('train', 'templates', '--data', data, '--extend', 'shipped', '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    card = json.loads(completed.stdout)
    shipped = Path(aiida_alphacrystal.__file__).parent / 'weights' / 'templates.safetensors'
    assert card['data']['extended'] == {'file': 'shipped', 'sha256': file_sha256(shipped)}
    assert card['members'] == len(load_library(shipped).member_prototypes) + 3
    assert len(load_library(tmp_path / 'weights' / 'templates.safetensors').member_prototypes) == card['members']


@pytest.mark.parametrize(
    ('group', 'message'),
    [('other', "There is no group 'other' in this profile"), ('nothing', "The group 'nothing' is empty")],
)
def test_bad_group(library, tmp_path, group, message):
    completed = library[0]('train', 'templates', '--group', group, '--output', tmp_path / 'weights')
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert message in completed.stderr.splitlines()[-1]
    assert not list((tmp_path / 'weights').iterdir())


def test_distances(cli, tmp_path):
    data = write_crystals(tmp_path / 'known.jsonl')
    options = ('--data', data, '--val', data, '--epochs', 2, '--seed', 1)
    completed = cli('train', 'distances', *options, '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    card = json.loads(completed.stdout)
    assert card['seed'] == 1
    kept = json.loads((tmp_path / 'weights' / 'distances.json').read_text(encoding='utf-8'))
    assert kept.pop('history')['epoch'] == [1, 2]
    assert card == kept
    assert f'plot training {tmp_path / "weights"} -o training.png' in completed.stderr
    drawn = cli('plot', 'training', tmp_path / 'weights', '-o', tmp_path / 'curves.svg')
    assert (drawn.returncode, drawn.stdout) == (0, ''), drawn.stderr
    assert 'validation crystals</text>' in (tmp_path / 'curves.svg').read_text(encoding='utf-8')
    assert 'epoch 1 of 2' in completed.stderr
    for name in ('distances-curve.png', 'distances-histogram.png'):
        assert (tmp_path / 'weights' / name).read_bytes().startswith(b'\x89PNG')
    assert (tmp_path / 'weights' / 'distances.safetensors').exists()


def test_distances_as_the_paper_learns_them(cli, tmp_path):
    data = write_crystals(tmp_path / 'known.jsonl')
    config = tmp_path / 'small.yaml'
    config.write_text('bins: 5\narchitecture: {pair_filters: 8, pair_blocks: 1}\n', encoding='utf-8')
    options = ('--data', data, '--preset', 'paper-slim', '--config', config, '--epochs', 1)
    completed = cli('train', 'distances', *options, '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    card = json.loads(completed.stdout)
    assert card['command'].endswith(' --preset paper-slim --config small.yaml --epochs 1')
    assert (card['settings']['network'], card['settings']['bins'], card['settings']['epochs']) == ('reference', 5, 1)
    assert card['settings']['architecture']['pair_filters'] == 8


def test_most_important_of_a_card(cli, tmp_path):
    data = write_crystals(tmp_path / 'known.jsonl')
    completed = cli('train', 'templates', '--data', data, '--output', tmp_path / 'weights', '--format', 'table')
    assert completed.returncode == 0, completed.stderr
    facts = dict(line.split(maxsplit=1) for line in completed.stdout.splitlines())
    assert facts['members'] == '3'
    assert facts['what'] == 'prototype library for the template source'
    assert 'data' not in facts


def test_ctrl_c(cli, tmp_path):
    """Stopping leaves one sentence and what is needed to go on; the same command does."""
    data = write_crystals(tmp_path / 'known.jsonl')
    words = ['train', 'distances', '--data', data, '--epochs', 300, '--output', tmp_path / 'weights']
    process = cli.start(*words, directory=tmp_path)
    wait_until_it_says(process, 'epoch 3 ')
    stdout, stderr = interrupt(process)
    assert (process.returncode, stdout) == (130, '')
    assert stderr.splitlines()[-1] == (
        'Stopped: The training is not finished; the same command goes on after the last full epoch.'
    )
    assert not (tmp_path / 'weights' / 'distances.safetensors').exists()
    again = cli(*words)
    assert again.returncode == 0, again.stderr
    assert 'epoch 1 of 300' not in again.stderr
    epochs = json.loads((tmp_path / 'weights' / 'distances.json').read_text())['history']['epoch']
    assert epochs == list(range(1, len(epochs) + 1))


def test_group_without_a_profile(cli, tmp_path):
    completed = cli('train', 'templates', '--group', 'mine', '--output', tmp_path / 'weights')
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert 'Error: There is no AiiDA profile yet' in completed.stderr


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['distances'], "Missing option '--data'"),
        (['cells', '--data', 'nothing.jsonl', '--val', 'nothing.jsonl', '--output', 'x'], 'does not exist'),
        (['templates', '--data', '{empty}', '--output', '/dev/null'], 'Nothing can be written'),
        (['templates', '--data', '{damaged}', '--output', 'x'], 'damaged.jsonl'),
        (['templates', '--output', 'x'], 'give --data FILE, --group LABEL or both'),
        (['templates', '--data', '{empty}', '--extend', 'nothing', '--output', 'x'], 'The file nothing cannot be read'),
        (['templates', '--data', '{empty}', '--extend', '{damaged}', '--output', 'x'], 'not a whole safetensors file'),
        (['distances', '--data', '{damaged}', '--epochs', '0', '--output', 'x'], 'from 1 to 10000'),
        (['distances', '--data', '{empty}', '--preset', 'best', '--output', 'x'], "no preset 'best'"),
        (['distances', '--data', '{empty}', '--config', '{config}', '--output', 'x'], 'Unknown setting epoks'),
        (['distances', '--data', '{damaged}', '--seed', '-1', '--output', 'x'], 'from 0 to'),
        (['distances', '--data', '{damaged}', '--val', '{damaged}', '--output', 'x'], 'damaged.jsonl'),
    ],
)
def test_bad_input(cli, tmp_path, arguments, message):
    files = {name: tmp_path / f'{name}.jsonl' for name in ('empty', 'damaged', 'config')}
    files['empty'].touch()
    files['config'].write_text('epoks: 3\n', encoding='utf-8')
    files['damaged'].write_text('{"species": ["Na"\n', encoding='utf-8')
    completed = cli('train', *(argument.format(**files) for argument in arguments))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1


def write_evaluation(directory, number):
    """Keep an evaluation in which the structure of lowest energy is right in two of three cases."""
    plan = {'potential': {'name': 'mine', 'sha256': 'f' * 64}, 'data_sha256': 'e' * 64}
    with Journal(directory, plan) as journal:
        for index in range(number):
            described = ((0.0, -0.1, 0.0, 3.0, 0.0, -1.0, 0.0), (-2.0, -3.0, 1.0, 1.0, -1.0, -4.0, -0.5))
            matches = (index % 3 > 0, index % 3 == 0)
            journal.add(EntryResult(index, f'known-{index}', 'NaCl', 2, features=described, matches=matches))
    return directory


def test_ranking(cli, tmp_path):
    completed = cli('train', 'ranking', write_evaluation(tmp_path / 'run', 60), '--output', tmp_path / 'my')
    assert completed.returncode == 0, completed.stderr
    card = json.loads(completed.stdout)
    assert json.loads((tmp_path / 'my' / 'ranking.json').read_text()) == card
    assert card['potentials']['f' * 64]['cross_validated']['1'] == pytest.approx(2 / 3, abs=1e-4)
    assert f'Wrote the weights to {tmp_path / "my" / "ranking.json"}.' in completed.stderr
    table = cli('train', 'ranking', tmp_path / 'run', '--output', tmp_path / 'my', '--format', 'table')
    assert 'any other potential' in table.stdout


@pytest.mark.parametrize(
    ('number', 'sentence'),
    [(0, 'has 0 crystals with a ranking: evaluate at least 50'), (None, 'holds no evaluation: give the directory of')],
)
def test_ranking_from_what_it_cannot_learn_from(cli, tmp_path, number, sentence):
    directory = tmp_path / 'run'
    directory.mkdir()
    if number is not None:
        write_evaluation(directory, number)
    completed = cli('train', 'ranking', directory, '--output', tmp_path / 'my')
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert sentence in completed.stderr
    assert completed.stderr.count('\n') == 1
    assert not (tmp_path / 'my' / 'ranking.json').exists()
