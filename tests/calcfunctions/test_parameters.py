"""Tests of the part of the settings that each stage sees."""

from __future__ import annotations

import dataclasses

import pytest
from aiida import orm

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.parameters import ALGORITHM_VERSIONS, read_settings, stage_parameters
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.settings import CellSettings, PredictionSettings, RankSettings

SETTINGS = PredictionSettings(max_atoms=12, cells=CellSettings(3), rank=RankSettings(top=7))


def test_every_stage_has_a_version():
    assert sorted(ALGORITHM_VERSIONS) == sorted(calcfunctions.__all__)


def test_a_stage_sees_its_own_part_only():
    assert stage_parameters('predict_cells', SETTINGS) == {
        'algorithm_version': ALGORITHM_VERSIONS['predict_cells'],
        'max_atoms': 12,
        'cells': {'max_hypotheses': 3, 'spacegroup': 0, 'crystal_system': '', 'lattice': []},
    }


def test_every_setting_reaches_a_stage():
    seen = {key for stage in ALGORITHM_VERSIONS for key in stage_parameters(stage, SETTINGS)}
    assert seen == {field.name for field in dataclasses.fields(PredictionSettings)} | {'algorithm_version'}


@pytest.mark.parametrize('stage', sorted(ALGORITHM_VERSIONS))
def test_round_trip(stage):
    node = orm.Dict(stage_parameters(stage, SETTINGS))
    assert stage_parameters(stage, read_settings(node)) == node.get_dict()


def test_unknown_setting():
    with pytest.raises(SettingsError, match='Unknown setting tea'):
        read_settings(orm.Dict({'tea': 1, 'algorithm_version': 1}))
