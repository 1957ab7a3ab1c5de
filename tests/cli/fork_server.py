"""A process that has imported the libraries, and forks for every run of the command line.

A new interpreter needs seconds to import torch and AiiDA, and the tests run hundreds of commands: that was much of
their time. A fork is a process of its own like any other, with the arguments, environment and directory of its run.
The package itself is imported after the fork.

As a script it reads requests from standard input, one JSON object a line, and answers each with the exit status.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

__all__ = ('run',)

_IMPORT = builtins.__import__

_LIBRARIES = (
    'aiida.cmdline',
    'aiida.engine',
    'aiida.orm',
    'aiida.storage.sqlite_dos.backend',
    'ase.filters',
    'chgnet.model',
    'pymatgen.analysis.structure_matcher',
    'pymatgen.core',
    'pyxtal.symmetry',
    'rich.progress',
    'rich.table',
    'scipy.optimize',
    'scipy.stats',
    'spglib',
    'torch',
)


def run(words: list[str], environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run Python and return what it printed, as :func:`subprocess.run` does.

    :param words: ``-m``, a module and its arguments.
    :param environment: of the process.
    :param directory: where it runs.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out, error = (Path(scratch, name) for name in ('out', 'error'))
        request = {'words': words, 'environment': environment, 'directory': str(directory)}
        status = _ask(request | {'out': str(out), 'error': str(error)})
        return subprocess.CompletedProcess([sys.executable, *words], status, out.read_text(), error.read_text())


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Start the process that forks; it ends with this one, whose pipe it reads."""
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(request: dict[str, object]) -> int:
    """Send a request to the process that forks, and wait for the exit status."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + '\n')
    server.stdin.flush()
    return int(server.stdout.readline())


def _serve() -> dict[str, object] | None:
    """Fork for every request: return it in the child, and None in the parent once there are no more."""
    while line := sys.stdin.buffer.raw.readline():  # unbuffered: the child must find nothing of it
        request: dict[str, object] = json.loads(line)
        child = os.fork()
        if child == 0:
            return request
        sys.stdout.write(f'{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n')
        sys.stdout.flush()
    return None


def _become(request: dict[str, object]) -> None:
    """Take on the environment, the directory, the streams and the arguments of a run."""
    os.chdir(str(request['directory']))
    os.environ.clear()
    os.environ.update(request['environment'])
    writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request['out'], writing),
        (2, request['error'], writing),
    ):
        opened = os.open(str(path), flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, 'w'), open(2, 'w', buffering=1)  # noqa: SIM115
    sys.path[0] = os.getcwd()
    sys.argv = list(request['words'][1:])
    builtins.__import__ = _import


def _import(name: str, *args: Any, **options: Any) -> Any:
    """Import a module; with the first one of AiiDA its directory is made, as in a process that has not imported it."""
    if name.split('.', maxsplit=1)[0] == 'aiida':
        builtins.__import__ = _IMPORT
        settings = importlib.import_module('aiida.manage.configuration.settings')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            settings.AiiDAConfigDir.set()
    return _IMPORT(name, *args, **options)


def _import_libraries() -> None:
    """Import what takes long; AiiDA looks for its directory meanwhile, and finds one that nobody uses."""
    os.environ['AIIDA_PATH'] = tempfile.mkdtemp()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for library in _LIBRARIES:
            importlib.import_module(library)
    shutil.rmtree(os.environ['AIIDA_PATH'])


def main() -> None:
    """Run what is asked for."""
    _import_libraries()
    if (request := _serve()) is not None:
        _become(request)
        runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
