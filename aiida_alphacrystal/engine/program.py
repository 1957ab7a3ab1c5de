"""The program that a job runs on another machine: ``aiida-alphacrystal-engine DIRECTORY``."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from aiida_alphacrystal import __version__

__all__ = ('main',)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the job of a directory and leave with 0, whatever became of it; the summary there says.

    :param arguments: of the command line; those of the process where it is None.
    """
    started = time.monotonic()
    parser = argparse.ArgumentParser(
        prog='aiida-alphacrystal-engine',
        description='Run a job that aiida-alphacrystal has prepared. AiiDA calls this; it needs no AiiDA itself.',
    )
    parser.add_argument('directory', nargs='?', type=Path, default=Path(), help='directory of the job, by default .')
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    options = parser.parse_args(arguments)
    warnings.simplefilter('ignore')
    os.environ.setdefault('SPGLIB_WARNING', 'OFF')  # spglib writes to standard error where it finds no symmetry

    from aiida_alphacrystal.engine.jobs.files import Outcome
    from aiida_alphacrystal.engine.jobs.runner import run_job

    if not options.directory.is_dir():
        parser.error(f'There is no directory {str(options.directory)!r}: give the directory of a job.')
    summary = run_job(options.directory, started)
    sys.stdout.write(f'{summary.outcome}{": " if summary.reason else ""}{summary.reason}\n')
    sys.exit(0 if summary.outcome in {Outcome.FINISHED, Outcome.OUT_OF_TIME} else 1)


if __name__ == '__main__':
    main()
