"""Tests of the weights that are read once in a process."""

from __future__ import annotations

import io

import pytest

from aiida_alphacrystal.calcfunctions.weights import read_cell_model, read_library, read_network, read_voters
from aiida_alphacrystal.data import ModelData
from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError

READERS = {'distances': read_network, 'cells': read_cell_model, 'templates': read_library}

pytestmark = pytest.mark.usefixtures('aiida_profile')


def node_of(purpose, content=None):
    """Return a new node, by default of the weights of the package."""
    content = checkpoint.read(None, f'{purpose}.safetensors')[0] if content is None else content
    return ModelData(io.BytesIO(content), purpose=purpose)


@pytest.mark.parametrize('purpose', READERS)
def test_the_same_content_is_read_once(purpose, monkeypatch):
    first = READERS[purpose](node_of(purpose))
    other = node_of(purpose)
    monkeypatch.setattr(ModelData, 'get_content', lambda *_, **__: pytest.fail('it was read again'))
    assert READERS[purpose](other) is first


def test_voters_share_the_library():
    assert read_voters(node_of('templates')) is read_voters(node_of('templates'))


@pytest.mark.parametrize('purpose', READERS)
def test_other_content_is_refused_each_time(purpose):
    foreign = checkpoint.read(None, f'{next(other for other in READERS if other != purpose)}.safetensors')[0]
    for content in (foreign, foreign, b'no weights'):
        with pytest.raises(ModelError):
            READERS[purpose](node_of(purpose, content))


def test_only_the_last_few_are_kept():
    """Nodes are told apart by their checksums alone."""
    node = node_of('distances')
    first = read_network(node)
    for checksum in ('one', 'two'):
        other = node_of('distances')
        other.base.attributes.set('sha256', checksum)
        assert read_network(other) is not first
    assert read_network(node) is not first
