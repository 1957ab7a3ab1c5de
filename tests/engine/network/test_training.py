"""Training: preparing data, learning a handful of crystals, going on after a kill, scoring."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.datasets import Crystal, DatasetError
from aiida_alphacrystal.engine.errors import ModelError, SettingsError
from aiida_alphacrystal.engine.network import load_network
from aiida_alphacrystal.engine.network.model import Architecture
from aiida_alphacrystal.engine.network.preparation import PreparedData, canonical_order, draw, prepare, prepare_crystals
from aiida_alphacrystal.engine.network.reference import ReferenceArchitecture, ReferenceNetwork
from aiida_alphacrystal.engine.network.scoring import score_distances
from aiida_alphacrystal.engine.network.settings import TrainSettings, read_train_settings
from aiida_alphacrystal.engine.network.training import evaluate, mean_distance, train

SMALL = TrainSettings(
    architecture=Architecture(
        site_width=32, site_blocks=1, pair_width=32, pair_blocks=1, triangle_width=4, dropout=0.0
    ),
    epochs=60,
    patience=60,
    pairs_per_batch=200,
    learning_rate=1e-2,
    average=0.8,
    weight_decay=0.0,
)
FACE_CENTRED = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])


def rock_salt(cation, anion, edge):
    return Crystal(f'{cation}{anion}', FACE_CENTRED * edge, (cation, anion), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))


def perovskite(large, small, anion, edge):
    positions = np.array([[0.5, 0.5, 0], [0, 0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0.5], [0, 0.5, 0.5]])
    return Crystal(f'{large}{small}', np.eye(3) * edge, (anion, large, anion, small, anion), positions)


CRYSTALS = (
    rock_salt('Na', 'Cl', 5.64),
    rock_salt('Mg', 'O', 4.21),
    rock_salt('K', 'Br', 6.60),
    perovskite('Sr', 'Ti', 'O', 3.905),
    perovskite('Cs', 'Pb', 'I', 6.29),
)


@pytest.fixture
def data_file(tmp_path):
    rows = [
        {'species': crystal.species, 'lattice': crystal.lattice.tolist(), 'frac_coords': crystal.frac_coords.tolist()}
        for crystal in CRYSTALS
    ]
    path = tmp_path / 'crystals.jsonl'
    path.write_text('\n'.join(json.dumps(row) for row in rows))
    return path


def short(epochs):
    return TrainSettings(architecture=SMALL.architecture, epochs=epochs, pairs_per_batch=6)


def test_prepared_distances_are_in_the_order_of_the_formula():
    data = prepare_crystals((perovskite('Sr', 'Ti', 'O', 4.0),))
    ((elements, features, distances),) = data.crystals()
    assert elements.tolist() == [38, 22, 8, 8, 8]
    assert features[:, -1].tolist() == [38, 22, 8, 8, 8]
    np.testing.assert_allclose(np.diag(distances), 4.0, atol=1e-6)
    np.testing.assert_allclose(distances[1, 2:], 2.0, atol=1e-6)
    np.testing.assert_allclose(distances[0, 1], 2.0 * np.sqrt(3), atol=1e-6)


def test_distances_of_different_atoms():
    data = prepare_crystals((rock_salt('Na', 'Cl', 5.64), perovskite('Sr', 'Ti', 'O', 4.0)))
    distances = data.pair_distances()
    assert len(distances) == 1 + 10
    assert distances[0] == pytest.approx(2.82)
    assert sorted(distances[1:])[:3] == pytest.approx([2.0] * 3)


def test_prepared_files_come_back_and_are_used_again(data_file, tmp_path):
    target = tmp_path / 'prepared.npz'
    made = prepare(data_file, target)
    written = target.stat().st_mtime_ns
    for known in (prepare(data_file, target), prepare(target), PreparedData.load(target)):
        assert known.card == made.card
        np.testing.assert_array_equal(known.distances, made.distances)
        np.testing.assert_array_equal(known.features, made.features)
    assert target.stat().st_mtime_ns == written
    assert made.card['crystals'] == len(CRYSTALS)


def test_damaged_prepared_files_are_refused(tmp_path):
    path = tmp_path / 'prepared.npz'
    with pytest.raises(DatasetError, match='There is no file'):
        PreparedData.load(path)
    path.write_bytes(b'PK nothing')
    with pytest.raises(DatasetError, match='does not hold prepared crystals'):
        PreparedData.load(path)
    np.savez(path, natoms=np.array([1]))
    with pytest.raises(DatasetError, match='does not hold prepared crystals'):
        PreparedData.load(path)


@given(st.integers(min_value=0, max_value=10_000))
@settings(max_examples=25, deadline=None)
def test_canonical_order_does_not_depend_on_the_order_before(seed):
    generator = np.random.default_rng(seed)
    points = generator.random((7, 3)) * 5.0
    groups = np.array([0, 0, 0, 1, 1, 1, 1])
    shuffle = np.concatenate([generator.permutation(3), 3 + generator.permutation(4)])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    mixed = distances[np.ix_(shuffle, shuffle)]
    first, second = canonical_order(distances, groups), canonical_order(mixed, groups)
    assert sorted(first[:3]) == [0, 1, 2]
    np.testing.assert_array_equal(distances[np.ix_(first, first)], mixed[np.ix_(second, second)])


def test_scores_by_hand():
    true = np.array([[3.0, 2.0], [2.0, 3.0]])
    off = np.array([[9.0, 2.5], [2.5, 9.0]])
    scores = score_distances([true, off], [true, true], [['Na', 'Cl']] * 2)
    assert scores == {
        'n': 2,
        'rmse_pooled': pytest.approx(np.sqrt(0.125)),
        'rmse_mean': 0.25,
        'rmse_median': 0.25,
        'under_0.1': 0.5,
        'under_0.3': 0.5,
    }


def test_a_small_network_learns_five_crystals(data_file, tmp_path):
    card = train(data_file, data_file, tmp_path / 'run', SMALL)
    data = prepare(data_file)
    network = load_network(tmp_path / 'run' / 'distances.safetensors')
    scores = evaluate(network, data)
    chance = evaluate(mean_distance(data), data)
    assert scores['rmse_mean'] < 0.15 < chance['rmse_mean']
    assert card['scores']['val'] == {'network': scores, 'chance': chance}
    assert card['data']['train']['file'] == 'crystals.jsonl'
    assert card['best_epoch'] <= card['epochs_done'] == 60
    assert json.loads((tmp_path / 'run' / 'distances.json').read_text()) == json.loads(json.dumps(card))
    curve = (tmp_path / 'run' / 'distances-curve.csv').read_text().splitlines()
    assert curve[0].startswith('epoch,learning_rate,train_loss,val_loss')
    assert len(curve) == 61
    columns = zip(*(map(float, line.split(',')) for line in curve[1:]), strict=True)
    assert card['history'] == dict(zip(curve[0].split(','), map(list, columns), strict=True))
    assert card['history']['val_loss'][card['best_epoch'] - 1] == min(card['history']['val_loss'])


def test_a_killed_training_goes_on_to_the_same_weights(data_file, tmp_path):
    stages = []

    def kill(stage, done, total):
        stages.append((stage.split(',')[0], done, total))
        if stage.startswith('epoch 3') and done > 2 * total / 4 + 1:
            raise KeyboardInterrupt

    train(data_file, data_file, tmp_path / 'whole', short(4), seed=7)
    with pytest.raises(KeyboardInterrupt):
        train(data_file, data_file, tmp_path / 'killed', short(4), seed=7, progress=kill)
    assert stages[0] == ('epoch 1 of 4', 1, stages[0][2])
    assert not (tmp_path / 'killed' / 'distances.safetensors').exists()
    epochs = (tmp_path / 'killed' / 'distances-curve.csv').read_text().splitlines()[1:]
    assert [line.split(',')[0] for line in epochs] == ['1', '2']
    train(data_file, data_file, tmp_path / 'killed', short(4), seed=7)
    weights = [(tmp_path / name / 'distances.safetensors').read_bytes() for name in ('whole', 'killed')]
    assert weights[0] == weights[1]


def test_another_seed_gives_other_weights_and_leaves_the_caller_alone(data_file, tmp_path):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    train(data_file, None, tmp_path / 'one', short(1), seed=1)
    assert torch.equal(torch.rand(2), expected)
    train(data_file, None, tmp_path / 'two', short(1), seed=2)
    weights = [(tmp_path / name / 'distances.safetensors').read_bytes() for name in ('one', 'two')]
    assert weights[0] != weights[1]


def test_a_directory_with_another_training_is_refused(data_file, tmp_path):
    train(data_file, data_file, tmp_path / 'run', short(1))
    with pytest.raises(SettingsError, match='holds a training with other data, settings or seed'):
        train(data_file, data_file, tmp_path / 'run', short(2))
    (tmp_path / 'run' / 'training-state.pt').write_bytes(b'broken')
    with pytest.raises(ModelError, match='is damaged: delete it'):
        train(data_file, data_file, tmp_path / 'run', short(1))


@pytest.mark.parametrize(('name', 'value'), [('epochs', 0), ('learning_rate', 2.0), ('max_atoms', 100)])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(SettingsError, match=f'training setting {name} is {value}'):
        TrainSettings(**{name: value})


def test_the_network_of_the_paper_learns_five_crystals(data_file, tmp_path):
    slim = read_train_settings('paper-slim', None, {'epochs': 40, 'pairs_per_batch': 200, 'learning_rate': 0.01})
    small = ReferenceArchitecture(site_blocks=1, site_filters=16, pair_blocks=1, pair_filters=16)
    card = train(data_file, data_file, tmp_path / 'run', dataclasses.replace(slim, architecture=small))
    network = load_network(tmp_path / 'run' / 'distances.safetensors')
    assert isinstance(network, ReferenceNetwork)
    assert card['settings']['network'] == 'reference'
    assert card['settings']['bins'] == 20
    data = prepare(data_file)
    # a bin is 1.1 A wide and its middle stands for it: to be right in every bin is to be as far off as this
    assert evaluate(network, data)['rmse_mean'] < 0.45
    assert card['history']['val_loss'][-1] < 0.2 < card['history']['val_loss'][0]
    assert card['history']['learning_rate'][-1] < card['history']['learning_rate'][4]


def test_a_constant_learning_rate_stays(data_file, tmp_path):
    settings = dataclasses.replace(short(3), schedule='constant', warmup=0.0)
    rates = train(data_file, data_file, tmp_path / 'run', settings)['history']['learning_rate']
    assert rates == [settings.learning_rate] * 3


def test_crystals_are_drawn_whole(data_file, tmp_path):
    data = prepare(data_file)
    drawn = draw(data, 3, seed=1)
    assert drawn.card['crystals'] == len(drawn) == 3
    assert drawn.card['drawn_from'] == len(CRYSTALS)
    known = {tuple(elements): matrix for elements, _, matrix in data.crystals()}
    for elements, _, matrix in drawn.crystals():
        np.testing.assert_array_equal(known[tuple(elements)], matrix)
    assert [tuple(elements) for elements, _, _ in draw(data, 3, seed=1).crystals()] == [
        tuple(elements) for elements, _, _ in drawn.crystals()
    ]
    assert draw(data, 0, seed=1) is data
    assert draw(data, 5, seed=1) is data
    card = train(data_file, None, tmp_path / 'run', dataclasses.replace(short(1), crystals=2))
    assert card['data']['train']['crystals'] == 2
