"""Commands that prepare AiiDA for what the plugin does."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Failure, one_sentence

if TYPE_CHECKING:
    from aiida.orm import Computer, InstalledCode

__all__ = ('PROGRAM', 'cmd_setup')

#: The program that the jobs run.
PROGRAM = 'aiida-alphacrystal-engine'
_PLUGIN = 'alphacrystal.predict'
_LOCALHOST = 'localhost'


@click.group('setup', cls=params.HelpfulGroup)
def cmd_setup() -> None:
    """Prepare computers for predictions."""


@cmd_setup.command('code')
@click.option('--computer', default=_LOCALHOST, show_default=True, metavar='LABEL', help='Where the jobs are to run.')
@click.option('--label', default='alphacrystal', show_default=True, metavar='NAME', help='What the code is called.')
@click.option(
    '--executable',
    metavar='PATH',
    help=f'{PROGRAM} on that computer; by default it is looked for, on localhost beside this program.',
)
@click.option(
    '--prepend-text',
    default='',
    metavar='SHELL',
    help='Lines of the job before the program, such as `module load python` or the activation of an environment.',
)
@params.FORMAT
@params.PROFILE
@click.pass_context
def cmd_setup_code(
    ctx: click.Context,
    *,
    computer: str,
    label: str,
    executable: str | None,
    prepend_text: str,
    output_format: str,
    profile: str | None,
) -> None:
    """Make the code that `predict --code` takes, and see that its program runs.

    Where the same code exists already, nothing is changed.
    """
    from aiida_alphacrystal.cli.profile import load_profile
    from aiida_alphacrystal.cli.streams import clean_stdout

    with clean_stdout():
        load_profile(profile, create=True, debug=ctx.obj['debug'])
        host = _load_computer(computer)
        path, version = _find_program(host, executable, prepend_text)
        code, is_new = _get_or_create(host, label, path, prepend_text)
    if output_format == 'json':
        from aiida_alphacrystal.report.tables import print_json

        facts = {'code': code.full_label, 'pk': code.pk, 'uuid': code.uuid, 'new': is_new}
        print_json({**facts, 'executable': path, 'version': version})
        return
    said = f'{PROGRAM} {version} at {path}'
    click.echo(f'{"Made" if is_new else "There is already"} the code {code.full_label}: {said}.')
    click.echo(f'  aiida-alphacrystal predict SrTiO3 --code {code.full_label}')


def _load_computer(label: str) -> Computer:
    """Return a computer that can be used; the one of this machine is made where it is missing.

    :raises BadInput: if there is no such computer, or it is not configured.
    """
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    try:
        computer = orm.load_computer(label)
    except NotExistent as exception:
        if label == _LOCALHOST:
            return _make_localhost()
        raise BadInput(
            f'There is no computer {label!r} in AiiDA: make it with `verdi computer setup` and '
            f'`verdi computer configure`; `verdi computer list -a` shows those that there are.'
        ) from exception
    user = orm.User.collection.get_default()
    if user is None or not computer.is_user_configured(user):
        raise BadInput(
            f'The computer {label!r} is not configured: run '
            f'`verdi computer configure {computer.transport_type} {label}`.'
        )
    return computer


def _make_localhost() -> Computer:
    from aiida import orm
    from aiida.manage.configuration import get_config

    computer = orm.Computer(
        label=_LOCALHOST,
        hostname='localhost',
        description='This machine, without a scheduler',
        transport_type='core.local',
        scheduler_type='core.direct',
        workdir=str(Path(get_config().dirpath) / 'scratch'),
    ).store()
    computer.configure(safe_interval=0)
    computer.set_minimum_job_poll_interval(1)
    computer.set_default_mpiprocs_per_machine(1)
    return computer


def _find_program(computer: Computer, executable: str | None, prepend_text: str) -> tuple[str, str]:
    """Return where the program is on a computer and its version, after it has been run.

    :raises BadInput: if it cannot be found or does not run.
    :raises Failure: if the computer cannot be reached.
    """
    setup = f'{prepend_text}\n' if prepend_text else ''
    try:
        with computer.get_transport() as transport:
            path = executable or _look_for(computer)
            if path is None:
                status, out, _ = transport.exec_command_wait(f'{setup}command -v {PROGRAM}')
                path = (out.strip().splitlines() or [''])[-1] if status == 0 else ''
            if not path:
                raise BadInput(
                    f'{PROGRAM} is not found on {computer.label}: install aiida-alphacrystal there, and say where '
                    'it is with --executable or how to reach it with --prepend-text.'
                )
            status, out, error = transport.exec_command_wait(f'{setup}{shlex.quote(path)} --version')
    except BadInput:
        raise
    except Exception as exception:
        raise Failure(
            f'The computer {computer.label} cannot be reached ({one_sentence(exception)}): '
            f'see `verdi computer test {computer.label}`.'
        ) from exception
    words = out.split()
    if status != 0 or len(words) < 2 or words[-2] != PROGRAM:
        said = ' '.join(error.split()[-20:]) or out.strip() or f'exit status {status}'
        raise BadInput(f'{path} on {computer.label} is no {PROGRAM} that runs ({said}): give another --executable.')
    return path, words[-1]


def _look_for(computer: Computer) -> str | None:
    """Return the program beside the Python in use, on this machine only."""
    if computer.transport_type != 'core.local':
        return None
    beside = Path(sys.executable).with_name(PROGRAM)
    return str(beside) if beside.exists() else shutil.which(PROGRAM)


def _get_or_create(computer: Computer, label: str, path: str, prepend_text: str) -> tuple[InstalledCode, bool]:
    """Return the code and whether it is new.

    :raises BadInput: if another code has the same label.
    """
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    try:
        known = orm.load_code(f'{label}@{computer.label}')
    except NotExistent:
        code = orm.InstalledCode(
            label=label,
            computer=computer,
            filepath_executable=path,
            default_calc_job_plugin=_PLUGIN,
            prepend_text=prepend_text,
            with_mpi=False,
        )
        return code.store(), True
    same = getattr(known, 'filepath_executable', None) is not None and str(known.filepath_executable) == path
    if not same or known.prepend_text != prepend_text:
        raise BadInput(
            f'The code {known.full_label} exists and is another one (`verdi code show {known.pk}`): '
            'choose another name with --label.'
        )
    return known, False
