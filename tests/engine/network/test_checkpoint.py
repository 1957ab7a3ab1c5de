"""The file of weights: what comes back, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from aiida_alphacrystal.engine.distances import fine_bins
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.network import load_network
from aiida_alphacrystal.engine.network.checkpoint import save_network
from aiida_alphacrystal.engine.network.model import Architecture, DistanceNetwork


def make_network():
    torch.manual_seed(5)
    architecture = Architecture(site_width=8, site_blocks=1, pair_width=8, pair_blocks=1, triangle_width=2)
    return DistanceNetwork(architecture, fine_bins(), np.arange(11.0), np.full(11, 2.0))


CONTENT = save_network(make_network())


def test_the_network_comes_back(tmp_path):
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(CONTENT)
    network, loaded = make_network(), load_network(path)
    assert loaded.architecture == network.architecture
    assert not loaded.training
    np.testing.assert_array_equal(loaded.bin_edges, fine_bins())
    np.testing.assert_array_equal(loaded.feature_mean, np.arange(11.0))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


def test_the_same_network_gives_the_same_bytes():
    assert save_network(load_network(CONTENT)) == CONTENT


def test_loading_leaves_the_random_numbers_of_the_caller_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_network(CONTENT)
    assert torch.equal(torch.rand(3), expected)


@given(st.integers(min_value=0, max_value=len(CONTENT) - 1))
def test_a_truncated_file_is_refused(length):
    with pytest.raises(ModelError):
        load_network(CONTENT[:length])


@given(st.integers(min_value=0, max_value=len(CONTENT) - 1), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_never_gives_other_weights(place, change):
    damaged = bytearray(CONTENT)
    damaged[place] ^= change
    try:
        loaded = load_network(bytes(damaged))
    except ModelError:
        return
    for name in ('bin_edges', 'feature_mean', 'feature_scale'):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(make_network(), name))
    for name, tensor in make_network().state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


@given(st.binary(max_size=200))
def test_anything_else_is_refused(content):
    with pytest.raises(ModelError):
        load_network(content)


def test_foreign_safetensors_are_refused():
    with pytest.raises(ModelError, match='does not have the format'):
        load_network(save({'weight': torch.zeros(3)}, metadata={'format': 'pt'}))


def test_another_version_is_refused():
    length = int.from_bytes(CONTENT[:8], 'little')
    header = json.loads(CONTENT[8 : 8 + length])
    settings = json.loads(header['__metadata__']['alphacrystal'])
    header['__metadata__']['alphacrystal'] = json.dumps({**settings, 'version': 99})
    text = json.dumps(header).encode()
    with pytest.raises(ModelError, match='another version'):
        load_network(len(text).to_bytes(8, 'little') + text + CONTENT[8 + length :])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r'none\.safetensors cannot be read'):
        load_network(tmp_path / 'none.safetensors')
