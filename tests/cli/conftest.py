"""Run the command line as a user does: another process, a directory of AiiDA of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import fork_server


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What one real run of ``predict`` left behind."""

    completed: subprocess.CompletedProcess[str]
    cifs: tuple[Path, ...]

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(self.completed.stdout)


@dataclasses.dataclass(frozen=True)
class Command:
    """The command line, run in another process with a directory of its own."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """An environment in which nothing of the user is read or written."""
        (self.directory / 'home').mkdir(parents=True, exist_ok=True)
        dropped = {'AIIDA_PROFILE', 'FORCE_COLOR', 'TTY_COMPATIBLE', 'TTY_INTERACTIVE'}
        kept = {key: value for key, value in os.environ.items() if key not in dropped}
        return kept | {
            'AIIDA_PATH': str(self.directory),
            'HOME': str(self.directory / 'home'),
            'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')]),
        }

    def __call__(self, *args: object, script: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command, or else a Python script."""
        directory = self.directory / 'work'
        environment = self.environment
        directory.mkdir(exist_ok=True)
        if script is None:
            return fork_server.run(['-m', 'aiida_alphacrystal.cli', *map(str, args)], environment, directory)
        return subprocess.run(
            [sys.executable, '-c', script],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *args: object, directory: Path) -> subprocess.Popen[str]:
        """Start a command and go on while it runs."""
        return self._start(['-m', 'aiida_alphacrystal.cli', *map(str, args)], directory)

    def start_script(self, script: str, directory: Path) -> subprocess.Popen[str]:
        """Start a Python script and go on while it runs."""
        return self._start(['-c', script], directory)

    def _start(self, words: list[str], directory: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=directory,
        )


def wait_until_it_says(process: subprocess.Popen[str], beginning: str) -> None:
    """Read what a command writes to standard error, up to a line that begins like this."""
    said = ''
    while not said.startswith(beginning):
        said = process.stderr.readline()
        assert said, f'ended before it said {beginning!r}'


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Send a command what Ctrl-C sends, and return what it still writes."""
    process.send_signal(signal.SIGINT)
    return process.communicate()


@pytest.fixture
def cli(tmp_path: Path) -> Command:
    """Run the command line on a machine that has never seen AiiDA."""
    return Command(tmp_path / 'fresh')


@pytest.fixture(scope='session')
def used_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Run the command line where a prediction has been made."""
    directory = tmp_path_factory.mktemp('used')
    command = Command(directory)
    yield command
    if any((directory / '.aiida' / 'daemon').glob('*.pid')):
        subprocess.run(
            [sys.executable, '-m', 'aiida', 'daemon', 'stop', '--all'],
            env=command.environment,
            capture_output=True,
            check=False,
        )


@pytest.fixture(scope='session')
def prediction(used_cli: Command, tmp_path_factory: pytest.TempPathFactory) -> Prediction:
    """Predict NaCl once for all tests."""
    output = tmp_path_factory.mktemp('cifs') / 'deep' / 'results'
    completed = used_cli(
        'predict', 'NaCl', '--protocol', 'fast', '--seed', 3, '--top', 3, '--format', 'json', '--output', output
    )
    assert completed.returncode == 0, completed.stderr
    return Prediction(completed, tuple(sorted(output.iterdir())))
