"""The command that turns a formula into ranked crystals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pymatgen.core import Composition, Structure

import aiida_alphacrystal
from aiida_alphacrystal.engine.datasets import file_sha256
from aiida_alphacrystal.engine.settings import MAX_SEED

from .conftest import interrupt, wait_until_it_says
from .test_train import write_crystals

CELLS = str(Path(aiida_alphacrystal.__file__).parent / 'weights' / 'cells.safetensors')

BAD_INPUT = {
    'empty': ([''], 'The formula is empty'),
    'blank': (['  '], 'The formula is empty'),
    'unknown element': (['Xx2O'], "'Xx' is not a chemical element"),
    'lower case': (['nacl'], "lower-case 'n'"),
    'isotope': (['D2O'], 'isotope'),
    'mass number': (['18O2'], 'without prefixes or isotopes'),
    'charge': (['Na+'], 'Charges and signs are not accepted'),
    'negative amount': (['NaCl-1'], 'Charges and signs are not accepted'),
    'fractional amount': (['Na0.5Cl'], 'Fractional amounts are not accepted'),
    'zero amount': (['Na0Cl'], 'The amount of Na is 0'),
    'open bracket': (['Ca(OH'], 'brackets'),
    'too many atoms': (['Na11Cl11'], '22 atoms'),
    'element unknown to the network': (['Lv2O'], 'Lv'),
    'element unknown to the potential': (['RaO', '--potential', 'chgnet'], 'The potential chgnet does not know Ra'),
    'negative seed': (['NaCl', '--seed', '-1'], f'from 0 to {MAX_SEED}'),
    'large seed': (['NaCl', '--seed', str(MAX_SEED + 1)], f'from 0 to {MAX_SEED}'),
    'fractional seed': (['NaCl', '--seed', '1.5'], f'from 0 to {MAX_SEED}'),
    'no structures': (['NaCl', '--top', '0'], 'from 1 to 500'),
    'too many structures': (['NaCl', '--top', '501'], 'from 1 to 500'),
    'unknown protocol': (['NaCl', '--protocol', 'slow'], "'slow' is not one of"),
    'unknown format': (['NaCl', '--format', 'xml'], "'xml' is not one of"),
    'empty potential': (['NaCl', '--potential', ''], 'potential is empty: give chgnet'),
    'no such module': (['NaCl', '--potential', 'ase:nothing_here:Thing'], "No module named 'nothing_here'"),
    'no calculator': (['NaCl', '--potential', 'ase:os:system'], 'os:system is no calculator of ASE'),
    'missing calculator file': (['NaCl', '--potential', 'nothing.json'], 'The file nothing.json cannot be read'),
    'element unknown to a calculator': (
        ['NaCl', '--potential', 'ase:ase.calculators.emt:EMT'],
        'The potential emt does not know Cl, Na',
    ),
    'missing potential': (['NaCl', '--potential', './nothing-here'], 'does not exist'),
    'missing templates': (['NaCl', '--templates', 'nothing-here'], 'The file nothing-here cannot be read'),
    'directory as templates': (['NaCl', '--templates', '.'], 'The file . cannot be read (Is a directory)'),
    'other weights as templates': (['NaCl', '--templates', CELLS], "does not have the format 'aiida-alphacrystal temp"),
    'text as templates': (['NaCl', '--templates', __file__], 'is not a whole safetensors file'),
    'file as output': (['NaCl', '--output', os.devnull], 'Nothing can be written'),
    'output below a file': (['NaCl', '--output', f'{os.devnull}/results'], 'Nothing can be written'),
    'unknown profile': (['NaCl', '--profile', 'nobody'], "no AiiDA profile named 'nobody'"),
    'output with daemon': (['NaCl', '--daemon', '--output', '.'], '--output needs the result'),
    'cache with daemon': (['NaCl', '--daemon', '--cache'], 'do not reach the daemon'),
}


@pytest.mark.parametrize(('arguments', 'message'), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input(cli, tmp_path, arguments, message):
    completed = cli('predict', *arguments)
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert message in completed.stderr
    assert completed.stderr.count('\n') == 1
    assert not (tmp_path / 'fresh' / '.aiida' / 'repository').exists()


def test_damaged_potential(cli, tmp_path):
    directory = tmp_path / 'potential'
    directory.mkdir()
    for name in ('model.json', 'model.pt', 'state.pt'):
        (directory / name).write_text('{}', encoding='utf-8')
    completed = cli('predict', 'NaCl', '--potential', directory)
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert completed.stderr.count('\n') == 1
    assert 'model.json' in completed.stderr


def test_json_contract(prediction):
    result = prediction.result
    assert result['formula'] == 'NaCl'
    assert result['potential'] == result['potential_requested'] == 'chgnet'
    assert result['potential_notice'] is None
    assert result['seed'] == 3
    assert len(result['uuid']) == 36
    assert 1 <= len(result['candidates']) <= 3
    assert [candidate['rank'] for candidate in result['candidates']] == [*range(1, len(result['candidates']) + 1)]
    for candidate in result['candidates']:
        structure = Structure.from_str(candidate['cif'], fmt='cif')
        assert structure.composition.reduced_formula == 'NaCl'
        assert len(structure) == candidate['number_of_atoms']
        assert structure.volume / len(structure) == pytest.approx(candidate['volume_per_atom'], rel=1e-4)
        assert isinstance(candidate['spacegroup'], int)
        assert 1 <= candidate['spacegroup'] <= 230
        assert isinstance(candidate['spacegroup_symbol'], str)
        assert isinstance(candidate['formation_energy_per_atom'], float)
        assert candidate['source'] in {'template', 'descent'}
        assert len(candidate['uuid']) == 36


def test_rock_salt_is_best(prediction):
    best = prediction.result['candidates'][0]
    assert best['spacegroup'] == 225
    assert best['formation_energy_per_atom'] < -1


def test_standard_output_holds_the_object_only(prediction):
    assert prediction.completed.stdout.startswith('{')
    assert prediction.completed.stdout.endswith('}\n')


def test_profile_is_made_and_mentioned(prediction):
    assert "Made the AiiDA profile 'presto'" in prediction.completed.stderr


def test_one_line_per_stage(prediction):
    lines = prediction.completed.stderr.splitlines()
    stages = [line for line in lines if line[1:4] == '/6 ']
    assert [line[0] for line in stages] == list('123456')
    assert '\x1b' not in prediction.completed.stderr


def test_cif_files(prediction):
    result = prediction.result
    assert [path.name for path in prediction.cifs] == [
        f'NaCl_rank_{candidate["rank"]:02d}.cif' for candidate in result['candidates']
    ]
    for path, candidate in zip(prediction.cifs, result['candidates'], strict=True):
        assert path.read_text(encoding='utf-8') == candidate['cif']
        assert Structure.from_file(path).composition.reduced_composition == Composition('NaCl')


def test_table_from_the_cache(prediction, used_cli):
    """A second run takes every stage over, lists the same structures, and says how to see more."""
    completed = used_cli('predict', 'NaCl', '--protocol', 'fast', '--seed', 3, '--top', 3, '--cache')
    assert completed.returncode == 0, completed.stderr
    for candidate in prediction.result['candidates']:
        assert f'{candidate["spacegroup_symbol"]} ({candidate["spacegroup"]})' in completed.stdout
        assert f'{candidate["formation_energy_per_atom"]:.3f}' in completed.stdout
    assert 'aiida-alphacrystal show ' in completed.stdout
    assert 'verdi process status ' in completed.stdout
    assert 'verdi node graph generate ' in completed.stdout
    script = (
        'from aiida import load_profile, orm\n'
        'load_profile()\n'
        'query = orm.QueryBuilder().append(orm.WorkChainNode, tag="chain")\n'
        'query.append(orm.CalcFunctionNode, with_incoming="chain")\n'
        'query.order_by({"chain": {"id": "desc"}}).limit(6)\n'
        'print(all(node.base.caching.is_created_from_cache for node in query.all(flat=True)))\n'
    )
    assert used_cli(script=script).stdout == 'True\n'


INPUTS = """
import json
from aiida import load_profile, orm
load_profile()
chain = orm.load_node({uuid!r})
library = chain.inputs.models.templates
rows = [row for row in chain.outputs.candidates['rows'] if row['source'] == 'template']
print(json.dumps({{
    'sha256': library.sha256,
    'card': library.card,
    'cached': [node.base.caching.is_created_from_cache for node in sorted(chain.called, key=lambda node: node.pk)],
    'templates': len(rows),
}}))
"""


def test_library_of_the_user(prediction, used_cli, tmp_path):
    """The templates come from the given library, which is an input of the work chain with its card."""
    data = write_crystals(tmp_path / 'known.jsonl')
    trained = used_cli('train', 'templates', '--data', data, '--output', tmp_path / 'mine')
    assert trained.returncode == 0, trained.stderr
    path = tmp_path / 'mine' / 'templates.safetensors'
    options = ('--protocol', 'fast', '--seed', 3, '--top', 3, '--format', 'json', '--cache')
    completed = used_cli('predict', 'NaCl', *options, '--templates', path)
    assert completed.returncode == 0, completed.stderr
    result = json.loads(completed.stdout)
    assert {row['spacegroup'] for row in result['candidates'] if row['source'] == 'template'} <= {221, 225}
    inputs = json.loads(used_cli(script=INPUTS.format(uuid=result['uuid'])).stdout)
    assert inputs == {
        'sha256': file_sha256(path),
        'card': json.loads(trained.stdout),
        'cached': [True, False, False, False, False, False],
        'templates': 2,
    }


def test_ctrl_c(prediction, used_cli, tmp_path):
    """Stopping leaves one sentence, the exit status of an interruption, and no process that seems to run."""
    process = used_cli.start('predict', 'Al2O3', '--protocol', 'fast', '--no-cache', directory=tmp_path)
    wait_until_it_says(process, '5/6')
    stdout, stderr = interrupt(process)
    assert process.returncode == 130
    assert stdout == ''
    assert 'Stopped: Work chain' in stderr
    assert 'Traceback' not in stderr
    script = (
        'from aiida import load_profile, orm\n'
        'load_profile()\n'
        'nodes = orm.QueryBuilder().append(orm.ProcessNode).all(flat=True)\n'
        'print([node.pk for node in nodes if not node.is_terminated])\n'
    )
    assert used_cli(script=script).stdout == '[]\n'
