"""Tests of the training of the cell predictor."""

import dataclasses
import json

import pytest
import torch

from aiida_alphacrystal.engine.cells import TemplateVotes, load_cell_model, predict_cells, training
from aiida_alphacrystal.engine.cells.training import CellTrainSettings
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.datasets import DatasetError, read_crystals
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.training import train_templates
from aiida_alphacrystal.engine.settings import CellSettings

SHORT = CellTrainSettings(folds=2, class_epochs=40, ranker_epochs=20, lattice_epochs=40, batch=8, width=64)


class StoppedError(Exception):
    """Stands in for a kill."""


@pytest.fixture(scope='module')
def own_library(crystals_file, tmp_path_factory):
    """Return the file of a library of the textbook crystals."""
    directory = tmp_path_factory.mktemp('library')
    train_templates(read_crystals(crystals_file), {'file': 'textbook'}, directory)
    return directory / 'templates.safetensors'


@pytest.fixture(scope='module')
def trained(crystals_file, own_library, tmp_path_factory):
    directory = tmp_path_factory.mktemp('cells')
    seen = []
    with reporting(lambda *call: seen.append(call)):
        card = training.train_cells(crystals_file, crystals_file, directory, own_library, 1, SHORT)
    return directory, card, seen


def test_it_learns_what_it_is_shown(trained, own_library):
    directory, card, seen = trained
    assert card['scores_on_val']['spacegroup']['5'] >= 0.9
    assert card['scores_on_val']['z']['1'] == 1.0
    assert card['data']['templates']['file'] == 'templates.safetensors'
    assert card['settings'] == dataclasses.asdict(SHORT)
    history = card['history']
    epochs = {name: len(losses) for name, losses in history.items()}
    assert epochs == {'classes_1': 40, 'classes_2': 40, 'ranker': 20, 'lattice': 40}
    assert all(losses[-1] < losses[0] for losses in history.values())
    stages = list(dict.fromkeys(call[0] for call in seen))
    assert stages == ['votes', 'votes_val', 'classes_1', 'classes_2', 'ranker', 'lattice', 'cells']
    assert json.loads((directory / 'cells.json').read_text()) == card
    assert sorted(path.name for path in directory.iterdir()) == ['cells.json', 'cells.safetensors']
    model = load_cell_model(directory / 'cells.safetensors')
    voters = TemplateVotes(load_library(own_library))
    assert predict_cells(model, parse_formula('SrTiO3'), CellSettings(), 20, voters)[0].spacegroup == 221


def test_the_same_seed_gives_the_same_weights(trained, crystals_file, own_library, tmp_path):
    training.train_cells(crystals_file, crystals_file, tmp_path, own_library, 1, SHORT)
    assert (tmp_path / 'cells.safetensors').read_bytes() == (trained[0] / 'cells.safetensors').read_bytes()
    training.train_cells(crystals_file, crystals_file, tmp_path, own_library, 2, SHORT)
    assert (tmp_path / 'cells.safetensors').read_bytes() != (trained[0] / 'cells.safetensors').read_bytes()


def test_a_stopped_training_goes_on_to_the_same_weights(trained, crystals_file, own_library, tmp_path):
    def stop(stage, done, total):
        if stage == 'classes_2' and done == 3:
            raise StoppedError

    with reporting(stop), pytest.raises(StoppedError):
        training.train_cells(crystals_file, crystals_file, tmp_path, own_library, 1, SHORT)
    assert not (tmp_path / 'cells.safetensors').exists()
    seen = []
    with reporting(lambda *call: seen.append(call[0])):
        card = training.train_cells(crystals_file, crystals_file, tmp_path, own_library, 1, SHORT)
    assert card['history'] == trained[1]['history']
    assert 'classes_1' not in seen
    assert 'classes_2' in seen
    assert (tmp_path / 'cells.safetensors').read_bytes() == (trained[0] / 'cells.safetensors').read_bytes()


def test_formulas_stay_together_in_the_folds(crystals_file):
    crystals = read_crystals(crystals_file)
    doubled = crystals + crystals[:5]
    folds = training._folds(doubled, 3, seed=0)
    assert torch.equal(folds[:5], folds[-5:])
    assert sorted(torch.bincount(folds[: len(crystals)]).tolist()) == [6, 6, 7]


def test_crystals_without_a_space_group_cannot_be_learnt_from(crystals_file, tmp_path):
    rows = [json.loads(line) for line in crystals_file.read_text().splitlines()]
    path = tmp_path / 'data.jsonl'
    path.write_text('\n'.join(json.dumps({key: row[key] for key in row if key != 'spacegroup'}) for row in rows))
    with pytest.raises(DatasetError, match='space group'):
        training.train_cells(path, crystals_file, tmp_path)
