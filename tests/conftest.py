"""Fixtures for the whole test suite; it needs no services."""

from __future__ import annotations

import contextlib
import copy
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiida import orm

pytest_plugins = ['aiida.tools.pytest_fixtures']

#: Settings with which the six stages take seconds.
TINY: dict[str, Any] = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 2},
    'search': {'max_candidates': 1, 'max_screened': 4, 'evaluations': 500},
    'relax': {'max_steps': 5},
    'rank': {'top': 3},
}


ROCK_SALTS = {'LiF': 4.03, 'NaCl': 5.64, 'KBr': 6.60, 'MgO': 4.21, 'CaO': 4.81, 'SrO': 5.16, 'NaF': 4.63, 'KCl': 6.29}
CAESIUM_CHLORIDES = {'CsCl': 4.12, 'CsBr': 4.29, 'TlCl': 3.84}
ZINC_BLENDES = {'GaAs': 5.65, 'ZnS': 5.41, 'InP': 5.87, 'AlP': 5.46}
PEROVSKITES = {'SrTiO3': 3.905, 'BaTiO3': 4.01, 'KTaO3': 3.99, 'CaTiO3': 3.84}


def _binary(formula):
    symbols = [formula[:2].strip('0123456789'), '']
    for cut in (1, 2):
        if len(formula) > cut and formula[cut].isupper():
            symbols = [formula[:cut], formula[cut:]]
    return symbols


def known_crystals():
    """Yield name, space group and primitive structure of textbook crystals."""
    for formula, a in ROCK_SALTS.items():
        yield formula, 225, Structure.from_spacegroup(225, Lattice.cubic(a), _binary(formula), [[0] * 3, [0.5] * 3])
    for formula, a in CAESIUM_CHLORIDES.items():
        yield formula, 221, Structure.from_spacegroup(221, Lattice.cubic(a), _binary(formula), [[0] * 3, [0.5] * 3])
    for formula, a in ZINC_BLENDES.items():
        yield formula, 216, Structure.from_spacegroup(216, Lattice.cubic(a), _binary(formula), [[0] * 3, [0.25] * 3])
    for formula, a in PEROVSKITES.items():
        symbols = [formula[:-4] if formula[0] == 'K' else formula[:2], formula[-4:-2], 'O']
        sites = [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
        yield formula, 221, Structure.from_spacegroup(221, Lattice.cubic(a), symbols, sites)


@pytest.fixture(scope='session')
def crystals_file(tmp_path_factory):
    """Write the textbook crystals as a dataset file."""
    path = tmp_path_factory.mktemp('data') / 'crystals.jsonl'
    with path.open('w') as handle:
        for formula, spacegroup, conventional in known_crystals():
            structure = conventional.get_primitive_structure()
            row = {
                'material_id': formula,
                'spacegroup': spacegroup,
                'lattice': structure.lattice.matrix.tolist(),
                'species': [site.specie.symbol for site in structure],
                'frac_coords': structure.frac_coords.tolist(),
                'e_above_hull': 0.0,
            }
            handle.write(json.dumps(row) + '\n')
    return path


@pytest.fixture
def importable_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that a test starts import the functions of the test.

    The root of the repository comes last, so that they import the package that is installed.
    """
    monkeypatch.setattr(sys, 'path', [*sys.path, str(Path(__file__).parents[1])])


@pytest.fixture
def tiny_settings() -> dict[str, Any]:
    """Return settings with which the six stages take seconds."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope='session', autouse=True)
def _hear_interrupts() -> None:
    """Let the commands that are started hear Ctrl-C, also where a shell has started the tests in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def run_prediction(aiida_profile: Any) -> Callable[..., orm.WorkChainNode]:
    """Return a function that runs ``PredictWorkChain`` with tiny settings and returns its node."""
    from aiida.engine import run_get_node

    from aiida_alphacrystal.workchains import PredictWorkChain

    def run(
        formula: str | dict[str, int] = 'NaCl', seed: int = 0, overrides: dict[str, Any] | None = None, **inputs: Any
    ) -> orm.WorkChainNode:
        builder = PredictWorkChain.get_builder_from_protocol(formula, 'fast', TINY, seed=seed)
        if overrides is not None:
            builder.parameters = builder.parameters.clone()
            for key, value in overrides.items():
                builder.parameters[key] = value
        for key, value in inputs.items():
            setattr(builder, key, value)
        return run_get_node(builder)[1]

    return run


@pytest.fixture(scope='session')
def prediction(run_prediction: Callable[..., orm.WorkChainNode]) -> orm.WorkChainNode:
    """Return a finished prediction of NaCl; do not change or delete it."""
    return run_prediction('NaCl')


@pytest.fixture(scope='session')
def engine_code(aiida_profile: Any) -> orm.InstalledCode:
    """Return the program of the jobs on a computer without a scheduler, which is asked without delay."""
    from aiida import orm

    computer = orm.Computer(
        label='engine-host',
        hostname='localhost',
        transport_type='core.local',
        scheduler_type='core.direct',
        workdir=tempfile.mkdtemp(prefix='alphacrystal-jobs-'),
    ).store()
    computer.set_minimum_job_poll_interval(0)
    computer.set_default_mpiprocs_per_machine(1)
    computer.configure(safe_interval=0)
    return orm.InstalledCode(
        label='engine',
        computer=computer,
        filepath_executable=str(Path(sys.executable).with_name('aiida-alphacrystal-engine')),
        default_calc_job_plugin='alphacrystal.predict',
        prepend_text='export OMP_NUM_THREADS=1',
    ).store()


@pytest.fixture
def make_code(aiida_localhost):
    """Return a function that makes a code for pw.x, its executable one that exists."""
    from aiida import orm

    made = []

    def make(executable='/bin/true', plugin='quantumespresso.pw', with_mpi=False, computer=None):
        code = orm.InstalledCode(
            label='pw',
            computer=computer or aiida_localhost,
            filepath_executable=str(executable),
            default_calc_job_plugin=plugin,
            with_mpi=with_mpi,
        ).store()
        made.append(code)
        return code

    yield make
    for code in made:
        code.label = f'old {code.uuid}'


@pytest.fixture
def toy(entry_points: Any) -> str:
    """Return the name of a work chain with protocols that nothing of ours knows."""
    from tests.toy_relax import ToyRelaxWorkChain

    entry_points.add(ToyRelaxWorkChain, 'aiida.workflows:test.toy')
    return 'test.toy'


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Return a function that starts a server on this machine, which ends with the test."""
    from tests.local_server import serving

    with contextlib.ExitStack() as stack:
        yield lambda answer: stack.enter_context(serving(answer))
