"""The root command, and what all commands have in common."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from aiida_alphacrystal import __version__
from aiida_alphacrystal.cli import cmd_root


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that lead to every command."""
    yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from walk(child, (*path, name))


COMMANDS = tuple(walk(cmd_root))


@pytest.mark.parametrize('path', COMMANDS, ids=lambda path: ' '.join(path) or 'root')
def test_help(cli, path):
    completed = cli(*path, '--help')
    assert completed.returncode == 0
    assert completed.stdout.startswith(f'Usage: {" ".join(("aiida-alphacrystal", *path))} ')
    assert completed.stderr == ''


@pytest.mark.parametrize('path', COMMANDS, ids=lambda path: ' '.join(path) or 'root')
def test_every_option_is_explained(path):
    command = cmd_root
    for name in path:
        command = command.commands[name]
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


#: Commands that print no result, but write files.
WITHOUT_RESULT = {('report',), *(('plot', name) for name in ('distances', 'energies', 'structure', 'training'))}


def command_of(path):
    command = cmd_root
    for name in path:
        command = command.commands[name]
    return command


@pytest.mark.parametrize('path', [path for path in COMMANDS if not isinstance(command_of(path), click.Group)])
def test_every_result_can_be_had_as_json(path):
    choices = [
        parameter.type.choices
        for parameter in command_of(path).params
        if '--format' in parameter.opts and isinstance(parameter.type, click.Choice)
    ]
    assert (path in WITHOUT_RESULT) is (choices == [])
    assert all('json' in names for names in choices)


def test_help_lists_the_commands(cli):
    stdout = cli('--help').stdout
    for name in ('predict', 'show', 'train', 'potential', 'compare', 'evaluate'):
        assert f'\n  {name} ' in stdout


def test_help_tells_how_words_are_completed(cli):
    assert '\n    eval "$(_AIIDA_ALPHACRYSTAL_COMPLETE=bash_source aiida-alphacrystal)"\n' in cli('--help').stdout


def test_help_of_predict_lists_the_options(cli):
    stdout = cli('predict', '-h').stdout
    for option in ('--top', '--protocol', '--potential', '--seed', '--daemon', '--format', '--output', '--profile'):
        assert option in stdout


@pytest.mark.parametrize('path', [(), ('train',), ('potential',)])
def test_a_group_alone_prints_its_help(cli, path):
    completed = cli(*path)
    assert completed.returncode == 0
    assert completed.stdout == cli(*path, '--help').stdout


@pytest.mark.parametrize('path', COMMANDS, ids=lambda path: ' '.join(path) or 'root')
def test_help_imports_nothing_heavy(cli, path):
    script = (
        'import sys\n'
        'from aiida_alphacrystal.cli import main\n'
        'try:\n'
        f'    main({[*path, "--help"]})\n'
        'finally:\n'
        '    heavy = {"aiida", "torch", "matgl", "chgnet", "pymatgen", "numpy", "ase", "rich", "matplotlib"}\n'
        '    heavy &= set(sys.modules)\n'
        '    assert not heavy, heavy\n'
    )
    completed = cli(script=script)
    assert completed.returncode == 0, completed.stderr


def test_version(cli):
    completed = cli('--version')
    assert completed.stdout == f'aiida-alphacrystal {__version__}\n'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nothing'], "No such command 'nothing'."),
        (['predict'], "Missing argument 'FORMULA'."),
        (['predict', 'NaCl', '--tpo', '3'], 'No such option: --tpo'),
        (['show'], "Missing argument 'PK|UUID'."),
    ],
)
def test_wrong_usage(cli, arguments, message):
    completed = cli(*arguments)
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert completed.stderr.count('\n') == 1
    assert message in completed.stderr
