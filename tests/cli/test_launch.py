"""How a work chain that runs in the process of the command is interrupted."""

from __future__ import annotations

import os
import signal
import time
import types

import pytest
from aiida import orm
from aiida.engine import calcfunction
from aiida.engine.processes import functions

from aiida_alphacrystal.cli.launch import _answering_ctrl_c, _interrupt


@pytest.fixture
def written():
    """Answer Ctrl-C as a running work chain does; return what has been written to the database since."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    signal.signal(signal.SIGINT, _interrupt)
    yield []
    for number, handler in before.items():
        signal.signal(number, handler)


def write_for_a_while(written):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    written.append('all')


def test_elsewhere_it_comes_at_once(written):
    with pytest.raises(KeyboardInterrupt):
        write_for_a_while(written)
    assert written == []


@pytest.mark.parametrize('module', ['sqlalchemy.orm.session', 'aiida.storage.psql_dos.backend', 'aiida.orm.nodes.node'])
def test_the_database_is_waited_for(written, module):
    write = types.FunctionType(write_for_a_while.__code__, {**globals(), '__name__': module})
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 it is to come after the first line
        write(written)
        time.sleep(5)
        written.append('more')
    assert written == ['all']


@calcfunction
def interrupted_at_once(number):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    return orm.Int(number.value + 1)


def test_a_calcfunction_that_has_just_begun_is_interrupted(aiida_profile):
    before = signal.getsignal(signal.SIGINT), functions.signal
    with _answering_ctrl_c(), pytest.raises(KeyboardInterrupt):
        interrupted_at_once(orm.Int(1))
    assert (signal.getsignal(signal.SIGINT), functions.signal) == before
