"""Kill the daemon worker with SIGKILL in each of the six stages and see what becomes of the prediction.

``python benchmarks/aiida_kills.py [--json] [--formula NaCl]``. Each stage is hit at three moments: when its function
begins, when it has computed but nothing is stored yet, and when it is stored but the work chain does not know yet. The
profile is a new one (SQLite and ZeroMQ, as ``verdi presto`` makes it) in a temporary directory; ``aiida.py --parts
kills`` does the same with PostgreSQL too. A stage that had been stored must not be computed again, no process may be
left looking as if it ran, and the ranking must be that of an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STAGES = ('featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank')
MOMENTS = ('begin', 'computed', 'stored')

#: Settings with which the six stages take seconds.
SETTINGS = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 2},
    'search': {'max_candidates': 1, 'max_screened': 4, 'evaluations': 500},
    'relax': {'max_steps': 5},
    'rank': {'top': 3},
}

#: Runs at the start of every worker: one that comes to the moment of the order kills itself, as the kernel would.
_HOOK = """
import json, os, signal, sys
_order = os.environ.get('ALPHACRYSTAL_KILL')
_names = {'featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank', '_run_stage'}

def _watch(frame, event, argument):
    code = frame.f_code
    if code.co_name not in _names or event not in ('call', 'return') or not os.path.exists(_order):
        return
    with open(_order) as file:
        stage, moment = json.load(file)
    if moment == 'stored':
        hit = event == 'return' and code.co_name == '_run_stage' and frame.f_locals.get('stage') == stage
    else:
        hit = event == {'begin': 'call', 'computed': 'return'}[moment] and code.co_name == stage
        hit = hit and code.co_filename.endswith(f'calcfunctions/{stage}.py')
    if hit:
        os.remove(_order)
        os.kill(os.getpid(), signal.SIGKILL)

if _order and 'worker' in sys.orig_argv:
    sys.setprofile(_watch)
"""

_TIMEOUT = 180.0


def kill_in_every_stage(
    formula: str = 'NaCl', stages: tuple[str, ...] = STAGES, moments: tuple[str, ...] = MOMENTS
) -> dict[str, Any]:
    """Kill the worker in every stage at every moment, and return what became of each prediction.

    :param formula: the compound.
    :param stages: where to kill.
    :param moments: when to kill.
    """
    with tempfile.TemporaryDirectory(prefix='alphacrystal-kills-') as directory:
        environment = {
            **os.environ,
            'AIIDA_PATH': directory,
            'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')]),
        }
        # without the directory of this file, where another script is called aiida
        arguments = [sys.executable, '-P', __file__, '--inside', formula, ','.join(stages), ','.join(moments)]
        finished = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def kill_workers_of_profile(
    directory: Path, formula: str = 'NaCl', stages: tuple[str, ...] = STAGES, moments: tuple[str, ...] = MOMENTS
) -> dict[str, Any]:
    """Kill the worker of the loaded profile in every stage at every moment, and return what became of each prediction.

    :param directory: an empty one, for what makes a worker kill itself.
    :param formula: the compound.
    :param stages: where to kill.
    :param moments: when to kill.
    """
    from aiida.engine.daemon.client import get_daemon_client

    order = directory / 'order.json'
    (directory / 'sitecustomize.py').write_text(_HOOK)
    sys.path.insert(0, str(directory))  # the daemon hands it on to its workers
    os.environ['ALPHACRYSTAL_KILL'] = str(order)
    client = get_daemon_client()
    trials = []
    try:
        client.start_daemon(number_workers=1, timeout=60)
        wanted = _predict(formula).outputs.ranking.get_dict()
        for stage in stages:
            for moment in moments:
                order.write_text(json.dumps([stage, moment]))
                started = time.monotonic()
                node = _predict(formula)
                seconds = round(time.monotonic() - started, 1)
                trials.append({**_judge(node, stage, moment, wanted), 'seconds': seconds, 'hit': not order.exists()})
                trials[-1]['passed'] &= trials[-1]['hit']
                order.unlink(missing_ok=True)
    finally:
        client.stop_daemon(wait=True, timeout=60)
    return {
        'trials': trials,
        'killed': len(trials),
        'passed': sum(trial['passed'] for trial in trials),
        'seconds_to_recover': max((trial['seconds'] for trial in trials), default=0.0),
    }


def _inside(formula: str, stages: tuple[str, ...], moments: tuple[str, ...]) -> dict[str, Any]:
    """Do the work, in a process whose AIIDA_PATH is an empty directory."""
    from aiida.cmdline.commands.cmd_presto import verdi  # type: ignore[attr-defined]
    from aiida.manage.configuration import load_profile

    with contextlib.redirect_stdout(sys.stderr):
        verdi.main(['presto', '--use-zeromq', '--non-interactive'], prog_name='verdi', standalone_mode=False)
    load_profile()
    with tempfile.TemporaryDirectory() as directory:
        return kill_workers_of_profile(Path(directory), formula, stages, moments)


def _predict(formula: str) -> Any:
    """Submit a prediction and return its node when it has ended, or when it takes too long."""
    from aiida.engine import submit

    from aiida_alphacrystal.workchains import PredictWorkChain

    node = submit(PredictWorkChain.get_builder_from_protocol(formula, 'fast', SETTINGS))
    end = time.monotonic() + _TIMEOUT
    while not node.is_terminated and time.monotonic() < end:
        time.sleep(0.5)
    return node


def _judge(node: Any, stage: str, moment: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Say whether a prediction is as it should be."""
    called = sorted(node.called, key=lambda child: child.pk)
    finished = [child.process_label for child in called if child.is_finished_ok]
    running = [child.process_label for child in called if not child.is_terminated or not child.is_sealed]
    killed = [child.process_label for child in called if child.is_killed]
    expected = [] if moment == 'stored' else [stage]
    same = node.is_finished_ok and node.outputs.ranking.get_dict() == wanted
    return {
        'stage': stage,
        'moment': moment,
        'finished_ok': node.is_finished_ok,
        'same_ranking': same,
        'computed_twice': sorted(name for name in STAGES if finished.count(name) > 1),
        'left_running': running,
        'marked_killed': killed,
        'passed': same and finished == list(STAGES) and not running and killed == expected,
    }


def main() -> None:
    """Print what became of every prediction."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--formula', default='NaCl')
    parser.add_argument('--inside', nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        formula, stages, moments = options.inside
        print(json.dumps(_inside(formula, tuple(stages.split(',')), tuple(moments.split(',')))))
        return
    result = kill_in_every_stage(options.formula)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    for trial in result['trials']:
        print('{stage:18} {moment:9} passed: {passed!s:5} {seconds:6.1f} s'.format(**trial))
    print(f'{result["passed"]} of {result["killed"]} passed')


if __name__ == '__main__':
    main()
