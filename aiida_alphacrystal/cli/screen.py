"""The command that predicts many formulas."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput
from aiida_alphacrystal.engine.candidate_sources import DEFAULT_SOURCES
from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida.engine import ProcessBuilder

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.relax import Potential
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('cmd_screen',)

_STAGES = {'screen': 'Predicting one formula after the other'}
_GO_ON = 'run the same command again to go on from there'


@click.command('screen')
@click.argument('source', metavar='FILE|SYSTEM|-')
@click.option(
    '--max-atoms',
    type=params.WholeNumber(1, DEFAULT_MAX_ATOMS),
    metavar='N',
    help='Of a chemical system: the largest number of atoms in a formula unit; 12 by default.',
)
@click.option(
    '--all-compositions',
    is_flag=True,
    help='Of a chemical system: also the compositions whose charges cannot balance.',
)
@click.option('--dry-run', is_flag=True, help='Print the formulas and stop; nothing is stored.')
@click.option(
    '--group',
    metavar='LABEL',
    help='Group that collects the predictions; by default alphacrystal/screen/ and the name of the file or system.',
)
@click.option(
    '--concurrent',
    type=params.WholeNumber(1, 10_000),
    metavar='N',
    help='How many predictions, or jobs with --code, at once; by default 10 with --daemon, otherwise one.',
)
@click.option(
    '--per-job',
    type=params.WholeNumber(1, 200),
    metavar='N',
    help='With --code: how many formulas a job predicts, at most 200; 20 by default.',
)
@params.PROTOCOL
@params.POTENTIAL
@click.option(
    '--sources',
    type=params.Sources(controls=False),
    metavar='NAMES',
    default=','.join(DEFAULT_SOURCES),
    show_default=True,
    help='Where candidates come from: templates is the fast way.',
)
@click.option(
    '--relax/--no-relax',
    default=True,
    help='Whether candidates are relaxed, or ranked by the energies of the structures as they are.',
)
@params.MODELS
@params.TOP
@params.SEED
@params.job_options
@click.option(
    '--reuse/--no-reuse',
    default=True,
    show_default=True,
    help='Take over predictions that have finished before with equal inputs.',
)
@click.option('--daemon', is_flag=True, help='Hand the work to the AiiDA daemon and return at once.')
@params.CACHE
@params.TABLE_FORMAT
@params.PROFILE
@click.pass_context
def cmd_screen(
    ctx: click.Context,
    *,
    source: str,
    max_atoms: int | None,
    all_compositions: bool,
    dry_run: bool,
    group: str | None,
    concurrent: int | None,
    per_job: int | None,
    protocol: str,
    potential: str,
    sources: tuple[str, ...],
    relax: bool,
    models: str | None,
    top: int | None,
    seed: int,
    code: str | None,
    walltime: int | None,
    cores: int | None,
    queue: str | None,
    account: str | None,
    scheduler_option: tuple[str, ...],
    device: str | None,
    reuse: bool,
    daemon: bool,
    cache: bool | None,
    output_format: str,
    profile: str | None,
) -> None:
    """Predict the most stable crystals of many formulas and print the best of each.

    FILE holds one formula a line, or is a CSV file with a column `formula`; - reads standard input. SYSTEM is a
    chemical system such as Li-Fe-P-O, or Li:1-3-Fe-P:1-O with numbers of atoms; all of its compositions whose charges
    can balance are predicted. A formula that fails is a row with its reason. The same command again goes on where it
    was stopped and repeats nothing that has finished.
    """
    from aiida_alphacrystal.cli.launch import run, submit, tell_submitted
    from aiida_alphacrystal.cli.profile import check_profile, load_profile, profile_option
    from aiida_alphacrystal.cli.results import check_screened, show_screening
    from aiida_alphacrystal.cli.streams import clean_stdout

    debug = ctx.obj['debug']
    if daemon and cache is not None:
        raise BadInput('--cache and --no-cache do not reach the daemon: use `verdi config set caching.enabled_for`.')
    options = params.scheduler_options(walltime, cores, queue, account, scheduler_option)
    if code is None and (options or device or per_job):
        raise BadInput('Options of a job need a job: say with --code where it is to run.')
    with clean_stdout():
        overrides = _overrides(sources, relax, top)
        resolve, check = _get_potential(potential)
        formulas = _read(source, max_atoms, all_compositions, check)
        resolved = resolve()
    if dry_run:
        _print_formulas(formulas, output_format)
        return
    with clean_stdout():
        check_profile(profile, create=True)
        name = load_profile(profile, create=True, debug=debug)
        option = profile_option(name)
        label = group or f'alphacrystal/screen/{_stem(source)}'
        if daemon and (pk := _running(label, formulas)):
            raise BadInput(
                f'Work chain {pk} screens these formulas already: follow it with `verdi{option} process status {pk}`, '
                f'or stop it with `verdi{option} process kill {pk}`.'
            )
        builder = _make_builder(formulas, protocol, overrides, resolved, models, seed, label)
        if code is not None:
            params.add_job(builder.prediction, code, options, device)
        builder.reuse = reuse
        builder.max_concurrent = concurrent or (builder.max_concurrent if daemon else 1)
        builder.formulas_per_job = per_job or builder.formulas_per_job
        if daemon:
            node = submit(builder)
        else:
            node = run(builder, debug=debug, cache=cache, stages=_STAGES, others=False, go_on=_GO_ON)
    if daemon:
        facts = {'formulas': len(formulas), 'group': label}
        tell_submitted(node, facts, 'json' if output_format == 'json' else 'table', option)
        return
    check_screened(node, option)
    show_screening(node, output_format, option)


def _print_formulas(formulas: tuple[str, ...], output_format: str) -> None:
    """Print what would be screened: a formula a line, CSV that `screen` takes again, or JSON."""
    from aiida_alphacrystal.report.tables import print_csv, print_json

    if output_format == 'json':
        print_json({'formulas': list(formulas)})
    elif output_format == 'csv':
        print_csv([{'formula': formula} for formula in formulas])
    else:
        click.echo('\n'.join(formulas))


def _overrides(sources: tuple[str, ...], relax: bool, top: int | None) -> dict[str, Any]:
    """Return what the options change of the protocol."""
    overrides: dict[str, Any] = {}
    if 'templates' not in sources:
        overrides['templates'] = {'max_candidates': 0}
    if 'reconstruct' not in sources:
        overrides['search'] = {'max_candidates': 0}
    if not relax:
        overrides['relax'] = {'max_steps': 0}
    if top is not None:
        overrides['rank'] = {'top': top}
    return overrides


def _get_potential(name: str) -> tuple[Callable[[], ResolvedPotential], Callable[[Formula], object]]:
    """Return what finds a potential, and what refuses a compound that it or the network does not know.

    It is found, loaded and tested with the first compound, so that a list that cannot be read is refused at once.
    Both raise a PotentialError if there is no such potential, or it fails.
    """

    @functools.cache
    def resolve() -> ResolvedPotential:
        from aiida_alphacrystal.engine.relax.potentials import resolve_potential

        resolved = resolve_potential(name)
        if resolved.notice:
            click.echo(f'Note: {resolved.notice}', err=True)
        return resolved

    @functools.cache
    def load() -> Potential:
        from aiida_alphacrystal.engine.relax.potentials import load_potential

        return load_potential(resolve().files)

    def check(formula: Formula) -> None:
        from aiida_alphacrystal.engine.features import element_features

        element_features(formula)
        load().check_elements(frozenset(formula.elements))

    return resolve, check


def _read(
    source: str, max_atoms: int | None, all_compositions: bool, check: Callable[[Formula], object]
) -> tuple[str, ...]:
    """Return the formulas of a file, standard input or a chemical system.

    :raises BadInput: if there is neither.
    :raises FormulaError: if some of them cannot be used.
    """
    from aiida_alphacrystal.engine.formula_lists import (
        DEFAULT_SYSTEM_ATOMS,
        FormulaList,
        is_chemical_system,
        parse_chemical_system,
        read_formula_file,
        read_formula_lines,
    )

    system = source != '-' and not Path(source).exists() and is_chemical_system(source)
    if not system and (max_atoms is not None or all_compositions):
        raise BadInput('--max-atoms and --all-compositions belong to a chemical system: leave them out with a list.')
    if system:
        compounds = parse_chemical_system(source).compounds(
            max_atoms or DEFAULT_SYSTEM_ATOMS, balanced=not all_compositions
        )
        check(compounds[0])  # all of them hold the same elements
        found = FormulaList(compounds)
    elif source == '-':
        found = read_formula_lines(click.get_text_stream('stdin'), 'standard input', check)
    elif Path(source).is_file():
        found = read_formula_file(Path(source), check)
    else:
        raise BadInput(
            f'There is no file {source!r}, and it is no chemical system: give a list of formulas, '
            'or a system such as Li-Fe-P-O.'
        )
    if found.repeated:
        click.echo(f'Note: {found.repeated} of the lines name a compound that is there already.', err=True)
    return tuple(formula.label for formula in found.formulas)


def _stem(source: str) -> str:
    """Return what the group is called after."""
    return 'input' if source == '-' else re.sub(r'[^A-Za-z0-9:._-]+', '_', Path(source).stem)


def _running(group: str, formulas: tuple[str, ...]) -> int | None:
    """Return a screening of the same formulas for the same group that has not ended, or None."""
    from aiida import orm

    from aiida_alphacrystal.workchains import ScreenWorkChain

    query = orm.QueryBuilder().append(orm.Str, filters={'attributes.value': group}, tag='group')
    query.append(
        ScreenWorkChain,
        with_incoming='group',
        edge_filters={'label': 'group'},
        filters={'attributes.process_state': {'in': ['created', 'running', 'waiting']}},
        tag='screening',
        project='id',
    )
    query.append(orm.List, with_outgoing='screening', edge_filters={'label': 'formulas'}, project='attributes.list')
    return next((pk for pk, listed in query.all() if list(listed) == list(formulas)), None)


def _make_builder(
    formulas: tuple[str, ...],
    protocol: str,
    overrides: dict[str, Any],
    resolved: ResolvedPotential,
    family: str | None,
    seed: int,
    group: str,
) -> ProcessBuilder:
    """Fill the inputs of the work chain."""
    from aiida_alphacrystal.groups import ModelFamily
    from aiida_alphacrystal.workchains import ScreenWorkChain

    models = None if family is None else ModelFamily.load(family).models
    return ScreenWorkChain.get_builder_from_protocol(
        formulas, protocol, overrides, potential=resolved, models=models, seed=seed, group=group
    )
