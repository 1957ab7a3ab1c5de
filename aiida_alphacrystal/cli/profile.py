"""Load an AiiDA profile, and make one on a machine that has none."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

import click

from aiida_alphacrystal.cli.errors import BadInput, Failure, one_sentence
from aiida_alphacrystal.cli.streams import quiet_libraries

__all__ = ('check_profile', 'load_profile', 'profile_option')


def check_profile(name: str | None, *, create: bool) -> None:
    """See that there is a profile to load, without loading it.

    :param name: name of the profile, or None for the default one.
    :param create: whether it may be missing where there is no profile at all, because one will be made.
    :raises BadInput: if the profile does not exist, or none is given and none is the default.
    :raises Failure: if the configuration of AiiDA cannot be read.
    """
    _put_verdi_on_path()
    try:
        from aiida.manage.configuration import get_config

        config = get_config(create=True)
    except Exception as exception:
        raise Failure(f'The AiiDA configuration cannot be read: {one_sentence(exception)}.') from exception
    known = ', '.join(sorted(config.profile_names))
    if name is not None and name not in config.profile_names:
        raise BadInput(f'There is no AiiDA profile named {name!r}: the profiles here are {known or "none yet"}.')
    if not known and not create:
        raise BadInput('There is no AiiDA profile yet: run `aiida-alphacrystal predict SrTiO3` to begin.')
    if known and name is None and config.default_profile_name is None:
        raise BadInput(f'No AiiDA profile is the default: choose one with -p ({known}).')


def load_profile(name: str | None, *, create: bool, debug: bool = False) -> str:
    """Load a profile and return its name.

    :param name: name of the profile, or None for the default one.
    :param create: whether to make a profile where there is none at all.
    :param debug: whether AiiDA may log to the terminal.
    :raises BadInput: if the profile does not exist, or none is given and none is the default.
    :raises Failure: if it exists and cannot be opened.
    """
    check_profile(name, create=create)
    from aiida.manage import get_manager
    from aiida.manage.configuration import get_config
    from aiida.manage.configuration import load_profile as aiida_load_profile

    if not get_config().profile_names:
        name = _make_profile()
    try:
        profile = aiida_load_profile(name, allow_switch=True)
        get_manager().get_profile_storage()
    except Exception as exception:
        raise Failure(
            f'The AiiDA profile {name or get_config().default_profile_name!r} cannot be opened: '
            f'{one_sentence(exception)}.'
        ) from exception
    if not debug:
        quiet_libraries()
    return str(profile.name)


def profile_option(name: str) -> str:
    """Return what a command needs to find a profile: `` -p NAME``, or nothing for the default one.

    :param name: name of the profile.
    """
    from aiida.manage.configuration import get_config

    return '' if name == get_config().default_profile_name else f' -p {name}'


def _put_verdi_on_path() -> None:
    """Let AiiDA find the executable ``verdi`` that stands beside the Python in use, to start a daemon with.

    AiiDA looks for it once, when it is imported.
    """
    os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')])


def _make_profile() -> str:
    """Make a profile that needs no services, as ``verdi presto --use-zeromq`` does, and return its name."""
    from aiida.cmdline.commands.cmd_presto import verdi  # type: ignore[attr-defined]  # has presto, cmd_verdi has not
    from aiida.manage.configuration import get_config

    click.echo('There is no AiiDA profile yet: making one, as `verdi presto` does ...', err=True)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            verdi.main(['presto', '--use-zeromq', '--non-interactive'], prog_name='verdi', standalone_mode=False)
    except (Exception, SystemExit) as exception:
        reason = said.getvalue().strip().splitlines()[-1:] or [one_sentence(exception)]
        raise Failure(f'No AiiDA profile could be made ({reason[0]}): run `verdi presto` to see why.') from exception
    config = get_config()
    name = config.default_profile_name
    if name is None:
        raise Failure('No AiiDA profile could be made: run `verdi presto` to see why.')
    click.echo(f'Made the AiiDA profile {name!r} (SQLite database, no services) in {config.dirpath}.', err=True)
    return str(name)
