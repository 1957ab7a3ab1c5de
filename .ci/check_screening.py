"""Check what a screening printed, that the same command again repeated nothing, and that a job finds the same."""

# ruff: noqa: S101, T201

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path


def main(first: str, again: str, in_job: str | None = None) -> None:
    """Check the results.

    :param first: JSON of the first screening.
    :param again: CSV of the same one again.
    :param in_job: JSON of the same one in a job.
    """
    screening = json.loads(Path(first).read_text())
    rows = screening['rows']
    assert [row['formula'] for row in rows] == ['NaCl', 'MgO', 'NaCl19'], rows
    assert screening['finished'] + screening['failed'] == 3
    assert rows[0]['spacegroup'] == 225, rows[0]
    with Path(again).open(newline='') as handle:
        repeated = list(csv.DictReader(handle))
    assert [row['prediction_uuid'] for row in repeated] == [row['prediction_uuid'] or '' for row in rows], repeated
    print('The screening holds, and nothing was predicted twice.')
    if in_job is None:
        return
    others = json.loads(Path(in_job).read_text())['rows']
    assert rows[0]['prediction_uuid'] != others[0]['prediction_uuid']
    for row in (*rows, *others):
        del row['prediction'], row['prediction_uuid']
    assert rows == others, others
    print('A job finds the same.')


if __name__ == '__main__':
    main(*sys.argv[1:])
