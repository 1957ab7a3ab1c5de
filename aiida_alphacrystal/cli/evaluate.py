"""The command that predicts known crystals and says how good the predictions are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Interrupted
from aiida_alphacrystal.engine.candidate_sources import DEFAULT_SOURCES
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.settings import DEFAULT_POTENTIAL

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.evaluation import Journal, Plan

__all__ = ('cmd_evaluate',)


@click.command('evaluate')
@click.argument('data', metavar='FILE|DIR|-', type=click.Path(exists=True, readable=True, allow_dash=True))
@click.option(
    '--max-sites',
    type=params.WholeNumber(1, DEFAULT_MAX_ATOMS),
    metavar='N',
    default=DEFAULT_MAX_ATOMS,
    show_default=True,
    help='Leave larger cells out.',
)
@click.option(
    '--max-above-hull',
    type=click.FloatRange(min=0),
    metavar='EV',
    help='Leave crystals out that are higher above the hull, eV/atom, or of which it is not known.',
)
@params.LIMIT
@params.SEED
@params.PROTOCOL
@click.option(
    '--sources',
    type=params.Sources(controls=True),
    metavar='NAMES',
    default=','.join(DEFAULT_SOURCES),
    show_default=True,
    help='Where candidates come from; or one of the controls nearest-template and random.',
)
@click.option('--relax/--no-relax', default=True, help='Whether candidates are relaxed and ranked by energy as well.')
@params.POTENTIAL
@params.JOBS
@click.option(
    '--output',
    type=click.Path(file_okay=False, path_type=Path),
    metavar='DIR',
    help='Keep every result here; the same command continues from there after a stop.',
)
@params.FORMAT
@params.JSON
def cmd_evaluate(
    *,
    data: str,
    max_sites: int,
    max_above_hull: float | None,
    limit: int | None,
    seed: int,
    protocol: str,
    sources: tuple[str, ...],
    relax: bool,
    potential: str,
    jobs: int | None,
    output: Path | None,
    output_format: str,
    as_json: bool,
) -> None:
    """Predict known crystals and count how often they are found.

    FILE holds one crystal a line as JSON, plain or gzipped; DIR holds CIF files; - reads JSON lines from standard
    input. Each crystal is predicted from the content of its cell; its structure is read only to score. They must be
    none of those that the weights were learnt from, or the scores mean nothing.

    A match is that of pymatgen's StructureMatcher (ltol 0.3, stol 0.5, angle_tol 10). A failed prediction is a miss.
    """
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.progress import reporting
    from aiida_alphacrystal.report.evaluation import print_evaluation
    from aiida_alphacrystal.report.tables import print_json

    begin = time.perf_counter()
    params.writable_directory(output)
    with clean_stdout():
        crystals = _read(data, max_sites, max_above_hull, limit, seed)  # what cannot be read is refused at once

        from aiida_alphacrystal.engine.evaluation import evaluate, summarise

        plan = _make_plan(protocol, sources, potential if relax else None, seed)
        described = plan.describe(crystals)
        processes = min(jobs or params.usable_cores(), len(crystals))
        with _journal(output, described) as journal, StageProgress({'evaluate': 'Predicting'}) as bar, reporting(bar):
            keep, finished = (journal.add, journal.results) if journal else (None, ())
            with _kept(journal, len(crystals)):
                results = evaluate(crystals, plan, processes, keep, finished)
            times = {'jobs': processes, 'wall_seconds': round(time.perf_counter() - begin, 1)}
            summary = {**summarise(results), 'protocol': protocol, **described, **times}
            if journal:
                journal.finish(summary)
    if as_json or output_format == 'json':
        print_json(summary)
    else:
        print_evaluation(summary, 'standard input' if data == '-' else Path(data).name)


def _read(data: str, max_sites: int, max_above_hull: float | None, limit: int | None, seed: int) -> tuple[Crystal, ...]:
    """Read the known crystals and draw those that are predicted."""
    from aiida_alphacrystal.engine.datasets import draw_crystals, near_hull

    return draw_crystals(near_hull(_read_all(data, max_sites), max_above_hull), limit, seed)


def _read_all(data: str, max_sites: int) -> tuple[Crystal, ...]:
    """Read all known crystals of a file, a directory or standard input."""
    from aiida_alphacrystal.engine.datasets import DatasetError, iterate_lines, read_crystals

    if data != '-':
        return read_crystals(Path(data), max_sites)
    stream = click.get_binary_stream('stdin')
    crystals = tuple(crystal for crystal in iterate_lines(stream, 'standard input') if crystal.natoms <= max_sites)
    if not crystals:
        raise DatasetError(
            f'Standard input holds no crystal of at most {max_sites} atoms: give one JSON object a line.'
        )
    return crystals


def _make_plan(protocol: str, sources: tuple[str, ...], potential: str | None, seed: int) -> Plan:
    """Turn options into what is evaluated.

    :raises BadInput: if another potential would be used than the one asked for.
    """
    from aiida_alphacrystal.engine.evaluation import Plan
    from aiida_alphacrystal.engine.relax import load_potential, resolve_potential
    from aiida_alphacrystal.engine.settings import PredictionSettings
    from aiida_alphacrystal.workchains.protocols import protocol_models, protocol_parameters

    values = protocol_parameters('predict', PredictionSettings().to_dict(), protocol)
    settings, models = PredictionSettings.from_dict(values), protocol_models('predict', protocol)
    if potential is None:
        return Plan(settings, sources, None, seed, models)
    resolved = resolve_potential(potential)
    if resolved.notice:
        raise BadInput(f'{resolved.notice.rstrip(".")}; an evaluation must not: give --potential {DEFAULT_POTENTIAL}.')
    load_potential(resolved.files)  # refuses one that fails its test, before any process is started
    return Plan(settings, sources, resolved.files, seed, models)


def _journal(directory: Path | None, described: dict[str, Any]) -> contextlib.AbstractContextManager[Journal | None]:
    """Return the journal of a directory, None where nothing is to be kept."""
    from aiida_alphacrystal.engine.evaluation import Journal

    return contextlib.nullcontext() if directory is None else Journal(directory, described)


@contextlib.contextmanager
def _kept(journal: Journal | None, number: int) -> Iterator[None]:
    """Say after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if journal is None:
            raise
        raise Interrupted(
            f'{len(journal.results)} of {number} entries are kept: run the same command again to go on from there.'
        ) from None
