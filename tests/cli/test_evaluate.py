"""The command that predicts known crystals."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

KEYS = {
    'n',
    'match_rate',
    'match_rate_strict',
    'match_rate_valid',
    'rmse',
    'crmse',
    'new_prototypes',
    'chance',
    'template_baseline',
    'energy_ranking',
    'seconds_per_entry',
    'peak_memory_mib',
    'failures',
    'versions',
    'weights',
    'potential',
    'seed',
}


@pytest.fixture
def few(crystals_file, tmp_path):
    """Write six textbook crystals."""
    path = tmp_path / 'few.jsonl'
    path.write_text(''.join(crystals_file.read_text().splitlines(keepends=True)[:6]))
    return path


def evaluate(cli, *arguments):
    completed = cli('evaluate', *arguments)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_templates_alone(cli, few, tmp_path):
    output = tmp_path / 'run'
    options = ('--no-relax', '--sources', 'templates', '--jobs', 1, '--format', 'json', '--output', output)
    printed = evaluate(cli, few, *options)
    summary = json.loads(printed)
    assert set(summary) >= KEYS
    assert summary['n'] == 6
    assert set(summary['match_rate']) == {'1', '5', '10', '20'}
    assert summary['match_rate']['20'] == 1.0
    assert summary['energy_ranking'] is None
    assert summary['potential'] is None
    assert summary['failures'] == []
    rows = list(csv.DictReader((output / 'entries.csv').open(encoding='utf-8')))
    assert [row['material_id'] for row in rows] == ['LiF', 'NaCl', 'KBr', 'MgO', 'CaO', 'SrO']
    lines = [json.loads(line) for line in (output / 'entries.jsonl').read_text().splitlines()]
    assert {line['material_id'] for line in lines} == {row['material_id'] for row in rows}
    assert all(line['seconds'] > 0 for line in lines)
    assert json.loads((output / 'summary.json').read_text()) == summary


def test_the_table_names_the_controls(cli, few):
    printed = evaluate(cli, few, '--no-relax', '--sources', 'templates', '--limit', 2)
    for text in ('2 crystals of few.jsonl', 'found', 'nearest templates', 'in random order', 'new prototypes'):
        assert text in printed
    assert 'by energy alone' not in printed
    assert max(len(line) for line in printed.splitlines()) <= 100


def test_the_paper_has_its_own_network(cli, few):
    options = ('--no-relax', '--sources', 'nearest-template', '--limit', 1, '--protocol', 'paper', '--json')
    summary = json.loads(evaluate(cli, few, *options))
    assert set(summary['weights']) == {'distances-reference.safetensors', 'cells.safetensors', 'templates.safetensors'}


def test_killed_and_resumed(cli, crystals_file, tmp_path):
    """Kill it while it relaxes, and go on: the table is that of an evaluation that was left alone."""
    small = tmp_path / 'small.jsonl'
    small.write_text(''.join(crystals_file.read_text().splitlines(keepends=True)[:8]))
    options = ['--sources', 'templates', '--protocol', 'fast', '--jobs', '2', '--json']
    evaluate(cli, small, *options, '--output', tmp_path / 'clean')
    output = tmp_path / 'killed'
    command = [
        sys.executable,
        '-m',
        'aiida_alphacrystal.cli',
        'evaluate',
        str(small),
        *options,
        '--output',
        str(output),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=cli.environment
    ) as running:
        for _ in range(6000):
            if (output / 'entries.jsonl').exists() and (output / 'entries.jsonl').read_text().count('\n') >= 2:
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    before = (output / 'entries.jsonl').read_text()
    assert before.count('\n') >= 2
    assert not (output / 'entries.csv').exists()
    evaluate(cli, small, *options, '--output', output)
    assert (output / 'entries.jsonl').read_text().startswith(before.rpartition('\n')[0])
    assert (output / 'entries.jsonl').read_text().count('\n') == 8
    assert (output / 'entries.csv').read_bytes() == (tmp_path / 'clean' / 'entries.csv').read_bytes()


def test_standard_input(cli, few):
    with few.open('rb') as handle:
        completed = subprocess.run(
            [sys.executable, '-m', 'aiida_alphacrystal.cli', 'evaluate', '-', '--no-relax', '--sources', 'templates'],
            stdin=handle,
            capture_output=True,
            text=True,
            check=False,
            env=cli.environment,
        )
    assert completed.returncode == 0, completed.stderr
    assert '6 crystals of standard input' in completed.stdout


def test_a_directory_of_cif_files(cli, tmp_path):
    directory = tmp_path / 'cifs'
    directory.mkdir()
    sites = [[0] * 3, [0.5] * 3]
    Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], sites).to(str(directory / 'salt.cif'))
    Structure.from_spacegroup(221, Lattice.cubic(4.12), ['Cs', 'Cl'], sites).to(str(directory / 'other.cif'))
    output = tmp_path / 'run'
    evaluate(cli, directory, '--no-relax', '--sources', 'nearest-template', '--output', output)
    rows = list(csv.DictReader((output / 'entries.csv').open(encoding='utf-8')))
    assert [(row['material_id'], row['formula'], row['natoms']) for row in rows] == [
        ('other', 'CsCl', '2'),
        ('salt', 'NaCl', '2'),
    ]


def test_wrong_input_is_one_sentence(cli, few, tmp_path):
    broken = tmp_path / 'broken.jsonl'
    broken.write_text(few.read_text() + '{"species": \n')
    empty = tmp_path / 'empty'
    empty.mkdir()
    unstable = tmp_path / 'unstable.jsonl'
    unstable.write_text(json.dumps({**json.loads(few.read_text().splitlines()[0]), 'e_above_hull': 0.1}))
    used = tmp_path / 'used'
    evaluate(cli, few, '--no-relax', '--sources', 'templates', '--output', used)
    refused = {
        ('nothing-here.jsonl',): "Path 'nothing-here.jsonl' does not exist",
        (broken,): 'broken.jsonl:7 is not a JSON object',
        (empty,): 'holds no crystal',
        (few, '--sources', 'magic'): "'magic' is no source of candidates",
        (few, '--sources', 'templates,random'): 'controls',
        (few, '--max-sites', '21'): '21',
        (few, '--max-sites', '1'): 'holds no crystal of at most 1 atoms',
        (few, '--max-above-hull', '-1'): '-1',
        (unstable, '--max-above-hull', '0'): 'states an e_above_hull of at most 0 eV/atom',
        (few, '--protocol', 'slow'): 'slow',
        (few, '--potential', './nothing-here'): 'nothing-here',
        (few, '--no-relax', '--sources', 'templates', '--seed', '1', '--output', used): 'seed: 0, not 1',
        (few, '--output', few): 'few.jsonl',
    }
    for arguments, message in refused.items():
        completed = cli('evaluate', *arguments)
        assert completed.returncode == 2, arguments
        assert completed.stdout == ''
        assert message in ' '.join(completed.stderr.split()), arguments
        assert 'Traceback' not in completed.stderr


@pytest.mark.skipif(not hasattr(os, 'killpg'), reason='needs process groups, as Ctrl-C in a terminal does')
def test_ctrl_c_says_how_to_go_on(cli, few, tmp_path):
    output = tmp_path / 'run'
    command = [sys.executable, '-m', 'aiida_alphacrystal.cli', 'evaluate', str(few), '--output', str(output)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.environment, start_new_session=True
    ) as running:
        for _ in range(6000):
            if (output / 'entries.jsonl').exists() and (output / 'entries.jsonl').read_text():
                break
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    kept = Path(output / 'entries.jsonl').read_text().count('\n')
    assert f'{kept} of 6 entries are kept: run the same command again to go on from there.' in errors
    assert 'Traceback' not in errors
