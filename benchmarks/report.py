"""Turn the summaries in ``benchmarks/results`` into the tables and the figures of ``benchmarks/README.md``.

A summary is the ``summary.json`` that ``aiida-alphacrystal evaluate --output DIR`` leaves behind.

    python benchmarks/report.py                # print the tables and draw the figures beside this script
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

#: Rankings of one evaluation: key of the summary and what it is.
RANKINGS = {
    'match_rate': 'ours',
    'match_rate_strict': 'ours, strictly',
    'match_rate_valid': 'ours, valid as well',
    'energy_ranking': 'by energy alone, as in the paper',
    'chance': 'the same structures in random order',
    'template_baseline': 'nearest templates as they are',
    'stable': 'ours, stable crystals',
    'new_prototypes': 'ours, new prototypes',
}

#: Those of them that are of a part of the crystals.
PARTS = ('stable', 'new_prototypes')

#: Evaluations of the same crystals that differ in one thing: name of the summary and what it is.
ABLATIONS = {
    'balanced': 'templates and search (default)',
    'templates': 'templates alone',
    'reconstruct': 'search alone: network, cells, crystals searched for',
    'unrelaxed': 'templates alone, nothing relaxed',
    'paper': 'protocol paper',
}
PROTOCOLS = {'fast': 'fast', 'balanced': 'balanced', 'stringent': 'stringent'}
#: What is drawn over the time that it takes.
TIMED = {'unrelaxed': 'templates,\nunrelaxed', 'templates': 'templates', **PROTOCOLS}
TOPS = ('1', '5', '10', '20')

#: Colours that people with any colour vision tell apart (Okabe, Ito, 2008).
COLOURS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#000000')


def main() -> None:
    """Print the tables and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--results', type=Path, default=HERE / 'results')
    parser.add_argument('--figures', type=Path, default=HERE / 'figures')
    arguments = parser.parse_args()
    found = {path.stem: json.loads(path.read_text()) for path in sorted(arguments.results.glob('*.json'))}
    runs = {name: summary for name, summary in found.items() if 'match_rate' in summary}
    for name, run in runs.items():
        print(f'\n## {name}\n')
        print_rankings(run)
    print('\n## Ablations\n')
    print_ablations({text: runs[name] for name, text in ABLATIONS.items() if name in runs})
    print('\n## Accuracy against time\n')
    print_protocols({text: runs[name] for name, text in PROTOCOLS.items() if name in runs})
    arguments.figures.mkdir(exist_ok=True)
    if 'balanced' in runs:
        draw_rankings(runs['balanced'], arguments.figures / 'rankings.png')
    draw_times({text: runs[name] for name, text in TIMED.items() if name in runs}, arguments.figures / 'time.png')


def rates(run: dict[str, Any], key: str) -> dict[str, float] | None:
    """Return the rates of one ranking; None where there is none, as in summaries of earlier versions."""
    found: dict[str, Any] | None = run.get(key)
    return found['match_rate'] if found is not None and key in PARTS else found


def uncertainty(rate: float, number: int) -> float:
    """Return the standard deviation of a rate."""
    return math.sqrt(rate * (1 - rate) / number)


def row(text: str, found: dict[str, float | None], *more: str) -> str:
    """Return one row of a table."""
    cells = ['-' if found[top] is None else f'{100 * found[top]:.1f} %' for top in TOPS]
    return f'| {" | ".join([text, *cells, *more])} |'


def print_rankings(run: dict[str, Any]) -> None:
    """Print the rankings of one evaluation."""
    print('| ranking | top 1 | top 5 | top 10 | top 20 |\n|---|---|---|---|---|')
    for key, text in RANKINGS.items():
        found = rates(run, key)
        if found is not None:
            count = f' ({run[key]["n"]})' if key in PARTS else ''
            print(row(text + count, found))
    seconds = run['seconds_per_entry']
    unsure = 100 * uncertainty(run['match_rate']['1'], run['n'])
    print(f'\n{run["n"]} crystals; the top-1 rate is uncertain by {unsure:.1f} points.')
    for name in ('rmse', 'rmse_median', 'crmse'):
        print(f'{name} (top 1 / 20): {run[name]["1"]:.4f} / {run[name]["20"]:.4f}.')
    print(f'{100 * run["valid_entries"]:.1f} % of the crystals are valid, {len(run["failures"])} failures.')
    print(f'{seconds["median"]:.1f} s an entry, 95 % below {seconds["p95"]:.1f} s, {run["peak_memory_mib"]:.0f} MiB.')


def print_ablations(runs: dict[str, dict[str, Any]]) -> None:
    """Print what each part is worth."""
    print('| candidates | ranking | top 1 | top 5 | top 10 | top 20 | s per entry |\n|---|---|---|---|---|---|---|')
    for text, run in runs.items():
        time = f'{run["seconds_per_entry"]["median"]:.1f}'
        if run['settings']['rank']['method'] != 'energy':
            print(row(f'{text} | ours', run['match_rate'], time))
        if run['energy_ranking'] is not None:
            print(row(f'{text} | energy alone', run['energy_ranking'], time))


def print_protocols(runs: dict[str, dict[str, Any]]) -> None:
    """Print the protocols."""
    print('| protocol | top 1 | top 5 | top 10 | top 20 | s per entry, median / 95 % |\n|---|---|---|---|---|---|')
    for text, run in runs.items():
        seconds = run['seconds_per_entry']
        print(row(text, run['match_rate'], f'{seconds["median"]:.1f} / {seconds["p95"]:.1f}'))


def draw_rankings(run: dict[str, Any], path: Path) -> None:
    """Draw the rates of the rankings over the number of structures that are looked at."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout='constrained')
    keys = ('match_rate', 'match_rate_strict', 'energy_ranking', 'template_baseline', 'chance')
    for colour, marker, key in zip(COLOURS, 'osD^v', keys, strict=False):
        found = rates(run, key)
        if found is not None:
            values = [100 * found[top] for top in TOPS]
            axes.plot(TOPS, values, marker=marker, color=colour, label=RANKINGS[key])
    axes.set(xlabel='structures looked at', ylabel='crystals found (%)', ylim=(0, 100))
    axes.set_title(f'{run["n"]} held-out crystals of up to 12 atoms')
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_times(runs: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw accuracy against time."""
    if not runs:
        return
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout='constrained')
    for colour, marker, top in zip(COLOURS, 'os^', ('1', '5', '20'), strict=False):
        seconds = [run['seconds_per_entry']['median'] for run in runs.values()]
        values = [100 * run['match_rate'][top] for run in runs.values()]
        errors = [100 * uncertainty(run['match_rate'][top], run['n']) for run in runs.values()]
        axes.errorbar(seconds, values, errors, marker=marker, color=colour, capsize=3, label=f'top {top}')
    for place, (text, run) in enumerate(runs.items()):  # in turn at two heights, since some take as long as others
        axes.annotate(text, (run['seconds_per_entry']['median'], 61 + 3.5 * (place % 2)), ha='center')
    axes.set(xlabel='median seconds per entry, one core', ylabel='crystals found (%)', xscale='log', ylim=(60, 100))
    axes.set(xlim=(0.03, 30), xticks=[0.1, 1, 10], xticklabels=['0.1', '1', '10'])
    axes.set_title(f'{next(iter(runs.values()))["n"]} held-out crystals of up to 12 atoms')
    axes.grid(alpha=0.3, which='both')
    axes.legend(loc='lower left', bbox_to_anchor=(0.25, 0.1))
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == '__main__':
    main()
