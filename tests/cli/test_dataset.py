"""The commands that build a file of known crystals."""

from __future__ import annotations

import gzip
import json
import signal
import threading

import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.datasets import read_crystals
from tests.local_server import Answer, materials_project, optimade

from .conftest import Command, interrupt

KEY = 'k' * 32


def run(cli, *arguments):
    completed = cli('dataset', *arguments)
    assert completed.returncode == 0, completed.stderr
    return completed


def test_a_folder(cli, crystals_file, tmp_path):
    folder = tmp_path / 'crystals'
    folder.mkdir()
    (folder / 'known.jsonl').write_text(crystals_file.read_text() + '{"species": [\n')
    Structure(Lattice.cubic(4), [{'Na': 0.5, 'K': 0.5}], [[0] * 3]).to(str(folder / 'alloy.cif'))
    Structure.from_spacegroup(225, Lattice.cubic(5.65), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]).to(str(folder / 'a.cif'))
    output = tmp_path / 'set'
    options = ('--preset', 'binary', '--val', 0.2, '--test', 0.3, '--source', 'textbooks', '-o', output)
    completed = run(cli, 'folder', folder, *options, '--format', 'json')
    card = json.loads(completed.stdout)
    assert card == json.loads((output / 'card.json').read_text())
    counts = card['counts']
    assert counts['read'] == 22
    assert counts['filtered'] == {'not of 2 elements': 4}
    assert counts['duplicates'] == 1
    assert sum(counts['written'].values()) == 15
    assert card['source']['stated'] == 'textbooks'
    said = completed.stderr.splitlines()
    first = said.index('Entries that cannot be used: 2')
    assert '  1 x several elements share a site (such as alloy)' in said[first : first + 3]
    assert any('is not a JSON object' in line and 'such as known.jsonl:20' in line for line in said[first : first + 3])
    assert said[0] == '1/3 Reading crystals'
    assert said[-1] == f'Wrote the crystals and their card to {output}.'
    again = run(cli, 'folder', folder, *options)
    lines = again.stdout.splitlines()
    assert lines[0].split() == ['entries', 'read', '22']
    assert max(map(len, lines)) <= 100
    for name, facts in card['files'].items():
        assert f'{facts["crystals"]} crystals, {facts["formulas"]} formulas' in again.stdout
        told = f'{name} is empty: ' in again.stderr
        assert told if facts['crystals'] == 0 else len(read_crystals(output / name)) == facts['crystals']


def test_the_training_takes_what_is_written(cli, crystals_file, tmp_path):
    run(cli, 'folder', crystals_file, '--val', 0, '--test', 0, '-o', tmp_path / 'set')
    completed = cli(
        'train', 'templates', '--data', tmp_path / 'set' / 'train.jsonl.gz', '--output', tmp_path / 'weights'
    )
    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout)['members'] == 19


def test_optimade(cli, serve, tmp_path):
    server = serve(optimade)
    options = ('--filter', 'nelements=2', '--energy-field', '_tst_energy', '--hull-field', '_tst_hull')
    hull = ('--max-above-hull', 0.01, '--val', 0, '--test', 0)
    completed = run(cli, 'optimade', server.base, *options, *hull, '-o', tmp_path, '--format', 'json')
    card = json.loads(completed.stdout)
    assert card['source']['provider'] == 'Textbook crystals'
    assert card['source']['licence'] == 'CC-BY-4.0'
    assert card['counts']['filtered'] == {'above the hull by over 0.01 eV/atom': 1}
    assert [one.material_id for one in read_crystals(tmp_path / 'train.jsonl.gz')] == ['tst-1', 'tst-4']
    assert [row['material_id'] for row in card['left_out']] == ['tst-3', 'tst-5', 'tst-6']


def test_the_materials_project(cli, serve, tmp_path, monkeypatch):
    pytest.importorskip('mp_api', reason='the extra `datasets` is not installed')
    server = serve(materials_project)
    monkeypatch.setenv('MP_API_ENDPOINT', server.base)
    monkeypatch.setenv('MP_API_KEY', KEY)
    options = ('--preset', 'mp12', '--elements', 'Na,Cl', '--val', 0, '--test', 0, '--format', 'json')
    completed = run(cli, 'materials-project', *options, '-o', tmp_path / 'set')
    card = json.loads(completed.stdout)
    assert card['source']['licence'] == 'CC BY 4.0'
    assert card['source']['query']['nsites_max'] == 12
    assert card['source']['query']['elements'] == 'Na,Cl'
    assert (card['counts']['written'], card['counts']['duplicates']) == ({'train': 4}, 1)
    for path in (tmp_path / 'set').iterdir():
        content = path.read_bytes()
        assert KEY.encode() not in (gzip.decompress(content) if path.suffix == '.gz' else content)


