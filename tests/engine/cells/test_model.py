"""Tests of the file of the cell predictor."""

import numpy as np
import pytest

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.cells import load_cell_model
from aiida_alphacrystal.engine.cells.model import save_cell_model
from aiida_alphacrystal.engine.errors import ModelError


def test_what_is_written_is_read(tmp_path):
    model = load_cell_model()
    save_cell_model(model, tmp_path / 'cells.safetensors')
    assert (tmp_path / 'cells.safetensors').read_bytes() == checkpoint.read_shipped('cells.safetensors')
    again = load_cell_model(tmp_path / 'cells.safetensors')
    assert again.temperatures == model.temperatures
    assert again.volume_factor == model.volume_factor
    assert np.array_equal(again.spacegroups, model.spacegroups)
    assert len(again.networks) == len(model.networks)


def test_foreign_and_incomplete_weights_are_refused():
    content = checkpoint.pack('aiida-alphacrystal cells', 2, {}, {'classes': {'classes': 3}, 'networks': 1})
    with pytest.raises(ModelError, match='does not fit the cell predictor'):
        load_cell_model(content)
    with pytest.raises(ModelError, match='another version'):
        load_cell_model(checkpoint.pack('aiida-alphacrystal cells', 1, {}, {}))
    with pytest.raises(ModelError, match='does not have the format'):
        load_cell_model(checkpoint.read_shipped('templates.safetensors'))
