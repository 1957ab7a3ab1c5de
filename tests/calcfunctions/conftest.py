"""Outcome of every stage for one formula, each made from the one before."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.parameters import stage_parameters
from aiida_alphacrystal.data import ModelData, PotentialData
from aiida_alphacrystal.engine.relax import resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings

SETTINGS = PredictionSettings.from_dict(
    {
        'cells': {'max_hypotheses': 3},
        'templates': {'max_candidates': 2},
        'search': {'max_candidates': 0},
        'relax': {'max_steps': 2},
        'rank': {'top': 2},
    }
)


def parameters_of(stage: str) -> orm.Dict:
    return orm.Dict(stage_parameters(stage, SETTINGS))


@pytest.fixture(scope='session')
def features(aiida_profile: Any) -> orm.ArrayData:
    return calcfunctions.featurize(formula=orm.Str('NaCl'), parameters=parameters_of('featurize'))['features']


@pytest.fixture(scope='session')
def cells(features: orm.ArrayData) -> orm.Dict:
    outputs = calcfunctions.predict_cells(
        features=features,
        model=ModelData.shipped('cells'),
        templates=ModelData.shipped('templates'),
        parameters=parameters_of('predict_cells'),
    )
    return outputs['cells']


@pytest.fixture(scope='session')
def distances(features: orm.ArrayData, cells: orm.Dict) -> dict[str, orm.ArrayData]:
    return calcfunctions.predict_distances(
        features=features,
        cells=cells,
        model=ModelData.shipped('distances'),
        parameters=parameters_of('predict_distances'),
    )


@pytest.fixture(scope='session')
def reconstruction(features: orm.ArrayData, cells: orm.Dict, distances: dict[str, orm.ArrayData]) -> dict[str, Any]:
    return calcfunctions.reconstruct(
        features=features,
        cells=cells,
        model=ModelData.shipped('templates'),
        parameters=parameters_of('reconstruct'),
        seed=orm.Int(0),
        distances=distances['distances'],
    )


@pytest.fixture(scope='session')
def potential(aiida_profile: Any) -> PotentialData:
    return PotentialData.get_or_create(resolve_potential('chgnet').files).store()


@pytest.fixture(scope='session')
def relaxation(reconstruction: dict[str, Any], potential: PotentialData) -> dict[str, Any]:
    return calcfunctions.relax(
        potential=potential, parameters=parameters_of('relax'), structures=reconstruction['structures']
    )
