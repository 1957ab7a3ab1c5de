"""Tests of processes that share what they work with."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from aiida_alphacrystal.engine.workers import shared, sharing, workers

pytestmark = pytest.mark.usefixtures('importable_tests')


def add(number):
    return shared()['base'] + number


def _fail_beside_long_work():
    with workers({}, 1) as executor:
        executor.submit(time.sleep, 60)
        time.sleep(0.5)
        raise ZeroDivisionError


def threads(_):
    import torch

    return os.getpid(), torch.get_num_threads()


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_process_has_the_thing_and_computes_on_one_thread():
    with workers({'base': 10}, 2) as executor:
        assert list(executor.map(add, range(5))) == [10, 11, 12, 13, 14]
        found = dict(executor.map(threads, range(8)))
    assert os.getpid() not in found
    assert set(found.values()) == {1}


def test_one_process_can_work_alone():
    with sharing({'base': 1}):
        assert add(1) == 2
    with pytest.raises(LookupError):
        shared()


@pytest.mark.parametrize('_', range(20))  # the thread of the executor may be the one that buries them
def test_a_process_that_is_killed_is_noticed_and_none_is_left(_):
    with pytest.raises(BrokenProcessPool), workers({}, 2) as executor:
        executor.submit(die, 0).result()
    assert multiprocessing.active_children() == []


def test_an_error_ends_the_processes_at_once():
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        _fail_beside_long_work()
    assert time.monotonic() - begin < 30
    assert multiprocessing.active_children() == []


SCRIPT = """
import os, sys, time
from aiida_alphacrystal.engine.workers import workers
if __name__ == '__main__':
    with workers({}, 1) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        executor.submit(time.sleep, 60)
        time.sleep(60)
"""


def test_the_processes_of_a_killed_one_end_by_themselves(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.kill()
    for _ in range(200):
        if not _is_alive(worker):
            return
        time.sleep(0.05)
    pytest.fail('the process is still there after ten seconds')


def _is_alive(process):
    """Return whether a process is there and no zombie that nobody has buried."""
    try:
        with open(f'/proc/{process}/stat', encoding='utf-8') as handle:
            return handle.read().rpartition(')')[2].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def deaf(_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(100_000)


def _fail_beside_deaf_work():
    with workers({}, 2) as executor:
        futures = [executor.submit(deaf, number) for number in range(2)]
        while not all(future.running() for future in futures):
            time.sleep(0.05)
        time.sleep(0.5)
        raise ZeroDivisionError


def test_a_process_that_does_not_hear_is_killed_in_the_end(monkeypatch):
    monkeypatch.setattr('aiida_alphacrystal.engine.workers._GRACE', 0.5)
    with pytest.raises(ZeroDivisionError):
        _fail_beside_deaf_work()
    assert multiprocessing.active_children() == []
