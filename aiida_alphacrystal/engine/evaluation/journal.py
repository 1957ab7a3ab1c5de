"""Keep every result of an evaluation as soon as it is there, so that a killed one goes on where it was.

The directory of an evaluation holds ``plan.json`` (what is evaluated), ``entries.jsonl`` (a line for each entry in the
order in which they came, with the time each took), and after the end ``entries.csv`` (the table in the order of the
data, without times, the same for every run) and ``summary.json``.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida_alphacrystal.engine.evaluation.entries import COLUMNS, EntryResult, read_result
from aiida_alphacrystal.engine.journal import PLAN_FILE, JournalError, LineJournal

__all__ = ('Journal', 'JournalError', 'read_evaluation')

_ENTRIES, _TABLE, _SUMMARY = 'entries.jsonl', 'entries.csv', 'summary.json'


class Journal(LineJournal[EntryResult]):
    """The results of an evaluation in a directory; a context manager that keeps other evaluations out of it.

    It is open from the start; an exception in the making leaves nothing open.

    :param directory: made where it is missing.
    :param plan: what decides about the result, as plain values.
    :raises JournalError: if the directory holds an evaluation of something else, or another one is at work there.
    """

    file_name = _ENTRIES
    busy = 'Another evaluation is at work in'
    foreign = 'holds an evaluation of something else'

    @classmethod
    def encode(cls, result: EntryResult) -> Any:
        """Return a result as plain values.

        :param result: of an entry.
        """
        return dataclasses.asdict(result)

    @classmethod
    def decode(cls, values: Any) -> EntryResult:
        """Return the result that plain values stand for.

        :param values: as ``encode`` has made them.
        """
        return read_result(values)

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


def read_evaluation(directory: Path) -> tuple[dict[str, Any], tuple[EntryResult, ...]]:
    """Return what was evaluated, and the results in the order of the data.

    :param directory: of an evaluation.
    :raises JournalError: if it holds none, or a line of it is damaged.
    """
    try:
        plan = json.loads((directory / PLAN_FILE).read_text(encoding='utf-8'))
        lines = (directory / _ENTRIES).read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError) as error:
        raise JournalError(
            f'{directory} holds no evaluation: give the directory of `aiida-alphacrystal evaluate --output`.'
        ) from error
    results = [
        Journal.decode_line(line, f'{directory / _ENTRIES}:{number}') for number, line in enumerate(lines, start=1)
    ]
    return plan, tuple(sorted(results, key=lambda result: result.index))


def _cells(result: EntryResult) -> list[Any]:
    """Return one row of the table, empty where there is nothing."""
    values = (getattr(result, name) for name in COLUMNS)
    return ['' if value is None else value for value in values]
