"""Run the tutorial as a reader does, and compare what is printed with what the page shows.

``python -m tests.docs.tutorial`` runs it in a directory and a home of their own and writes what was printed into the
page; the test compares instead. A block of ```` ```bash ```` is run; the block of ```` ```text ```` behind it is what a
terminal shows in the end.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

PAGE = Path(__file__).parents[2] / 'docs' / 'tutorial.md'

#: The terminal of the tutorial.
_COLUMNS, _LINES = 100, 60

#: Blocks that a test does not run: the installation, which ``.ci/run`` tries, and what opens a window.
_NOT_RUN = re.compile(r'pip install|git clone|webbrowser')

_BLOCK = re.compile(r'^```bash\n(?P<commands>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?', re.MULTILINE | re.DOTALL)
_ESCAPE = re.compile(r'\x1b\[(?P<arguments>[0-9;?]*)(?P<command>[A-Za-z])')
_NUMBER = re.compile(r'-?\d+\.\d+')


@dataclasses.dataclass(frozen=True)
class Step:
    """One block of commands.

    :param commands: what the reader types.
    :param output: what the page shows; None where it shows nothing.
    :param span: where the output stands in the page.
    """

    commands: str
    output: str | None
    span: tuple[int, int]


def read_steps(page: str) -> list[Step]:
    """Return the blocks of a page that are run.

    :param page: its text.
    """
    return [
        Step(match['commands'], match['output'], match.span('output'))
        for match in _BLOCK.finditer(page)
        if not _NOT_RUN.search(match['commands'])
    ]


def run(commands: str, directory: Path) -> str:
    """Run commands in a terminal and return what it shows in the end.

    :param commands: lines for bash.
    :param directory: where; its directory ``home`` is the home of the reader.
    :raises AssertionError: if a command fails.
    """
    (directory / 'home').mkdir(exist_ok=True)
    dropped = {'AIIDA_PATH', 'AIIDA_PROFILE', 'CI', 'COLUMNS', 'LINES', 'NO_COLOR', 'FORCE_COLOR'}
    dropped |= {'TTY_COMPATIBLE', 'TTY_INTERACTIVE'}
    environment = {key: value for key, value in os.environ.items() if key not in dropped} | {
        'HOME': str(directory / 'home'),
        'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')]),
        'TERM': 'xterm-256color',
    }
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', _LINES, _COLUMNS, 0, 0))
    process = subprocess.Popen(
        ['bash', '-euo', 'pipefail', '-c', commands],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=directory,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    printed = shown_by_terminal(_read(ours)).replace(str(directory / 'home'), '/home/you')
    assert process.wait() == 0, f'{commands}\n{printed}'
    return printed


def _read(descriptor: int) -> str:
    """Return everything that is written to a terminal until nobody can write any more."""
    chunks = []
    with open(descriptor, 'rb', buffering=0) as terminal:
        while True:
            try:
                chunk = terminal.read(65536)
            except OSError:  # Linux says so when the last writer has gone
                break
            if not chunk:
                break
            chunks.append(chunk)
    return b''.join(chunks).decode()


def shown_by_terminal(stream: str) -> str:
    """Return what a terminal shows after a stream of text and of the escape sequences that progress bars use.

    :param stream: what was written to it.
    """
    lines, row, column = [''], 0, 0
    position = 0
    while position < len(stream):
        escape = _ESCAPE.match(stream, position)
        if escape:
            position = escape.end()
            count = int(escape['arguments'] or 1) if escape['arguments'].isdigit() or not escape['arguments'] else 1
            if escape['command'] == 'A':
                row = max(0, row - count)
            elif escape['command'] == 'K':
                lines[row] = '' if escape['arguments'] == '2' else lines[row][:column]
            continue
        character = stream[position]
        position += 1
        if character == '\r':
            column = 0
        elif character == '\n':
            row += 1
            lines += [''] * (row + 1 - len(lines))
        else:
            lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
            column += 1
    return ''.join(f'{line.rstrip()}\n' for line in lines).strip('\n') + '\n'


def differences(shown: str, printed: str) -> list[str]:
    """Return the lines of a page that are not those that were printed.

    Numbers with a decimal point may differ by two units of the last digit or by a hundredth of themselves, since
    another processor rounds otherwise; times may be any; white space between words may be as it likes.

    :param shown: what the page shows.
    :param printed: what was printed.
    """
    expected, found = ([normalised(line) for line in text.strip('\n').splitlines()] for text in (shown, printed))
    missing = [''] * abs(len(expected) - len(found))
    pairs = zip(expected + missing, found + missing, strict=False)
    return [f'shown: {one}\nfound: {other}' for one, other in pairs if not _alike(one, other)]


def normalised(line: str) -> str:
    """Return a line without what changes from run to run: times, dates and UUIDs.

    :param line: a line of output.
    """
    line = re.sub(r'\b\d+:\d\d(:\d\d)?\b', 'TIME', line)
    line = re.sub(r'\b\d{4}-\d\d-\d\d\b', 'DATE', line)
    line = re.sub(r'\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b', 'UUID', line)
    return ' '.join(line.split())


def _alike(one: str, other: str) -> bool:
    """Return whether two lines are the same but for the last digits of their numbers."""
    if _NUMBER.split(one) != _NUMBER.split(other):
        return False
    return all(
        len(first) == len(second) and abs(float(first) - float(second)) <= _tolerance(first)
        for first, second in zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    )


def _tolerance(number: str) -> float:
    digits = len(number.partition('.')[2])
    return max(2.5 * 10**-digits, 0.01 * abs(float(number)))


def main() -> None:
    """Write into the page what its commands print."""
    page = PAGE.read_text(encoding='utf-8')
    pieces, end = [], 0
    with tempfile.TemporaryDirectory(prefix='alphacrystal-tutorial-') as directory:
        for step in read_steps(page):
            sys.stdout.write(step.commands)
            printed = run(step.commands, Path(directory))
            sys.stdout.write(printed)
            if step.output is not None:
                pieces += [page[end : step.span[0]], printed]
                end = step.span[1]
    PAGE.write_text(''.join([*pieces, page[end:]]), encoding='utf-8')


if __name__ == '__main__':
    main()
