"""The command that turns a formula into ranked crystals."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Failure, Interrupted, one_sentence
from aiida_alphacrystal.engine.settings import DEFAULT_POTENTIAL

if TYPE_CHECKING:
    from aiida.engine import ProcessBuilder
    from aiida.orm import WorkChainNode

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('cmd_predict',)

_STEPS = 'aiida.calculations:alphacrystal.*'


@click.command('predict')
@click.argument('formula')
@params.TOP
@click.option(
    '--protocol',
    type=click.Choice(['fast', 'balanced', 'stringent']),
    default='balanced',
    show_default=True,
    help='How much to search and how tightly to relax.',
)
@click.option(
    '--potential',
    default=DEFAULT_POTENTIAL,
    show_default=True,
    metavar='NAME|DIR',
    help='What relaxes and ranks: chgnet, M3GNet, another name that matgl knows, or a directory.',
)
@click.option(
    '--templates',
    type=click.Path(path_type=Path),
    metavar='FILE',
    help='Prototype library to take templates from, made by `train templates`, instead of the one of the package.',
)
@params.SEED
@click.option('--daemon', is_flag=True, help='Hand the work to the AiiDA daemon and return at once.')
@params.CACHE
@params.FORMAT
@params.OUTPUT
@params.PROFILE
@click.pass_context
def cmd_predict(
    ctx: click.Context,
    *,
    formula: str,
    top: int | None,
    protocol: str,
    potential: str,
    templates: Path | None,
    seed: int,
    daemon: bool,
    cache: bool | None,
    output_format: str,
    output: Path | None,
    profile: str | None,
) -> None:
    """Predict the most stable crystals of FORMULA, such as SrTiO3.

    A reduced formula leaves the number of formula units in the cell open; a multiple of it, such as Al4O6, fixes the
    content of the primitive cell.
    """
    from aiida_alphacrystal.cli.profile import check_profile, load_profile, profile_option
    from aiida_alphacrystal.cli.results import check_finished, show_result
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.engine.features import element_features

    debug = ctx.obj['debug']
    compound = parse_formula(formula)
    element_features(compound)  # refuses an element that the network does not know
    if daemon and output is not None:
        raise BadInput('--output needs the result: leave it out with --daemon and give it to `show` later.')
    if daemon and cache is not None:
        raise BadInput('--cache and --no-cache do not reach the daemon: use `verdi config set caching.enabled_for`.')
    with clean_stdout():
        check_profile(profile, create=True)
        params.writable_directory(output)
        if templates is not None:
            _check_library(templates)
        resolved = _get_potential(potential, compound)
        name = load_profile(profile, create=True, debug=debug)
        builder = _make_builder(formula, protocol, resolved, templates, seed, top)
        node = _submit(builder) if daemon else _run(builder, cache, debug)
    option = profile_option(name)
    if daemon:
        _tell_submitted(node, output_format, option)
        return
    check_finished(node, option)
    show_result(node, top, output_format, output, option)


def _check_library(path: Path) -> None:
    """See that a file is a prototype library.

    :raises ModelError: if it cannot be read, is damaged or something else.
    """
    from aiida_alphacrystal.engine.reconstruct.library import load_library

    load_library(path)


def _get_potential(name: str, compound: Formula) -> ResolvedPotential:
    """Find a potential, test it and see that it knows every element.

    :raises PotentialError: if there is no such potential, or it fails.
    :raises UnsupportedElementError: if it does not know an element.
    """
    from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential

    resolved = resolve_potential(name)
    if resolved.notice:
        click.echo(f'Note: {resolved.notice}', err=True)
    load_potential(resolved.files).check_elements(frozenset(compound.elements))
    return resolved


def _make_builder(
    formula: str, protocol: str, resolved: ResolvedPotential, templates: Path | None, seed: int, top: int | None
) -> ProcessBuilder:
    """Fill the inputs of the work chain."""
    from aiida_alphacrystal.workchains import PredictWorkChain

    overrides = None if top is None else {'rank': {'top': top}}
    models = None if templates is None else {'templates': templates}
    return PredictWorkChain.get_builder_from_protocol(
        formula, protocol=protocol, overrides=overrides, potential=resolved, models=models, seed=seed
    )


def _run(builder: ProcessBuilder, cache: bool | None, debug: bool) -> WorkChainNode:
    """Run the work chain in this process and return its node, whatever became of it.

    :raises Interrupted: if the user pressed Ctrl-C.
    """
    from aiida.engine.utils import loop_scope
    from aiida.manage import get_manager
    from plumpy import KilledError

    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import quiet_libraries
    from aiida_alphacrystal.engine.progress import reporting

    def show(stage: str, done: int, total: int) -> None:
        # a calcfunction answers Ctrl-C only when it has finished; from its first report on, it does so at once
        signal.signal(signal.SIGINT, signal.default_int_handler)
        progress(stage, done, total)

    runner = get_manager().create_runner(communicator=None)
    if not debug:
        quiet_libraries()
    # run_get_node answers Ctrl-C only between two stages; executing the process here lets it through at once
    with loop_scope(runner.loop), _caching(cache):
        process = runner.instantiate_process(builder)
        node: WorkChainNode = process.node
        try:
            with StageProgress() as progress, reporting(show):
                process.execute()
        except (KeyboardInterrupt, KilledError):
            _abandon(node)
    if any(child.is_killed for child in [*node.called_descendants, node]):
        raise Interrupted(
            f'Work chain {node.pk} keeps the stages that had finished; '
            'run the same command with --cache to go on from there.'
        )
    return node


def _abandon(node: WorkChainNode) -> None:
    """Mark a work chain and what it was running as killed."""
    from plumpy.process_states import ProcessState

    for process in [*node.called_descendants, node]:
        if process.is_terminated:
            continue
        process.set_process_state(ProcessState.KILLED)
        process.set_process_status('Stopped by the user')
        process.delete_checkpoint()
        process.seal()


@contextlib.contextmanager
def _caching(cache: bool | None) -> Iterator[None]:
    """Switch caching of the stages on or off, or leave it to the profile."""
    from aiida.manage.caching import disable_caching, enable_caching

    if cache is None:
        yield
        return
    with enable_caching(identifier=_STEPS) if cache else disable_caching(identifier=_STEPS):
        yield


def _submit(builder: ProcessBuilder) -> WorkChainNode:
    """Hand the work chain to the daemon, which is started where it does not run yet.

    :raises Failure: if the daemon cannot be started or reached.
    """
    from aiida.engine import submit

    _start_daemon()
    try:
        node = submit(builder)
    except Exception as exception:
        raise Failure(
            f'The daemon did not take the work ({one_sentence(exception)}): see `verdi daemon status`.'
        ) from exception
    return cast('WorkChainNode', node)


def _start_daemon() -> None:
    """See that a daemon runs for the loaded profile.

    :raises Failure: if it cannot be started.
    """
    try:
        from aiida.engine.daemon.client import get_daemon_client

        client = get_daemon_client()
        if client.is_daemon_running:
            return
        click.echo('Starting the AiiDA daemon ...', err=True)
        client.start_daemon()
    except Exception as exception:
        raise Failure(
            f'The AiiDA daemon could not be started ({one_sentence(exception)}): '
            'run `verdi daemon start`, or leave out --daemon.'
        ) from exception


def _tell_submitted(node: WorkChainNode, output_format: str, option: str) -> None:
    """Print which work chain has been submitted and how to follow it."""
    from aiida_alphacrystal.report.tables import print_json

    if output_format == 'json':
        print_json({'formula': node.inputs.formula.value, 'pk': node.pk, 'uuid': node.uuid, 'state': 'submitted'})
        return
    click.echo(f'Submitted work chain {node.pk}. Follow it with:')
    click.echo(f'  verdi{option} process status {node.pk}')
    click.echo(f'  aiida-alphacrystal show{option} {node.pk}')
