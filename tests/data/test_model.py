"""Tests of the node that holds trained weights."""

from __future__ import annotations

import io

import pytest
from aiida import orm
from aiida.common.exceptions import StoringNotAllowed
from aiida.plugins import DataFactory

from aiida_alphacrystal.data import ModelData

SHA256 = '9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c'


def make(content: bytes = b'weights', purpose: str = 'cells', **kwargs) -> ModelData:
    return ModelData(io.BytesIO(content), purpose=purpose, **kwargs)


def test_entry_point():
    assert DataFactory('alphacrystal.model') is ModelData


def test_attributes_and_content():
    node = make(card={'seed': 1}).store()
    loaded = orm.load_node(node.uuid)
    assert isinstance(loaded, ModelData)
    assert loaded.purpose == 'cells'
    assert loaded.card == {'seed': 1}
    assert loaded.filename == 'cells.safetensors'
    assert loaded.sha256 == SHA256
    assert loaded.get_content(mode='rb') == b'weights'
    assert loaded.get_description() == 'weights for cells, sha256 9a129038d9a0'


def test_equal_content_hashes_equal_whatever_the_card_and_file_name():
    first = make(card={'seed': 1}, filename='a.safetensors').store()
    second = make(card={'seed': 2}, filename='b.safetensors').store()
    assert first.uuid != second.uuid
    assert first.base.caching.compute_hash() == second.base.caching.compute_hash()


@pytest.mark.parametrize('other', [{'content': b'other'}, {'purpose': 'templates'}])
def test_other_content_or_purpose_hashes_otherwise(other):
    assert make().store().base.caching.compute_hash() != make(**other).store().base.caching.compute_hash()


def test_get_or_create(tmp_path):
    node = ModelData.get_or_create(b'only once', 'distances')
    assert not node.is_stored
    node.store()
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(b'only once')
    assert ModelData.get_or_create(path, 'distances').uuid == node.uuid
    assert not ModelData.get_or_create(b'only once', 'cells').is_stored


@pytest.mark.parametrize('purpose', ModelData.PURPOSES)
def test_shipped(purpose):
    node = ModelData.shipped(purpose)
    assert node.purpose == purpose
    assert node.card
    node.store()
    assert ModelData.shipped(purpose).uuid == node.uuid


def test_the_network_of_the_paper_is_shipped_as_well():
    node = ModelData.shipped('distances', 'distances-reference')
    assert (node.purpose, node.card['settings']['network']) == ('distances', 'reference')
    assert node.sha256 != ModelData.shipped('distances').sha256


def test_unknown_purpose():
    with pytest.raises(ValueError, match="'tea': give one of distances, cells, templates"):
        make(purpose='tea')


def test_wrong_checksum_is_not_stored():
    node = make()
    node.base.attributes.set('sha256', '0' * 64)
    with pytest.raises(StoringNotAllowed, match='checksum differs'):
        node.store()


def test_query_by_attributes():
    node = make(b'to be found', card={'data': {'sha256': 'abc'}}).store()
    filters = {'attributes.purpose': 'cells', 'attributes.card.data.sha256': 'abc'}
    assert orm.QueryBuilder().append(ModelData, filters=filters).all(flat=True) == [node]
