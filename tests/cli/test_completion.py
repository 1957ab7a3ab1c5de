"""What a shell offers after a Tab, asked as a shell asks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

SCRIPT = 'from aiida_alphacrystal.cli import main; main([])'


@pytest.fixture
def complete(cli):
    """Return a function that tells what is offered for the last of some words."""

    def ask(*words, shell='bash'):
        environment = cli.environment | {
            '_AIIDA_ALPHACRYSTAL_COMPLETE': f'{shell}_complete',
            'COMP_WORDS': ' '.join(('aiida-alphacrystal', *words)),
            'COMP_CWORD': words[-1] if shell == 'fish' else str(len(words)),
        }
        done = subprocess.run(
            [sys.executable, '-c', SCRIPT], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stderr == ''
        return [line for line in done.stdout.splitlines() if line]

    return ask


def test_commands(complete):
    assert complete('pl') == ['plain,plot']
    assert complete('plot', '') == [f'plain,{name}' for name in ('distances', 'energies', 'structure', 'training')]
    assert complete('models', 'evaluate', 'c') == ['plain,cells']
    offered = {line.removeprefix('plain,') for line in complete('')}
    assert {'predict', 'screen', 'show', 'list', 'plot', 'train'} <= offered


def test_options_and_choices(complete):
    assert complete('predict', 'NaCl', '--proto') == ['plain,--protocol']
    assert complete('predict', 'NaCl', '--protocol', '') == [
        'plain,fast',
        'plain,balanced',
        'plain,stringent',
        'plain,paper',
    ]
    assert complete('predict', 'NaCl', '--format', 'j') == ['plain,json']
    assert complete('cells', 'NaCl', '--crystal-system', 'cu') == ['plain,cubic']


def test_files(complete):
    assert complete('plot', 'training', 'wei') == ['file,wei']
    assert complete('plot', 'energies', '8', '-o', 'pic') == ['file,pic']
    assert complete('predict', 'NaCl', '--output', 'dir') == ['file,dir']


def test_profiles(cli, complete):
    assert complete('show', '8', '-p', '') == []
    profiles = {name: {'storage': {}, 'process_control': {}} for name in ('presto', 'production', 'mine')}
    folder = cli.directory / '.aiida'
    folder.mkdir(parents=True, exist_ok=True)
    version = {'CURRENT': 9, 'OLDEST_COMPATIBLE': 9}
    (folder / 'config.json').write_text(json.dumps({'CONFIG_VERSION': version, 'profiles': profiles}))
    assert complete('show', '8', '-p', 'pr') == ['plain,presto', 'plain,production']
    assert complete('show', '8', '--profile', '') == ['plain,mine', 'plain,presto', 'plain,production']
    (folder / 'config.json').write_text('tea')
    assert complete('show', '8', '-p', 'pr') == []


def test_other_shells(complete):
    assert complete('pot', shell='zsh')[:2] == ['plain', 'potential']
    assert complete('pot', shell='fish')[0].startswith('plain,potential')


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_script_for_the_shell(cli, shell):
    environment = cli.environment | {'_AIIDA_ALPHACRYSTAL_COMPLETE': f'{shell}_source'}
    done = subprocess.run([sys.executable, '-c', SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert f'_AIIDA_ALPHACRYSTAL_COMPLETE={shell}_complete' in done.stdout
    assert 'aiida-alphacrystal' in done.stdout


def test_bash_itself(cli):
    if shutil.which('bash') is None or shutil.which('aiida-alphacrystal', path=cli.environment['PATH']) is None:
        pytest.skip('there is no bash, or the program is not installed beside this Python')
    script = """
        eval "$(_AIIDA_ALPHACRYSTAL_COMPLETE=bash_source aiida-alphacrystal)"
        COMP_WORDS=(aiida-alphacrystal plot e) COMP_CWORD=2
        _aiida_alphacrystal_completion aiida-alphacrystal
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(['bash', '-c', script], env=cli.environment, capture_output=True, text=True, check=True)
    assert done.stdout == 'energies\n'


def test_nothing_heavy_is_imported(cli):
    script = """
import os, sys
os.environ['_AIIDA_ALPHACRYSTAL_COMPLETE'] = 'bash_complete'
os.environ |= {'COMP_WORDS': 'aiida-alphacrystal pl', 'COMP_CWORD': '1'}
from aiida_alphacrystal.cli import main
try:
    main([])
finally:
    heavy = {'aiida', 'torch', 'matgl', 'chgnet', 'pymatgen', 'numpy', 'ase', 'rich', 'matplotlib'} & set(sys.modules)
    assert not heavy, heavy
"""
    done = cli(script=script)
    assert (done.stdout, done.stderr) == ('plain,plot\n', '')
