"""Tests of how weights are written and read."""

import numpy as np
import pytest

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError

ARRAYS = {'a': np.arange(6, dtype=np.int32).reshape(2, 3), 'b': np.linspace(0, 1, 5).astype(np.float32)}


def test_round_trip_and_same_bytes():
    content = checkpoint.pack('test', 1, ARRAYS, {'depth': 3})
    assert content == checkpoint.pack('test', 1, dict(reversed(ARRAYS.items())), {'depth': 3})
    arrays, header = checkpoint.unpack(content, 'test', 1, 'The file')
    assert header['depth'] == 3
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert (arrays[name] == array).all()


def test_every_kind_of_damage_is_refused():
    content = checkpoint.pack('test', 1, ARRAYS, {})
    flipped = bytearray(content)
    flipped[-1] ^= 1
    for damaged in (b'', b'abc', content[:-1], content[:40], b'\xff' * 64, bytes(flipped), b'\x02' + b'\0' * 7 + b'{}'):
        with pytest.raises(ModelError, match='The file'):
            checkpoint.unpack(damaged, 'test', 1, 'The file')


def test_foreign_files_are_refused():
    content = checkpoint.pack('test', 1, ARRAYS, {})
    with pytest.raises(ModelError, match="does not have the format 'other'"):
        checkpoint.unpack(content, 'other', 1, 'The file')
    with pytest.raises(ModelError, match='another version'):
        checkpoint.unpack(content, 'test', 2, 'The file')
    endless = checkpoint.pack('test', 1, {'a': np.array([np.inf])}, {})
    with pytest.raises(ModelError, match='not finite'):
        checkpoint.unpack(endless, 'test', 1, 'The file')


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ModelError, match='nowhere'):
        checkpoint.read(tmp_path / 'nowhere', 'cells.safetensors')
    with pytest.raises(ModelError, match=r'lacks its weights nothing\.safetensors'):
        checkpoint.read_shipped('nothing.safetensors')


def test_atomic_writing_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / 'new' / 'file'
    checkpoint.write_atomically(path, b'one')
    checkpoint.write_atomically(path, b'two')
    assert path.read_bytes() == b'two'
    assert list(path.parent.iterdir()) == [path]
