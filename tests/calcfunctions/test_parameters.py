"""Tests of the part of the settings that each stage sees."""

from __future__ import annotations

import dataclasses

import pytest
from aiida import orm
from aiida.tools import delete_nodes

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions.parameters import (
    ALGORITHM_VERSIONS,
    read_settings,
    stage_parameters,
    stage_parameters_node,
)
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.settings import CellSettings, PredictionSettings, RankSettings

SETTINGS = PredictionSettings(max_atoms=12, cells=CellSettings(3), rank=RankSettings(top=7))


def test_every_stage_has_a_version():
    assert sorted(ALGORITHM_VERSIONS) == sorted(calcfunctions.__all__)


def test_a_stage_sees_its_own_part_only():
    assert stage_parameters('predict_cells', SETTINGS) == {
        'algorithm_version': ALGORITHM_VERSIONS['predict_cells'],
        'max_atoms': 12,
        'cells': {'max_hypotheses': 3, 'spacegroup': 0, 'crystal_system': '', 'lattice': [], 'votes': True},
    }


def test_every_setting_reaches_a_stage():
    seen = {key for stage in ALGORITHM_VERSIONS for key in stage_parameters(stage, SETTINGS)}
    assert seen == {field.name for field in dataclasses.fields(PredictionSettings)} | {'algorithm_version'}


@pytest.mark.parametrize('stage', sorted(ALGORITHM_VERSIONS))
def test_round_trip(stage):
    node = orm.Dict(stage_parameters(stage, SETTINGS))
    assert stage_parameters(stage, read_settings(node)) == node.get_dict()


def test_the_node_of_the_prediction_before_is_used_again(aiida_profile):
    first = stage_parameters_node('rank', SETTINGS).store()
    assert first.get_dict() == stage_parameters('rank', SETTINGS)
    assert stage_parameters_node('rank', SETTINGS).uuid == first.uuid
    assert stage_parameters_node('relax', SETTINGS).uuid != first.uuid


def test_other_settings_have_another_node(aiida_profile):
    first = stage_parameters_node('rank', SETTINGS).store()
    changed = dataclasses.replace(SETTINGS, rank=RankSettings(top=6))
    other = stage_parameters_node('rank', changed).store()
    assert other.uuid != first.uuid
    assert other.get_dict() == stage_parameters('rank', changed)
    assert stage_parameters_node('rank', SETTINGS).get_dict() == stage_parameters('rank', SETTINGS)


def test_a_node_that_was_deleted_is_made_anew(aiida_profile):
    first = stage_parameters_node('rank', SETTINGS).store()
    delete_nodes([first.pk], dry_run=False)
    anew = stage_parameters_node('rank', SETTINGS)
    assert not anew.is_stored
    assert anew.get_dict() == stage_parameters('rank', SETTINGS)


def test_unknown_setting():
    with pytest.raises(SettingsError, match='Unknown setting tea'):
        read_settings(orm.Dict({'tea': 1, 'algorithm_version': 1}))
