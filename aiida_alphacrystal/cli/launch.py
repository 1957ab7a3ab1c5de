"""Run a work chain in this process or hand it to the daemon."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from aiida_alphacrystal.cli.errors import Failure, Interrupted, one_sentence

if TYPE_CHECKING:
    from types import FrameType

    from aiida.engine import ProcessBuilder
    from aiida.orm import CalcJobNode, WorkChainNode

__all__ = ('run', 'submit', 'tell_submitted')

_STEPS = 'aiida.calculations:alphacrystal.*'

#: Where code runs that must not be interrupted, and after how many seconds to look again.
_DATABASE = ('aiida.orm', 'aiida.storage', 'sqlalchemy')
_SOON = 0.02

#: Primary keys in one question to the database; SQLite takes some hundreds.
_AT_ONCE = 500


def run(
    builder: ProcessBuilder,
    *,
    debug: bool,
    cache: bool | None = None,
    stages: dict[str, str] | None = None,
    others: bool = True,
    go_on: str = 'run the same command with --cache to go on from there',
) -> WorkChainNode:
    """Run a work chain in this process and return its node, whatever became of it.

    :param builder: the work chain.
    :param debug: whether AiiDA may log to the terminal.
    :param cache: whether equal stages of an earlier run are taken over; the profile decides where it is None.
    :param stages: name of each stage to what it does, those of a prediction by default.
    :param others: whether a terminal shows other stages as well.
    :param go_on: what an interrupted user is to do, a half-sentence.
    :raises Interrupted: if the user pressed Ctrl-C.
    """
    from aiida.engine.utils import loop_scope
    from aiida.manage import get_manager
    from plumpy import KilledError

    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import quiet_libraries
    from aiida_alphacrystal.engine.progress import reporting

    def show(stage: str, done: int, total: int) -> None:
        if others or stages is None or stage in stages:
            progress(stage, done, total)

    # without a broker nothing tells a work chain that what it waits for has ended: it has to look
    runner = get_manager().create_runner(communicator=None, poll_interval=_SOON)
    if not debug:
        quiet_libraries()
    # run_get_node answers Ctrl-C only between two stages; executing the process here lets it through at once
    with loop_scope(runner.loop), _caching(cache):
        process = runner.instantiate_process(builder)
        node: WorkChainNode = process.node
        try:
            with StageProgress(stages) as progress, reporting(show), _answering_ctrl_c():
                process.execute()
        except (KeyboardInterrupt, KilledError):
            _abandon(node)
    if 'killed' in _states(node).values():
        raise Interrupted(f'Work chain {node.pk} keeps what had finished; {go_on}.')
    return node


@contextlib.contextmanager
def _answering_ctrl_c() -> Iterator[None]:
    """Answer Ctrl-C at once, whatever runs.

    AiiDA would take it for the calcfunction that is being run and ask that to end, which it does not hear: so AiiDA
    sets no handlers meanwhile.
    """
    from aiida.engine.processes import functions

    before = signal.signal(signal.SIGINT, _interrupt)
    module = functions.signal
    functions.signal = types.SimpleNamespace(  # type: ignore[assignment]
        SIGINT=signal.SIGINT, getsignal=signal.getsignal, signal=lambda *_: None
    )
    try:
        yield
    finally:
        functions.signal = module
        signal.signal(signal.SIGINT, before)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, as soon as nothing is being written to the database.

    In the middle of a transaction it would leave a session that cannot even take the note that the work was stopped.
    """
    while frame is not None:
        if frame.f_globals.get('__name__', '').startswith(_DATABASE):
            signal.signal(signal.SIGALRM, _interrupt)
            signal.setitimer(signal.ITIMER_REAL, _SOON)
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _abandon(node: WorkChainNode) -> None:
    """Mark a work chain and what it was running as killed."""
    from aiida.orm import CalcJobNode, load_node

    from aiida_alphacrystal.workchains.recovery import abandon

    for pk in reversed(_states(node)):
        process = load_node(pk)
        if process.is_terminated:
            continue
        if isinstance(process, CalcJobNode):
            _cancel_job(process)
        abandon(process, 'Stopped by the user')


def _states(node: WorkChainNode) -> dict[int, str]:
    """Return the states of a work chain and of all that it has called, by primary key, callers first.

    Nodes are not loaded, as a screening may have called tens of thousands.

    :param node: the work chain.
    """
    from aiida.orm import ProcessNode, QueryBuilder

    found = {int(node.pk or 0): str(node.base.attributes.get('process_state', None))}
    level = list(found)
    while level:
        called: dict[int, str] = {}
        for begin in range(0, len(level), _AT_ONCE):
            query = QueryBuilder().append(
                ProcessNode, filters={'id': {'in': level[begin : begin + _AT_ONCE]}}, tag='it'
            )
            edges = {'type': {'in': ['call_calc', 'call_work']}}
            query.append(
                ProcessNode, with_incoming='it', edge_filters=edges, project=['id', 'attributes.process_state']
            )
            called |= dict(query.all())
        level = [pk for pk in called if pk not in found]
        found |= called
    return found


def _cancel_job(node: CalcJobNode) -> None:
    """Stop the job of a calculation on its computer."""
    from aiida.engine.daemon.execmanager import kill_calculation

    if node.get_job_id() is None or node.computer is None:
        return
    try:
        with node.get_authinfo().get_transport() as transport:
            kill_calculation(node, transport)
    except Exception as exception:
        click.echo(
            f'Note: job {node.get_job_id()} on {node.computer.label} could not be stopped ({one_sentence(exception)}).',
            err=True,
        )


@contextlib.contextmanager
def _caching(cache: bool | None) -> Iterator[None]:
    """Switch caching of the stages on or off, or leave it to the profile."""
    from aiida.manage.caching import disable_caching, enable_caching

    if cache is None:
        yield
        return
    with enable_caching(identifier=_STEPS) if cache else disable_caching(identifier=_STEPS):
        yield


def submit(builder: ProcessBuilder) -> WorkChainNode:
    """Hand a work chain to the daemon, which is started where it does not run yet.

    :param builder: the work chain.
    :raises Failure: if the daemon cannot be started or reached.
    """
    from aiida.engine import submit as aiida_submit

    _start_daemon()
    try:
        node = aiida_submit(builder)
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


def tell_submitted(node: WorkChainNode, facts: Mapping[str, Any], output_format: str, option: str) -> None:
    """Print which work chain has been submitted and how to follow it.

    :param node: the work chain.
    :param facts: what else the JSON object says, first.
    :param output_format: ``table`` or ``json``.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from aiida_alphacrystal.report.tables import print_json

    if output_format == 'json':
        print_json({**facts, 'pk': node.pk, 'uuid': node.uuid, 'state': 'submitted'})
        return
    click.echo(f'Submitted work chain {node.pk}. Follow it with:')
    click.echo(f'  verdi{option} process status {node.pk}')
    click.echo(f'  aiida-alphacrystal show{option} {node.pk}')
