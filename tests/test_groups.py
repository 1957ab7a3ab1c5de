"""Tests of the families of weights."""

from __future__ import annotations

import io

import pytest
from aiida import orm
from aiida.plugins import GroupFactory

from aiida_alphacrystal.data import ModelData
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.groups import ModelFamily


def weights(content, purpose='cells'):
    return ModelData(io.BytesIO(content), purpose=purpose)


def test_entry_point():
    assert GroupFactory('alphacrystal.family') is ModelFamily


def test_create_and_load(aiida_profile):
    models = {'cells': weights(b'c'), 'templates': weights(b't', 'templates')}
    family = ModelFamily.create('both', models, 'Two of them')
    assert ModelFamily.load('both').pk == family.pk
    assert list(family.models) == ['cells', 'templates']
    assert family.description == 'Two of them'
    assert ModelFamily.create('both', {'cells': weights(b'c'), 'templates': weights(b't', 'templates')}).pk == family.pk


def test_another_content_needs_another_label(aiida_profile):
    ModelFamily.create('one', {'cells': weights(b'1')})
    with pytest.raises(ModelError, match="The family 'one' exists and holds other weights"):
        ModelFamily.create('one', {'cells': weights(b'2')})


@pytest.mark.parametrize(
    ('models', 'sentence'), [({'distances': b'1'}, 'were made for cells'), ({}, 'without weights')]
)
def test_bad_families(aiida_profile, models, sentence):
    with pytest.raises(ModelError, match=sentence):
        ModelFamily.create('bad', {purpose: weights(content) for purpose, content in models.items()})


def test_a_family_holds_weights_for_each_stage_once(aiida_profile):
    family = ModelFamily.create('once', {'cells': weights(b'once')})
    with pytest.raises(ValueError, match='for each stage once'):
        family.add_nodes(weights(b'twice').store())
    with pytest.raises(TypeError, match='nothing but weights'):
        family.add_nodes(orm.Int(1).store())


def test_unknown(aiida_profile):
    with pytest.raises(ModelError, match="There is no family of weights 'nobody'"):
        ModelFamily.load('nobody')
