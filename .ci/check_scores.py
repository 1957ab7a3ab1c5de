"""Check the scores that ``.ci/run`` had computed: of a crystal against itself, and of an evaluation."""

# ruff: noqa: S101, T201

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path


def main(compared: Path, evaluated: Path, entries: Path) -> None:
    """Check all scores.

    :param compared: what ``compare`` printed of a crystal and itself.
    :param evaluated: what ``evaluate`` printed.
    :param entries: the table that ``evaluate`` left behind.
    """
    same = json.loads(compared.read_text(encoding='utf-8'))
    assert same['match'], same
    assert same['superpose_distance'] < 1e-4, same
    assert same['energy_distance'] < 1e-6, same
    assert same['distance_map_overlap'] == 1, same
    summary = json.loads(evaluated.read_text(encoding='utf-8'))
    with entries.open(encoding='utf-8', newline='') as handle:
        rows = list(csv.DictReader(handle))
    assert summary['n'] == len(rows) == 4
    assert not summary['failures'], summary['failures']
    found = sum(row['rank'] != '' and int(row['rank']) <= 20 for row in rows)
    assert summary['match_rate']['20'] == found / 4
    print(f'{found} of 4 found among the templates')


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:4]))
