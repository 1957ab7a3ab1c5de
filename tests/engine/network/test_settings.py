"""How a training is described: presets, files and single settings."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.network.model import Architecture
from aiida_alphacrystal.engine.network.reference import ReferenceArchitecture
from aiida_alphacrystal.engine.network.settings import TrainSettings, preset_names, read_train_settings


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / 'settings.yaml'
        path.write_text(text, encoding='utf-8')
        return path

    return write


def test_presets():
    assert set(preset_names()) == {'fine', 'paper', 'paper-slim'}
    assert read_train_settings() == TrainSettings()
    paper = read_train_settings('paper')
    assert paper.architecture == ReferenceArchitecture()
    assert (paper.bins, paper.epochs, paper.learning_rate, paper.max_atoms) == (20, 125, 1e-3, 12)
    assert (paper.one_hot, paper.crystals, paper.schedule, paper.matching_rounds) == (True, 10_000, 'constant', 0)
    slim = read_train_settings('paper-slim')
    assert slim.architecture == ReferenceArchitecture(pair_filters=16)
    assert (slim.bins, slim.one_hot, slim.crystals) == (20, True, 10_000)


def test_bins():
    assert len(TrainSettings().bin_edges) == 65
    np.testing.assert_allclose(TrainSettings(bins=5).bin_edges, np.linspace(0.9488, 23.3361, 6))


def test_a_file_and_single_settings_win_over_the_preset(config):
    path = config('bins: 10\nepochs: 3\narchitecture:\n  site_blocks: 6\n')
    settings = read_train_settings('paper-slim', path, {'epochs': 4})
    assert (settings.bins, settings.epochs) == (10, 4)
    assert settings.architecture == ReferenceArchitecture(pair_filters=16, site_blocks=6)


def test_a_file_chooses_another_network(config):
    settings = read_train_settings('paper-slim', config('network: pairs\narchitecture: {pair_width: 32}\n'))
    assert settings.architecture == Architecture(pair_width=32)
    assert settings.bins == 20


def test_what_a_card_holds_can_be_read_again(tmp_path, config):
    slim = read_train_settings('paper-slim')
    written = ''.join(f'{name}: {value}\n' for name, value in slim.to_dict().items() if name != 'architecture')
    assert read_train_settings('fine', config(f'{written}architecture: {{pair_filters: 16}}\n')) == slim


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('epoks: 3\n', 'settings.yaml: Unknown setting epoks: the settings here are architecture, average, bins'),
        ('architecture: {pair_filters: 8}\n', 'settings.yaml: Unknown setting architecture.pair_filters'),
        ('epochs: many\n', "settings.yaml: The setting epochs is 'many': give a value of type int"),
        ('network: other\n', "settings.yaml: The setting network is 'other': choose one of pairs, reference"),
        ('schedule: steps\n', "settings.yaml: The training setting schedule is 'steps'"),
        ('bins: 1\n', 'settings.yaml: The training setting bins is 1: give at least 2'),
        ('network: reference\nmax_atoms: 20\n', 'max_atoms is 20, but architecture.sites is 12'),
        ('epochs: 1\nbins: [\n', 'settings.yaml:3 cannot be read as YAML'),
        ('just words\n', 'settings.yaml holds no settings'),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(config, text, message):
    with pytest.raises(SettingsError) as caught:
        read_train_settings('fine', config(text))
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)


def test_an_unknown_preset_is_refused():
    with pytest.raises(SettingsError, match="no preset 'best': choose one of fine, paper, paper-slim"):
        read_train_settings('best')
