"""Every command in the documentation exists and takes the options that are written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from aiida_alphacrystal.cli.data import cmd_data
from aiida_alphacrystal.cli.root import cmd_root

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'benchmarks' / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
COMMANDS = {('aiida-alphacrystal',): cmd_root, ('verdi', 'data', 'alphacrystal'): cmd_data}


def lines_of(page: str) -> list[str]:
    """Return the lines of the blocks for bash, those that go on put together."""
    blocks = re.findall(r'^```bash\n(.*?)^```', page, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace('\\\n', ' ').splitlines()]


def unknown_words(line: str) -> Iterator[str]:
    """Yield the commands and options of a line that do not exist."""
    for part in re.split(r'&&|\|', line):
        words = shlex.split(part, comments=True)
        for start, command in COMMANDS.items():
            if tuple(words[: len(start)]) == start:
                yield from unknown_to(command, words[len(start) :])


def unknown_to(command: click.Command, words: list[str]) -> Iterator[str]:
    """Yield what a command does not know."""
    options = {'-h', '--help'}.union(*([*parameter.opts, *parameter.secondary_opts] for parameter in command.params))
    for place, word in enumerate(words):
        if word.startswith('-') and word != '-' and not re.fullmatch(r'-\d.*', word):
            if word.partition('=')[0] not in options:
                yield f'{command.name} {word}'
        elif isinstance(command, click.Group):
            if word.isupper():  # stands for any command
                return
            if word not in command.commands:
                yield f'{command.name} {word}'
                return
            yield from unknown_to(command.commands[word], words[place + 1 :])
            return


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page):
    lines = lines_of(page.read_text(encoding='utf-8'))
    assert [word for line in lines for word in unknown_words(line)] == []


def test_what_does_not_exist_is_found():
    assert list(unknown_words('aiida-alphacrystal predikt NaCl')) == ['aiida-alphacrystal predikt']
    assert list(unknown_words('x && aiida-alphacrystal predict NaCl --fast --top 3 # --no')) == ['predict --fast']
    assert list(unknown_words('verdi data alphacrystal models import a --label b')) == ['import --label']
