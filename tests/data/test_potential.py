"""Tests of the node that holds a potential."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common.exceptions import StoringNotAllowed
from aiida.plugins import DataFactory

from aiida_alphacrystal.data import PotentialData
from aiida_alphacrystal.engine.relax.potentials import PotentialFiles, load_potential, resolve_potential

FILES = {'model.pt': b'weights', 'nested/model.json': b'{}'}


def make(name: str = 'mine', kind: str = 'm3gnet', files: dict[str, bytes] | None = None) -> PotentialData:
    return PotentialData.from_files(PotentialFiles(name=name, kind=kind, files=files or FILES))


def test_entry_point():
    assert DataFactory('alphacrystal.potential') is PotentialData


def test_round_trip():
    node = orm.load_node(make().store().uuid)
    assert (node.name, node.kind) == ('mine', 'm3gnet')
    assert node.to_files() == PotentialFiles(name='mine', kind='m3gnet', files=FILES)
    assert node.sha256 == node.to_files().sha256
    assert node.get_description().startswith('potential mine (m3gnet), sha256 ')


def test_equal_content_hashes_equal_whatever_the_name():
    first, second = make().store(), make(name='yours').store()
    assert first.base.caching.compute_hash() == second.base.caching.compute_hash()


@pytest.mark.parametrize(
    'other', [{'kind': 'tensornet'}, {'files': {'model.pt': b'other'}}, {'files': {**FILES, 'more': b''}}]
)
def test_other_content_hashes_otherwise(other):
    assert make().store().base.caching.compute_hash() != make(**other).store().base.caching.compute_hash()


def test_get_or_create():
    files = PotentialFiles(name='once', kind='m3gnet', files={'model.pt': b'only once'})
    node = PotentialData.get_or_create(files)
    assert not node.is_stored
    node.store()
    assert PotentialData.get_or_create(files).uuid == node.uuid


def test_chgnet_round_trip():
    files = resolve_potential('chgnet').files
    assert PotentialData.from_files(files).store().to_files() == files


def test_calculator_of_ase_round_trip():
    files = resolve_potential('ase:ase.calculators.emt:EMT').files
    node = orm.load_node(PotentialData.get_or_create(files).store().uuid)
    assert node.to_files() == files
    assert (node.name, node.kind) == ('emt', 'ase')
    assert node.base.repository.list_object_names() == ['calculator.json']
    assert load_potential(node.to_files()).sha256 == node.sha256 == files.sha256


def test_wrong_checksum_is_not_stored():
    node = make()
    node.base.attributes.set('sha256', '0' * 64)
    with pytest.raises(StoringNotAllowed, match='checksum differs'):
        node.store()
