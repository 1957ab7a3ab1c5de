"""Keep the lines of a long computation as soon as they are there, so that a killed one goes on where it was.

The directory holds ``plan.json`` (what decides about the result) and a file with one JSON line for each part that is
finished, in the order in which they were finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('PLAN_FILE', 'JournalError', 'LineJournal')

Line = TypeVar('Line')

#: Name of the file that says what decides about the result.
PLAN_FILE = 'plan.json'


class JournalError(AlphaCrystalError):
    """The directory of a computation cannot be used."""


class LineJournal(Generic[Line]):
    """The finished parts of a computation in a directory; a context manager that keeps other computations out of it.

    It is open from the start; an exception in the making leaves nothing open.

    :param directory: made where it is missing.
    :param plan: what decides about the result, as plain values.
    :raises JournalError: if the directory holds something else, or another computation is at work there.
    """

    #: The file of lines, and what is said of the directory where another computation works or has worked there.
    file_name: ClassVar[str]
    busy: ClassVar[str]
    foreign: ClassVar[str]

    def __init__(self, directory: Path, plan: Mapping[str, Any]) -> None:
        self._directory = directory
        self._plan = json.loads(json.dumps(plan))
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            self._handle = stack.enter_context((directory / self.file_name).open('a+', encoding='utf-8'))
            self._lock()
            self._check_plan()
            self.results = list(self._read())
            self._files = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the journal; it has been open since it was made."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files."""
        self._files.close()

    def add(self, result: Line) -> None:
        """Keep one line; it is on the disk when this returns.

        :param result: of a part that the journal does not hold yet.
        """
        self._handle.write(json.dumps(self.encode(result)) + '\n')
        self._handle.flush()
        self.results.append(result)  # before the disk is waited for, or Ctrl-C meanwhile would miscount what is kept
        os.fsync(self._handle.fileno())

    @classmethod
    def encode(cls, result: Line) -> Any:
        """Return a line as plain values.

        :param result: the line.
        """
        raise NotImplementedError

    @classmethod
    def decode(cls, values: Any) -> Line:
        """Return the line that plain values stand for.

        :param values: as ``encode`` has made them.
        :raises ValueError: if they stand for none; a ``TypeError`` or ``KeyError`` says the same.
        """
        raise NotImplementedError

    @classmethod
    def decode_line(cls, line: str, where: str) -> Line:
        """Return what a line of the file holds.

        :param line: its text.
        :param where: file and line, for the message.
        :raises JournalError: if it is damaged.
        """
        try:
            return cls.decode(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(f'{where} is damaged: remove this line, and its entry is redone.') from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(f'{self.busy} {self._directory}: wait for it or give another directory.') from error

    def _check_plan(self) -> None:
        """Write down what is computed, or see that it is what was computed before."""
        path = self._directory / PLAN_FILE
        text = path.read_text(encoding='utf-8') if path.exists() else ''
        if not text:
            write_atomically(path, (json.dumps(self._plan, indent=2) + '\n').encode())
            return
        try:
            before = json.loads(text)
        except ValueError as error:
            raise JournalError(
                f'{path} is no JSON: remove it and {self.file_name}, or give another directory.'
            ) from error
        difference = _difference(before, self._plan)
        if difference is not None:
            raise JournalError(f'{self._directory} {self.foreign} ({difference}): give another directory.')

    def _read(self) -> Iterator[Line]:
        """Yield the lines that are there and cut off one that was not written to its end."""
        self._handle.seek(0)
        whole = 0
        for number, line in enumerate(self._handle, start=1):
            if not line.endswith('\n'):
                break
            yield self.decode_line(line, f'{self._directory / self.file_name}:{number}')
            whole += len(line.encode())
        self._handle.truncate(whole)
        self._handle.seek(0, os.SEEK_END)


def _difference(before: Any, now: Any, path: str = '') -> str | None:
    """Name the first place where two nested dictionaries differ, None where they do not."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys: Iterable[str] = dict.fromkeys([*now, *before])
        found = (_difference(before.get(key), now.get(key), f'{path}.{key}'.lstrip('.')) for key in keys)
        return next((place for place in found if place is not None), None)
    return None if before == now else f'{path or "everything"}: {before}, not {now}'
