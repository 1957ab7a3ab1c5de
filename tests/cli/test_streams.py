"""Keeping results apart from what libraries print."""

from __future__ import annotations

import sys

from aiida_alphacrystal.cli.streams import clean_stdout

SCRIPT = """
import os
import warnings
from aiida_alphacrystal.cli.streams import clean_stdout
print('before')
with clean_stdout():
    print('printed by Python')
    os.write(1, b'written by compiled code\\n')
    os.system('echo said by a child')
print('after')
"""


def test_clean_stdout(cli):
    completed = cli(script=SCRIPT)
    assert completed.stdout == 'before\nafter\n'
    for line in ('printed by Python', 'written by compiled code', 'said by a child'):
        assert line in completed.stderr


def test_clean_stdout_without_file_descriptors(capsys):
    with clean_stdout():
        sys.stdout.write('noise\n')
    sys.stdout.write('result\n')
    captured = capsys.readouterr()
    assert captured.out == 'result\n'
    assert captured.err == 'noise\n'
