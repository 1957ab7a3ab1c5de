"""Tests of the weights that are read once in a process."""

from __future__ import annotations

import pytest

from aiida_alphacrystal.calcfunctions.weights import read_cell_model, read_library, read_network, read_voters
from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError

READERS = {
    'distances.safetensors': read_network,
    'cells.safetensors': read_cell_model,
    'templates.safetensors': read_library,
}


@pytest.mark.parametrize('name', READERS)
def test_the_same_content_is_read_once(name):
    content = checkpoint.read(None, name)[0]
    first = READERS[name](content)
    assert READERS[name](bytes(bytearray(content))) is first


def test_voters_share_the_library():
    content = checkpoint.read(None, 'templates.safetensors')[0]
    assert read_voters(content) is read_voters(bytes(bytearray(content)))


@pytest.mark.parametrize('name', READERS)
def test_other_content_is_refused_each_time(name):
    foreign = checkpoint.read(None, next(other for other in READERS if other != name))[0]
    for content in (foreign, foreign, b'no weights'):
        with pytest.raises(ModelError):
            READERS[name](content)
