"""A temporary PostgreSQL server, also where the tests run as root, as which PostgreSQL refuses to start."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import tempfile
from pathlib import Path

from pgtest import pgtest


def find_server() -> Path | None:
    """Return the program that starts a server, or None where PostgreSQL is not installed."""
    try:
        return Path(pgtest.which('pg_ctl'))
    except (FileNotFoundError, OSError):
        return None


class TemporaryPostgreSQL(pgtest.PGTest):
    """A server in a temporary directory; as root it is started by, and its directory belongs to, another user."""

    def __init__(self, pg_ctl: Path) -> None:
        directory = Path(tempfile.mkdtemp(prefix='postgresql-'))
        self._owner = _unprivileged_user() if os.getuid() == 0 else None
        if self._owner is not None:
            pg_ctl = _write_wrapper(directory / 'pg_ctl', pg_ctl, self._owner)
        super().__init__(base_dir=str(directory), pg_ctl=str(pg_ctl))

    def _create_dirs(self) -> None:
        super()._create_dirs()
        if self._owner is not None:
            for path in (self._base_dir, self._cluster, self._listen_socket_dir):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def _wait_for_server_ready(self, wait: float) -> None:
        super()._wait_for_server_ready(max(wait, 60))


def _unprivileged_user() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get('postgres') or names['nobody']


def _write_wrapper(path: Path, program: Path, owner: pwd.struct_passwd) -> Path:
    """Write a script that runs a program as another user, in a directory that this user may enter.

    :param path: the script.
    :param program: what it runs.
    :param owner: the user.
    """
    setpriv = shutil.which('setpriv')
    assert setpriv is not None, 'Starting PostgreSQL as another user needs setpriv of util-linux: install it.'
    command = [setpriv, f'--reuid={owner.pw_uid}', f'--regid={owner.pw_gid}', '--clear-groups', str(program)]
    path.write_text(f'#!/bin/sh\ncd {shlex.quote(str(path.parent))}\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path
