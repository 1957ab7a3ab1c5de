"""Measure what `evaluate` costs beside the predictions, and that killing it changes nothing.

The same crystals are evaluated once without disturbance and once with kills at random moments (SIGKILL to the command;
its processes end by themselves), each followed by the same command again. The tables of entries must be the same, byte
for byte, and no entry may be computed twice. The overhead is what the processes spent on anything but predictions, the
start of Python and the loading of weights apart, which is given as seconds.

    python benchmarks/evaluation.py --data val.jsonl.gz --limit 40 --kills 5 --json
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--limit', type=int, default=40)
    parser.add_argument('--max-sites', type=int, default=12)
    parser.add_argument('--kills', type=int, default=5)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--seed', type=int, default=0, help='of the moments of the kills')
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    options = ['--limit', arguments.limit, '--max-sites', arguments.max_sites, '--jobs', arguments.jobs, '--json']
    command = [sys.executable, '-m', 'aiida_alphacrystal.cli', 'evaluate', arguments.data, *options]
    with tempfile.TemporaryDirectory() as directory:
        clean, killed = Path(directory) / 'clean', Path(directory) / 'killed'
        seconds = finish([*command, '--output', clean])
        kept = kill([*command, '--output', killed], killed, arguments.kills, seconds, random.Random(arguments.seed))
        finish([*command, '--output', killed])
        result = {
            'n': arguments.limit,
            'entries_kept_at_each_kill': kept,
            'same_table': (clean / 'entries.csv').read_bytes() == (killed / 'entries.csv').read_bytes(),
            'entries_computed': count(killed),
            **overhead(json.loads((clean / 'summary.json').read_text())),
        }
    print(json.dumps(result, indent=2) if arguments.json else result)


def finish(command: list[object]) -> float:
    """Run a command to its end and return the seconds that it took."""
    begin = time.monotonic()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def kill(command: list[object], directory: Path, kills: int, seconds: float, moments: random.Random) -> list[int]:
    """Start a command again and again, kill it at random moments and return how many entries it had kept."""
    kept = []
    for _ in range(kills):
        with subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            time.sleep(moments.uniform(0.1, 0.4) * seconds)
            running.kill()
        kept.append(count(directory))
    return kept


def count(directory: Path) -> int:
    """Return how many lines the journal of an evaluation holds."""
    path = directory / 'entries.jsonl'
    return path.read_bytes().count(b'\n') if path.exists() else 0


def overhead(summary: dict[str, float]) -> dict[str, float]:
    """Return the time of scoring as a share of the predictions, and the rest of the time as seconds."""
    predicting, scoring = summary['predicting_seconds'], summary['scoring_seconds']
    spent = summary['jobs'] * summary['wall_seconds']
    return {
        'predicting_seconds': predicting,
        'scoring_share': scoring / predicting,
        'everything_but_predicting_share': spent / predicting - 1,
        'wall_seconds': summary['wall_seconds'],
    }


if __name__ == '__main__':
    main()
