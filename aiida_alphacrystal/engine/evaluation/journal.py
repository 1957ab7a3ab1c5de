"""Keep every result of an evaluation as soon as it is there, so that a killed one goes on where it was.

The directory of an evaluation holds ``plan.json`` (what is evaluated), ``entries.jsonl`` (a line for each entry in the
order in which they came, with the time each took), and after the end ``entries.csv`` (the table in the order of the
data, without times, the same for every run) and ``summary.json``.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.evaluation.entries import COLUMNS, EntryResult, read_result

__all__ = ('Journal', 'JournalError', 'read_evaluation')

_PLAN, _ENTRIES, _TABLE, _SUMMARY = 'plan.json', 'entries.jsonl', 'entries.csv', 'summary.json'


class JournalError(AlphaCrystalError):
    """The directory of an evaluation cannot be used."""


class Journal:
    """The results of an evaluation in a directory; a context manager that keeps other evaluations out of it.

    It is open from the start; an exception in the making leaves nothing open.

    :param directory: made where it is missing.
    :param plan: what decides about the result, as plain values.
    :raises JournalError: if the directory holds an evaluation of something else, or another one is at work there.
    """

    def __init__(self, directory: Path, plan: Mapping[str, Any]) -> None:
        self._directory = directory
        self._plan = json.loads(json.dumps(plan))
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            self._handle = stack.enter_context((directory / _ENTRIES).open('a+', encoding='utf-8'))
            self._lock()
            self._check_plan()
            self.results = list(self._read())
            self._files = stack.pop_all()

    def __enter__(self) -> Journal:
        """Return the journal; it has been open since it was made."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files."""
        self._files.close()

    def add(self, result: EntryResult) -> None:
        """Keep one result; it is on the disk when this returns.

        :param result: of an entry that the journal does not hold yet.
        """
        self._handle.write(json.dumps(dataclasses.asdict(result)) + '\n')
        self._handle.flush()
        self.results.append(result)  # before the disk is waited for, or Ctrl-C meanwhile would miscount what is kept
        os.fsync(self._handle.fileno())

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the table of entries and the summary.

        :param summary: plain values without infinities.
        """
        with (self._directory / _TABLE).open('w', encoding='utf-8', newline='') as handle:
            writer = csv.writer(handle, lineterminator='\n')
            writer.writerow(COLUMNS)
            writer.writerows(_cells(result) for result in sorted(self.results, key=lambda result: result.index))
        text = json.dumps(summary, indent=2, allow_nan=False)
        (self._directory / _SUMMARY).write_text(text + '\n', encoding='utf-8')

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(
                f'Another evaluation is at work in {self._directory}: wait for it or give another directory.'
            ) from error

    def _check_plan(self) -> None:
        """Write down what is evaluated, or see that it is what was evaluated before."""
        path = self._directory / _PLAN
        text = path.read_text(encoding='utf-8') if path.exists() else ''
        if not text:
            write_atomically(path, (json.dumps(self._plan, indent=2) + '\n').encode())
            return
        try:
            before = json.loads(text)
        except ValueError as error:
            raise JournalError(f'{path} is no JSON: remove it and {_ENTRIES}, or give another directory.') from error
        difference = _difference(before, self._plan)
        if difference is not None:
            raise JournalError(
                f'{self._directory} holds an evaluation of something else ({difference}): give another directory.'
            )

    def _read(self) -> Iterator[EntryResult]:
        """Yield the results that are there and cut off a line that was not written to its end."""
        self._handle.seek(0)
        whole = 0
        for number, line in enumerate(self._handle, start=1):
            if not line.endswith('\n'):
                break
            yield _read_line(line, f'{self._directory / _ENTRIES}:{number}')
            whole += len(line.encode())
        self._handle.truncate(whole)
        self._handle.seek(0, os.SEEK_END)


def read_evaluation(directory: Path) -> tuple[dict[str, Any], tuple[EntryResult, ...]]:
    """Return what was evaluated, and the results in the order of the data.

    :param directory: of an evaluation.
    :raises JournalError: if it holds none, or a line of it is damaged.
    """
    try:
        plan = json.loads((directory / _PLAN).read_text(encoding='utf-8'))
        lines = (directory / _ENTRIES).read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError) as error:
        raise JournalError(
            f'{directory} holds no evaluation: give the directory of `aiida-alphacrystal evaluate --output`.'
        ) from error
    results = [_read_line(line, f'{directory / _ENTRIES}:{number}') for number, line in enumerate(lines, start=1)]
    return plan, tuple(sorted(results, key=lambda result: result.index))


def _read_line(line: str, where: str) -> EntryResult:
    try:
        return read_result(json.loads(line))
    except (TypeError, ValueError) as error:
        raise JournalError(f'{where} is damaged: remove this line, and its entry is redone.') from error


def _difference(before: Any, now: Any, path: str = '') -> str | None:
    """Name the first place where two nested dictionaries differ, None where they do not."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys: Iterable[str] = dict.fromkeys([*now, *before])
        found = (_difference(before.get(key), now.get(key), f'{path}.{key}'.lstrip('.')) for key in keys)
        return next((place for place in found if place is not None), None)
    return None if before == now else f'{path or "everything"}: {before}, not {now}'


def _cells(result: EntryResult) -> list[Any]:
    """Return one row of the table, empty where there is nothing."""
    values = (getattr(result, name) for name in COLUMNS)
    return ['' if value is None else value for value in values]
