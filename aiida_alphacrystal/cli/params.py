"""Options and parameter types that several commands share."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli.errors import BadInput, one_sentence
from aiida_alphacrystal.engine.candidate_sources import CONTROLS, read_sources
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.settings import CRYSTAL_SYSTEMS, DEFAULT_POTENTIAL, MAX_SEED

if TYPE_CHECKING:
    from aiida.engine.processes.builder import ProcessBuilderNamespace
    from click.shell_completion import CompletionItem

__all__ = (
    'CACHE',
    'FORMAT',
    'JOBS',
    'JSON',
    'LIMIT',
    'MAX_TOP',
    'MODELS',
    'OUTPUT',
    'POTENTIAL',
    'PROFILE',
    'PROTOCOL',
    'SEED',
    'TABLE_FORMAT',
    'TOP',
    'HelpfulGroup',
    'Sources',
    'WholeNumber',
    'add_job',
    'cell_options',
    'files',
    'job_options',
    'pinned',
    'profile_names',
    'scheduler_options',
    'usable_cores',
    'writable_directory',
)

#: Largest ranking that can be asked for, the upper end of the setting ``rank.top``.
MAX_TOP = 500

_LATTICE_NUMBERS = 6


class HelpfulGroup(click.Group):
    """A group that prints its help when it is called without a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Print the help where there is nothing to parse.

        :param ctx: context of the group.
        :param args: arguments left to parse.
        """
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)


class WholeNumber(click.ParamType):
    """A whole number within a range.

    :param low: smallest number accepted.
    :param high: largest number accepted.
    """

    name = 'number'

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number.

        :param value: what the user wrote.
        :param param: the option it was given to.
        :param ctx: context of the command.
        """
        try:
            number = int(value)
        except ValueError:
            number = self.low - 1
        if not self.low <= number <= self.high:
            self.fail(f'{value!r} is not a whole number from {self.low} to {self.high}.', param, ctx)
        return number


class Sources(click.ParamType):
    """Names of where candidates come from, with commas between them.

    :param controls: whether the controls of an evaluation are among them.
    """

    name = 'names'

    def __init__(self, *, controls: bool) -> None:
        self.controls = controls

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names.

        :param value: what the user wrote.
        :param param: the option it was given to.
        :param ctx: context of the command.
        """
        try:
            names = read_sources(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)
        if not self.controls and set(CONTROLS) & set(names):
            self.fail(f'{value!r} is a control of `evaluate`: give templates, reconstruct or both.', param, ctx)
        return names


class LatticeParameters(click.ParamType):
    """Six numbers: a, b, c in angstrom and alpha, beta, gamma in degrees."""

    name = 'lattice'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the numbers.

        :param value: what the user wrote.
        :param param: the option it was given to.
        :param ctx: context of the command.
        """
        try:
            numbers = tuple(float(word) for word in str(value).replace(',', ' ').split())
        except ValueError:
            numbers = ()
        if len(numbers) != _LATTICE_NUMBERS:
            self.fail(f'{value!r} is no lattice: give a,b,c,alpha,beta,gamma in angstrom and degrees.', param, ctx)
        return numbers


def pinned(space_group: int | None, crystal_system: str | None, lattice: tuple[float, ...] | None) -> dict[str, Any]:
    """Return what a user knows of the cell as settings of stage 3.

    :param space_group: its international number.
    :param crystal_system: its name.
    :param lattice: a, b, c (A) and alpha, beta, gamma (degrees).
    """
    values = {'spacegroup': space_group, 'crystal_system': crystal_system, 'lattice': lattice}
    return {name: value for name, value in values.items() if value is not None}


def writable_directory(directory: Path | None) -> None:
    """Make a directory for the results and see that a file can be written into it.

    :param directory: the directory, or None where no files were asked for.
    :raises BadInput: if it cannot be made or written to.
    """
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as exception:
        reason = exception.strerror or one_sentence(exception)
        raise BadInput(
            f'Nothing can be written to the directory {str(directory)!r} ({reason}): give another one with --output.'
        ) from exception


def profile_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the AiiDA profiles that a shell offers after what has been typed.

    The configuration is only looked at; AiiDA itself would migrate an old one, and takes longer to import.

    :param incomplete: what has been typed.
    """
    folders = [Path(folder).expanduser() for folder in (os.environ.get('AIIDA_PATH') or '~').split(os.pathsep)]
    files = [folder / ('' if folder.name == '.aiida' else '.aiida') / 'config.json' for folder in folders]
    try:
        file = next(file for file in files if file.is_file())
        names = json.loads(file.read_bytes()).get('profiles', {})
        return sorted(name for name in names if name.startswith(incomplete))
    except (StopIteration, OSError, ValueError, AttributeError, TypeError):  # a shell has no place for a message
        return []


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let a shell offer files where something else can be given as well.

    :param incomplete: what has been typed.
    """
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type='file')]


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


