"""How a training is read back."""

from __future__ import annotations

import json

import pytest

from aiida_alphacrystal.engine.checkpoint import read_shipped
from aiida_alphacrystal.report.plots import draw_training
from aiida_alphacrystal.report.training import HistoryError, curves_of_card, read_curves

HISTORY = {
    'epoch': [1, 2, 3],
    'learning_rate': [0.1, 0.2, 0.1],
    'train_loss': [3.0, 2.5, 2.25],
    'val_loss': [3.25, 2.75, 3.0],
    'val_rmse_mean': [1.0, 0.75, 0.5],
    'seconds': [1, 2, 3],
}
CURVE = """epoch,learning_rate,train_loss,val_loss,val_rmse_mean,seconds
1,0.1,3.0,3.25,1,1
2,0.2,2.5,2.75,0.75,2
3,0.1,2.25,3.0,0.5,3
"""
EPOCHS = (1.0, 2.0, 3.0)


def lines_of(figure):
    return {
        axes.get_ylabel(): {
            line.get_label(): (tuple(line.get_xdata()), tuple(line.get_ydata()))
            for line in axes.lines
            if not line.get_label().startswith('kept')
        }
        for axes in figure.axes
    }


@pytest.fixture
def directory(tmp_path):
    (tmp_path / 'distances.json').write_text(json.dumps({'best_epoch': 2, 'history': HISTORY}))
    (tmp_path / 'distances-curve.csv').write_text(CURVE)
    return tmp_path


@pytest.mark.parametrize('name', ['.', 'distances.json', 'distances-curve.csv', 'distances.safetensors'])
def test_directory_card_weights_and_curve_say_the_same(directory, name):
    curves = read_curves(directory / name)
    assert curves.best_epoch == 2
    figure = draw_training(curves)
    assert figure.get_suptitle() == 'Training of the distance network'
    assert lines_of(figure) == {
        'loss (cross-entropy)': {
            'training crystals': (EPOCHS, (3.0, 2.5, 2.25)),
            'validation crystals': (EPOCHS, (3.25, 2.75, 3.0)),
        },
        'mean RMSE of distances (Å)': {'validation crystals': (EPOCHS, (1.0, 0.75, 0.5))},
    }
    validation = [line for axes in figure.axes for line in axes.lines if line.get_label() == 'validation crystals']
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in validation}) == 1
    kept = [line for axes in figure.axes for line in axes.lines if line.get_label() == 'kept: epoch 2']
    assert [list(line.get_xdata()) for line in kept] == [[2, 2], [2, 2]]


def test_without_validation():
    history = {**HISTORY, 'val_loss': [None] * 3, 'val_rmse_mean': [None] * 3}
    figure = draw_training(curves_of_card({'history': history}, 'mine'))
    assert lines_of(figure) == {'loss (cross-entropy)': {'training crystals': (EPOCHS, (3.0, 2.5, 2.25))}}


def test_cells():
    history = {'classes_1': [2.0, 1.0], 'classes_2': [2.5, 1.5], 'ranker': [0.5], 'lattice': [0.25, 0.125, 0.0625]}
    figure = draw_training(curves_of_card({'history': history}, 'mine'))
    assert figure.get_suptitle() == 'Training of the cell predictor'
    assert lines_of(figure) == {
        'loss of the class networks': {
            'network 1': ((1.0, 2.0), (2.0, 1.0)),
            'network 2': ((1.0, 2.0), (2.5, 1.5)),
        },
        'loss of the ranker': {'ranker': ((1.0,), (0.5,))},
        'loss of the lattice network': {'lattice': (EPOCHS, (0.25, 0.125, 0.0625))},
    }


@pytest.mark.parametrize('purpose', ['distances', 'cells', 'templates'])
def test_weights_of_the_package_have_no_history(purpose):
    with pytest.raises(HistoryError, match=r'The card of the package has no history of its training: train'):
        curves_of_card(json.loads(read_shipped(f'{purpose}.json')), 'the package')


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('distances.json', '{"history"', 'is damaged'),
        ('distances.json', '[1]', 'is damaged'),
        ('distances.json', '{"history": {"train_loss": [1, 2], "epoch": [1]}}', 'is damaged'),
        ('distances.json', '{"history": {"train_loss": "tea", "epoch": [1]}}', 'is damaged'),
        ('distances.json', '{"history": {"tea": [1]}}', 'is empty'),
        ('distances.json', '{"seed": 0}', 'has no history'),
        ('distances-curve.csv', '', 'is damaged'),
        ('distances-curve.csv', 'epoch,train_loss\n1,tea\n', 'is damaged'),
        ('distances-curve.csv', 'a,b\n1,2\n', 'is damaged'),
        ('other.txt', 'tea', 'holds neither distances-curve.csv nor a card'),
    ],
)
def test_what_cannot_be_drawn(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(HistoryError, match=sentence):
        read_curves(tmp_path)


def test_no_card(tmp_path):
    with pytest.raises(HistoryError, match=r'There is no card'):
        read_curves(tmp_path / 'mine.safetensors')
