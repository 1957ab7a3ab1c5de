"""Tests of the training of the cell predictor."""

import json

import pytest

from aiida_alphacrystal.engine.cells import load_cell_model, predict_cells, training
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.datasets import DatasetError
from aiida_alphacrystal.engine.settings import CellSettings


@pytest.fixture(scope='module')
def trained(crystals_file, tmp_path_factory):
    directory = tmp_path_factory.mktemp('cells')
    seen = []
    card = training.train_cells(
        crystals_file, crystals_file, directory, seed=1, progress=lambda *call: seen.append(call)
    )
    return directory, card, seen


def test_it_learns_what_it_is_shown(trained):
    directory, card, seen = trained
    assert card['scores_on_val']['spacegroup_top1'] >= 0.9
    assert card['scores_on_val']['formula_units_top1'] == 1.0
    assert [call[:2] for call in seen] == [(epoch, training.EPOCHS) for epoch in range(1, training.EPOCHS + 1)]
    assert json.loads((directory / 'cells.json').read_text()) == card
    model = load_cell_model(directory / 'cells.safetensors')
    assert predict_cells(model, parse_formula('SrTiO3'), CellSettings(), 20)[0].spacegroup == 221


def test_the_same_seed_gives_the_same_weights(trained, crystals_file, tmp_path):
    training.train_cells(crystals_file, crystals_file, tmp_path, seed=1)
    assert (tmp_path / 'cells.safetensors').read_bytes() == (trained[0] / 'cells.safetensors').read_bytes()
    training.train_cells(crystals_file, crystals_file, tmp_path, seed=2)
    assert (tmp_path / 'cells.safetensors').read_bytes() != (trained[0] / 'cells.safetensors').read_bytes()


def test_crystals_without_a_space_group_cannot_be_learnt_from(crystals_file, tmp_path):
    rows = [json.loads(line) for line in crystals_file.read_text().splitlines()]
    path = tmp_path / 'data.jsonl'
    path.write_text('\n'.join(json.dumps({key: row[key] for key in row if key != 'spacegroup'}) for row in rows))
    with pytest.raises(DatasetError, match='space group'):
        training.train_cells(path, crystals_file, tmp_path)