TOP = click.option('--top', type=WholeNumber(1, MAX_TOP), metavar='N', help='How many structures to list.')
SEED = click.option(
    '--seed',
    type=WholeNumber(0, MAX_SEED),
    metavar='N',
    default=0,
    show_default=True,
    help='Seed of every random draw; the same seed gives the same result.',
)
PROTOCOL = click.option(
    '--protocol',
    type=click.Choice(['fast', 'balanced', 'stringent', 'paper']),
    default='balanced',
    show_default=True,
    help='How much to search and how tightly to relax.',
)
POTENTIAL = click.option(
    '--potential',
    default=DEFAULT_POTENTIAL,
    show_default=True,
    metavar='NAME|DIR|FILE',
    help='What relaxes and ranks: chgnet, M3GNet, another name that matgl knows, a directory, or a calculator of ASE: '
    'ase:MODULE:CALLABLE, or a .json file with its arguments.',
)
MODELS = click.option(
    '--models',
    metavar='LABEL',
    help='Family of weights to use instead of those of the package; see `verdi data alphacrystal models list`.',
)
FORMAT = click.option(
    '--format',
    'output_format',
    type=click.Choice(['table', 'json']),
    default='table',
    show_default=True,
    help='A table for people, or one JSON object on standard output.',
)
TABLE_FORMAT = click.option(
    '--format',
    'output_format',
    type=click.Choice(['table', 'csv', 'json']),
    default='table',
    show_default=True,
    help='A table for people, or CSV or one JSON object on standard output.',
)
OUTPUT = click.option(
    '--output',
    'output',
    type=click.Path(path_type=Path),
    metavar='DIR',
    help='Write a CIF file of every listed structure into this directory.',
)
PROFILE = click.option(
    '-p',
    '--profile',
    metavar='NAME',
    shell_complete=profile_names,
    help='The AiiDA profile, if not the default one.',
)
CACHE = click.option(
    '--cache/--no-cache',
    default=None,
    help='Take over the stages of an earlier run with equal inputs, or compute them anew; '
    'by default the AiiDA profile decides.',
)
LIMIT = click.option(
    '--limit',
    type=WholeNumber(1, 10_000_000),
    metavar='N',
    help='How many crystals to take, drawn at random; all by default.',
)
JOBS = click.option(
    '--jobs', type=WholeNumber(1, 1024), metavar='N', help='Processes to work on; by default one for every usable core.'
)
JSON = click.option('--json', 'as_json', is_flag=True, help='The same as --format json.')


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where and how its jobs run."""
    options = (
        click.option(
            '--code',
            metavar='CODE',
            help='Reconstruct and relax in a job of this code, such as alphacrystal@localhost (`setup code` makes it).',
        ),
        click.option('--walltime', type=WholeNumber(1, 10_000_000), metavar='SECONDS', help='Longest time of one job.'),
        click.option('--cores', type=WholeNumber(1, 100_000), metavar='N', help='Cores of one job.'),
        click.option('--queue', metavar='NAME', help='Queue or partition of the jobs.'),
        click.option('--account', metavar='NAME', help='Account that the jobs are charged to.'),
        click.option(
            '--scheduler-option',
            multiple=True,
            metavar='LINE',
            help='A line for the scheduler, such as "#SBATCH --gres=gpu:1"; can be given more than once.',
        ),
        click.option(
            '--device',
            type=click.Choice(['cpu', 'cuda', 'auto']),
            help='Where a job evaluates the potential: cpu (by default), cuda, or auto for a GPU where there is one.',
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def scheduler_options(
    walltime: int | None, cores: int | None, queue: str | None, account: str | None, lines: tuple[str, ...]
) -> dict[str, Any]:
    """Return options of the scheduler as AiiDA takes them.

    :param walltime: longest time of one job, s.
    :param cores: of one job.
    :param queue: its queue.
    :param account: that is charged.
    :param lines: for the scheduler.
    """
    options: dict[str, Any] = {
        'max_wallclock_seconds': walltime,
        'queue_name': queue,
        'account': account,
        'custom_scheduler_commands': '\n'.join(lines) or None,
    }
    if cores is not None:
        options['resources'] = {'num_machines': 1, 'num_mpiprocs_per_machine': cores}
    return {name: value for name, value in options.items() if value is not None}


def add_job(builder: ProcessBuilderNamespace, code: str, options: dict[str, Any], device: str | None) -> None:
    """Let a work chain reconstruct and relax in jobs.

    :param builder: inputs of the work chain.
    :param code: label of the code.
    :param options: of the scheduler.
    :param device: where the potential is evaluated, None for the default.
    :raises BadInput: if there is no such code, or it runs something else.
    """
    from aiida import orm
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    try:
        node = orm.load_code(code)
    except NotExistent as exception:
        raise BadInput(
            f'There is no code {code!r}: `aiida-alphacrystal setup code` makes one, `verdi code list` lists those that '
            'there are.'
        ) from exception
    except MultipleObjectsError as exception:
        raise BadInput(f'There are several codes {code!r}: name the computer too, as in code@localhost.') from exception
    if node.default_calc_job_plugin not in {None, 'alphacrystal.predict'}:
        raise BadInput(
            f'The code {code!r} is for {node.default_calc_job_plugin}: give one that `aiida-alphacrystal setup code` '
            'has made.'
        )
    builder.code = node
    if options:
        builder.options = options
    if device is not None:
        builder.device = orm.Str(device)


def cell_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what is known of the cell."""
    options = (
        click.option(
            '--space-group', type=WholeNumber(1, 230), metavar='N', help='Number of the space group, where it is known.'
        ),
        click.option(
            '--crystal-system', type=click.Choice(list(CRYSTAL_SYSTEMS)), help='The crystal system, where it is known.'
        ),
        click.option(
            '--lattice',
            type=LatticeParameters(),
            metavar='A,B,C,AL,BE,GA',
            help='The conventional lattice, where it is known: angstrom and degrees.',
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
