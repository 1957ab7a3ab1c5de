"""Commands that judge trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aiida_alphacrystal.cli.params import FORMAT, JOBS, JSON, LIMIT, SEED, HelpfulGroup, WholeNumber, usable_cores
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS

__all__ = ('cmd_models',)

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_DATA = click.option(
    '--data',
    type=_FILE,
    required=True,
    metavar='FILE',
    help='Known crystals that nothing was learnt from: one JSON object a line, plain or gzipped.',
)
_MAX_ATOMS = click.option(
    '--max-atoms',
    type=WholeNumber(1, DEFAULT_MAX_ATOMS),
    metavar='N',
    default=DEFAULT_MAX_ATOMS,
    show_default=True,
    help='Leave larger cells out.',
)
#: Groups of entries in the order of their rows.
_GROUPS = {'le12': 'up to 12 atoms', 'le20': 'up to 20 atoms'}
_TOPS = ('1', '5', '20')


@click.group('models', cls=HelpfulGroup)
def cmd_models() -> None:
    """Judge what was learnt."""


@cmd_models.group('evaluate', cls=HelpfulGroup)
def cmd_evaluate() -> None:
    """Score weights on known crystals.

    The crystals must be none of those that the weights were learnt from, or the scores mean nothing.
    """


@cmd_evaluate.command('templates')
@_DATA
@click.option(
    '--templates',
    'weights',
    type=_FILE,
    metavar='FILE',
    help='Prototypes that `train templates` wrote; by default those of the package.',
)
@_MAX_ATOMS
@LIMIT
@SEED
@JOBS
@FORMAT
@JSON
def cmd_evaluate_templates(
    *,
    data: Path,
    weights: Path | None,
    max_atoms: int,
    limit: int | None,
    seed: int,
    jobs: int | None,
    output_format: str,
    as_json: bool,
) -> None:
    """Score the templates by where the known crystal stands among their candidates.

    The templates are asked for the content of each cell; the crystal itself is read only to score the answer. A match
    is that of pymatgen's StructureMatcher (ltol 0.3, stol 0.5, angle_tol 10).
    """
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.progress import reporting
    from aiida_alphacrystal.report.tables import print_json

    stages = {'generate': 'Generating candidates', 'score': 'Comparing them with the known crystals'}
    with clean_stdout():
        from aiida_alphacrystal.engine.datasets import draw_crystals, read_crystals
        from aiida_alphacrystal.engine.reconstruct.library import load_library
        from aiida_alphacrystal.engine.reconstruct.scoring import score_templates
        from aiida_alphacrystal.engine.settings import TemplateSettings

        library = load_library(weights)
        crystals = draw_crystals(read_crystals(data, max_atoms), limit, seed)
        with StageProgress(stages) as display, reporting(display):
            scores = score_templates(library, crystals, TemplateSettings(max_candidates=20), jobs or usable_cores())
    if as_json or output_format == 'json':
        print_json(scores)
    else:
        _print_scores(scores, len(crystals), data.name)


@cmd_evaluate.command('cells')
@_DATA
@click.option(
    '--cells',
    'weights',
    type=_FILE,
    metavar='FILE',
    help='Cell predictor that `train cells` wrote; by default that of the package.',
)
@click.option(
    '--templates',
    'voters',
    type=_FILE,
    metavar='FILE',
    help='Prototypes that `train templates` wrote, whose crystals vote; by default those of the package.',
)
@_MAX_ATOMS
@LIMIT
@SEED
@FORMAT
@JSON
def cmd_evaluate_cells(
    *,
    data: Path,
    weights: Path | None,
    voters: Path | None,
    max_atoms: int,
    limit: int | None,
    seed: int,
    output_format: str,
    as_json: bool,
) -> None:
    """Score the cell predictor by space group, formula units, volume and lattice.

    It is given the content of each primitive cell, and the reduced formula where the number of formula units is asked
    for. The space group of a crystal is the one that the file states.
    """
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.progress import reporting
    from aiida_alphacrystal.report.cells import print_cell_scores
    from aiida_alphacrystal.report.tables import print_json

    with clean_stdout():
        from aiida_alphacrystal.engine.cells import load_cell_model
        from aiida_alphacrystal.engine.cells.scoring import score_cells
        from aiida_alphacrystal.engine.datasets import draw_crystals, read_crystals, with_spacegroup
        from aiida_alphacrystal.engine.reconstruct.library import load_library

        model, library = load_cell_model(weights), load_library(voters)
        crystals = draw_crystals(with_spacegroup(read_crystals(data, max_atoms)), limit, seed)
        with StageProgress({'cells': 'Predicting cells'}) as display, reporting(display):
            scores = score_cells(model, crystals, library)
    if as_json or output_format == 'json':
        print_json(scores)
    else:
        print_cell_scores(scores, data.name)


@cmd_evaluate.command('distances')
@_DATA
@click.option(
    '--distances',
    'weights',
    type=_FILE,
    metavar='FILE',
    help='Distance network that `train distances` wrote; by default that of the package.',
)
@click.option(
    '--reference',
    type=_FILE,
    metavar='FILE',
    help='Network to compare with, from `train distances --preset paper-slim`; by default that of the package.',
)
@click.option(
    '--templates',
    type=_FILE,
    metavar='FILE',
    help='Prototypes that `train templates` wrote; by default those of the package.',
)
@click.option(
    '--max-atoms',
    type=WholeNumber(2, DEFAULT_MAX_ATOMS),
    metavar='N',
    default=12,
    show_default=True,
    help='Leave larger cells out; the reference takes none above 12.',
)
@LIMIT
@SEED
@JOBS
@FORMAT
@JSON
def cmd_evaluate_distances(
    *,
    data: Path,
    weights: Path | None,
    reference: Path | None,
    templates: Path | None,
    max_atoms: int,
    limit: int | None,
    seed: int,
    jobs: int | None,
    output_format: str,
    as_json: bool,
) -> None:
    """Score predicted distances by how far they are from those of known crystals.

    Root mean square errors are over the pairs of different atoms of each primitive cell, with atoms of one element
    exchanged as it fits best: the mean and the median over crystals, and pooled over all pairs.
    """
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.progress import reporting
    from aiida_alphacrystal.report.informed import print_distance_scores
    from aiida_alphacrystal.report.tables import print_json

    stages = {'ours': 'Predicting distances', 'others': 'Asking what we are compared with'}
    with clean_stdout():
        from aiida_alphacrystal.engine.datasets import draw_crystals, read_crystals
        from aiida_alphacrystal.engine.network import load_network, load_reference
        from aiida_alphacrystal.engine.network.evaluation import evaluate_distances
        from aiida_alphacrystal.engine.reconstruct.library import load_library

        network, compared, library = load_network(weights), load_reference(reference), load_library(templates)
        crystals = draw_crystals(read_crystals(data, max_atoms), limit, seed)
        with StageProgress(stages) as display, reporting(display):
            scores = evaluate_distances(network, compared, library, crystals, jobs or usable_cores())
    if as_json or output_format == 'json':
        print_json(scores)
    else:
        print_distance_scores(scores, data.name)


def _print_scores(scores: dict[str, Any], number: int, name: str) -> None:
    """Print match rates as a table, with the nearest templates beside ours, and what else there is to know."""
    from rich.markup import escape
    from rich.table import Table

    from aiida_alphacrystal.report.tables import describe_failures, number_text, percentages, print_facts, wide_console

    noun = 'crystal' if number == 1 else 'crystals'
    title = f'{number} {noun} of {escape(name)}: how many are among the first candidates'
    table = Table(title=title, title_justify='left', title_style='bold', header_style='bold')
    table.add_column('crystals', no_wrap=True)
    table.add_column('number', justify='right')
    for source in ('', 'nearest\n'):
        for top in _TOPS:
            table.add_column(f'{source}top {top}', justify='right')
    for key, text in _GROUPS.items():
        table.add_row(
            text,
            str(scores[key]['n']),
            *percentages(scores[key], _TOPS),
            *percentages(scores['nearest_template'][key], _TOPS),
        )
        table.add_row('  strictly', '', *percentages(scores['strict'][key], _TOPS))
    new = scores['new_prototypes']
    table.add_row('new prototypes', str(new['n']), *percentages(new, _TOPS))
    wide_console().print(table)
    errors = [number_text(scores[key], 3) for key in ('ece', 'ece_all')]
    processes = 'process' if scores['jobs'] == 1 else 'processes'
    print_facts(
        {
            'nearest': 'the known crystals of the same stoichiometry with the most similar elements',
            'strictly': 'with a root mean square displacement below 0.1 (volume per atom)^(1/3)',
            'new prototypes': f'{_percent(new["share"])} of all, which no template of the same stoichiometry matches',
            'calibration error': f'{errors[0]} of first candidates, {errors[1]} of all',
            'RMS displacement': f'{number_text(scores["rmse"]["1"], 3)} of first candidates that match',
            'time': f'{scores["seconds_per_1000"]:.1f} s per 1000 compositions on {scores["jobs"]} {processes}',
            'without a candidate': describe_failures(scores['failures']),
        }
    )


def _percent(share: float) -> str:
    return f'{100 * share:.1f} %'