GROUP = """
from aiida import orm
from pymatgen.core import Lattice, Structure
from aiida_alphacrystal.cli.profile import load_profile
load_profile(None, create=True)
sites = [[0] * 3, [0.5] * 3]
structures = [Structure.from_spacegroup(225, Lattice.cubic(a), ['Li', 'F'], sites) for a in (4, 4.1)]
nodes = [*(orm.StructureData(pymatgen=structure) for structure in structures), orm.Int(1)]
orm.Group('mine').store().add_nodes([node.store() for node in nodes])
"""


def test_a_group(tmp_path):
    command = Command(tmp_path / 'home')
    made = command(script=GROUP)
    assert made.returncode == 0, made.stderr
    completed = run(command, 'group', 'mine', '--val', 0, '--test', 0, '-o', tmp_path / 'set', '--format', 'json')
    card = json.loads(completed.stdout)
    assert card['source']['label'] == 'mine'
    assert (card['counts']['read'], card['counts']['duplicates']) == (3, 1)
    assert card['counts']['left_out'] == {'no structure (Int)': 1}
    missing = command('dataset', 'group', 'none', '-o', tmp_path / 'none')
    assert missing.returncode == 2
    assert "There is no group 'none'" in missing.stderr


def test_wrong_input_is_one_sentence(cli, crystals_file, tmp_path, monkeypatch):
    monkeypatch.delenv('MP_API_KEY', raising=False)
    used, empty = tmp_path / 'used', tmp_path / 'empty'
    empty.mkdir()
    run(cli, 'folder', crystals_file, '-o', used)
    new = ('-o', tmp_path / 'new')
    refused = {
        ('folder', 'nothing-here', *new): "Path 'nothing-here' does not exist",
        ('folder', empty, *new): 'There is no file of crystals at',
        ('folder', crystals_file): "Missing option '-o'",
        ('folder', crystals_file, '--preset', 'mp21', *new): 'mp21',
        ('folder', crystals_file, '--max-atoms', '21', *new): '21',
        ('folder', crystals_file, '--val', '0.5', '--test', '0.5', *new): 'leave nothing to train on',
        ('folder', crystals_file, '--max-atoms', '1', *new): 'None of the 19 entries of the source is taken',
        (
            'folder',
            crystals_file,
            '--max-atoms',
            '12',
            '-o',
            used,
        ): 'asked for otherwise (filters.max_atoms: 20, not 12)',
        ('folder', crystals_file, '-o', crystals_file): 'crystals.jsonl',
        ('materials-project', *new): 'The environment variable MP_API_KEY does not hold your key',
        ('optimade', 'example.org', *new): 'is no base URL of an OPTIMADE provider',
    }
    for arguments, message in refused.items():
        completed = cli('dataset', *arguments)
        assert completed.returncode == 2, (arguments, completed.stderr)
        assert completed.stdout == ''
        assert message in ' '.join(completed.stderr.split()), arguments
        assert 'Traceback' not in completed.stderr


def test_a_key_and_elements_that_are_none(cli, tmp_path, monkeypatch):
    monkeypatch.setenv('MP_API_KEY', 'short')
    completed = cli('dataset', 'materials-project', '-o', tmp_path)
    assert completed.returncode == 2
    assert 'has 5 characters in place of 32' in completed.stderr
    monkeypatch.setenv('MP_API_KEY', KEY)
    completed = cli('dataset', 'materials-project', '--elements', 'Na,Xx', '-o', tmp_path)
    assert completed.returncode == 2
    assert "'Xx' is no element" in completed.stderr


def test_no_network_is_a_failure(cli, tmp_path):
    completed = cli('dataset', 'optimade', 'http://127.0.0.1:9', '-o', tmp_path)
    assert completed.returncode == 1
    assert completed.stdout == ''
    assert completed.stderr.splitlines()[-1] == (
        'Error: 127.0.0.1:9 cannot be reached: see whether this machine has a network, and run the same command again '
        'later, what has been read is kept.'
    )


def test_ctrl_c_says_how_to_go_on(cli, serve, tmp_path):
    asked, go_on = threading.Event(), threading.Event()

    def slow(request):
        if 'page_number' in request.parameters:
            asked.set()
            go_on.wait(60)
            return Answer('', 404)
        return optimade(request)

    server = serve(slow)
    running = cli.start('dataset', 'optimade', server.base, '--val', 0, '-o', tmp_path / 'set', directory=tmp_path)
    assert asked.wait(60)
    _, errors = interrupt(running)
    go_on.set()
    assert running.returncode == 128 + signal.SIGINT
    assert errors.splitlines()[-1] == (
        'Stopped: What has been read is kept: run the same command again to go on from there.'
    )
    server.answer = optimade
    server.requests.clear()
    completed = run(cli, 'optimade', server.base, '--val', 0, '-o', tmp_path / 'set', '--format', 'json')
    assert json.loads(completed.stdout)['counts']['read'] == 6
    assert [request.parameters for request in server.requests] == [{'page_number': '2'}]
