"""Fixtures for the whole test suite; it needs no services."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida import orm

pytest_plugins = ['aiida.tools.pytest_fixtures']

#: Settings with which the six stages take seconds.
TINY: dict[str, Any] = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 2},
    'genetic': {'max_candidates': 1, 'max_screened': 4, 'max_assignments': 2, 'population': 8, 'generations': 2},
    'relax': {'max_steps': 5},
    'rank': {'top': 3},
}


@pytest.fixture
def tiny_settings() -> dict[str, Any]:
    """Return settings with which the six stages take seconds."""
    return copy.deepcopy(TINY)


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
