"""Known crystals and a plan that take little time."""

import pytest

from aiida_alphacrystal.engine.datasets import read_crystals
from aiida_alphacrystal.engine.evaluation import Plan
from aiida_alphacrystal.engine.pipeline import load_models
from aiida_alphacrystal.engine.settings import PredictionSettings


@pytest.fixture(scope='session')
def known(crystals_file):
    """Return five textbook crystals."""
    wanted = ('LiF', 'CsCl', 'GaAs', 'SrTiO3', 'KCl')
    crystals = {crystal.material_id: crystal for crystal in read_crystals(crystals_file)}
    return tuple(crystals[name] for name in wanted)


@pytest.fixture(scope='session')
def plan():
    """Return a plan without relaxation."""
    return Plan(PredictionSettings.from_dict({'templates': {'max_candidates': 4}}), ('templates',))


@pytest.fixture(scope='session')
def models():
    """Return the weights of the package."""
    return load_models()
