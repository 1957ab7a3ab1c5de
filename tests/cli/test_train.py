"""The commands that learn from known crystals."""

from __future__ import annotations

import json

import pytest

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


def test_distances(cli, tmp_path):
    data = write_crystals(tmp_path / 'known.jsonl')
    options = ('--data', data, '--val', data, '--epochs', 2, '--seed', 1)
    completed = cli('train', 'distances', *options, '--output', tmp_path / 'weights')
    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout)['seed'] == 1
    assert 'epoch 1 of 2' in completed.stderr
    assert (tmp_path / 'weights' / 'distances.safetensors').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['distances'], "Missing option '--data'"),
        (['cells', '--data', 'nothing.jsonl', '--val', 'nothing.jsonl', '--output', 'x'], 'does not exist'),
        (['templates', '--data', '{empty}', '--output', '/dev/null'], 'Nothing can be written'),
        (['templates', '--data', '{damaged}', '--output', 'x'], 'damaged.jsonl'),
        (['distances', '--data', '{damaged}', '--epochs', '0', '--output', 'x'], 'from 1 to 10000'),
        (['distances', '--data', '{damaged}', '--seed', '-1', '--output', 'x'], 'from 0 to'),
        (['distances', '--data', '{damaged}', '--val', '{damaged}', '--output', 'x'], 'damaged.jsonl'),
    ],
)
def test_bad_input(cli, tmp_path, arguments, message):
    files = {'empty': tmp_path / 'empty.jsonl', 'damaged': tmp_path / 'damaged.jsonl'}
    files['empty'].touch()
    files['damaged'].write_text('{"species": ["Na"\n', encoding='utf-8')
    completed = cli('train', *(argument.format(**files) for argument in arguments))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1
