"""Tests of the settings."""

import pytest

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.settings import MAX_SEED, PredictionSettings, RankSettings, check_seed


def test_defaults_survive_a_round_trip():
    settings = PredictionSettings()
    assert PredictionSettings.from_dict(settings.to_dict()) == settings
    assert PredictionSettings.from_dict({}) == settings
    lattice = PredictionSettings.from_dict({'cells': {'lattice': [4, 4, 4, 90, 90, 90]}})
    assert lattice.cells.lattice == (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)
    assert lattice.to_dict()['cells']['lattice'] == [4.0, 4.0, 4.0, 90.0, 90.0, 90.0]
    assert PredictionSettings.from_dict(lattice.to_dict()) == lattice


def test_what_is_left_out_keeps_its_default():
    settings = PredictionSettings.from_dict({'rank': {'top': 3, 'probability_weight': 1}})
    assert settings.rank == RankSettings(top=3, probability_weight=1.0)
    assert settings.relax == PredictionSettings().relax


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'colour': 1}, 'Unknown setting colour'),
        ({'rank': {'colour': 1}}, 'Unknown setting rank.colour'),
        ({'rank': 3}, 'rank must be a dictionary'),
        ({'rank': {'top': 'many'}}, 'rank.top is .many.: give a value of type int'),
        ({'rank': {'top': True}}, 'type int'),
        ({'rank': {'top': 2.5}}, 'type int'),
        ({'rank': {'top': 0}}, 'rank.top is 0: give a value from 1'),
        ({'rank': {'method': 'beauty'}}, 'rank.method is .beauty.'),
        ({'max_atoms': 1000}, 'max_atoms is 1000'),
        ({'relax': {'force_tolerance': float('nan')}}, 'force_tolerance is nan'),
        ({'relax': {'symmetry': 'most'}}, 'relax.symmetry is .most.: give one of keep, free, then_free'),
        ({'relax': {'method': 'magic'}}, 'relax.method is .magic.: give one of gradient, bayesian'),
        ({'relax': {'method': 'bayesian', 'symmetry': 'free'}}, 'relax.method bayesian needs keep'),
        ({'relax': {'batch_size': -1}}, 'relax.batch_size is -1'),
        ({'relax': {'seconds': -1}}, 'relax.seconds is -1'),
        ({'relax': {'narrow_steps': -1}}, 'relax.narrow_steps is -1'),
        ({'relax': {'narrow_to': 0}}, 'relax.narrow_to is 0: give a value from 1 to 1000'),
        ({'relax': {'budget': -0.5}}, 'relax.budget is -0.5'),
        ({'templates': {'max_candidates': 0}, 'search': {'max_candidates': 0}}, 'switched off'),
        ({'cells': {'spacegroup': 231}}, 'cells.spacegroup is 231'),
        ({'cells': {'crystal_system': 'round'}}, 'cells.crystal_system is .round.: give one of triclinic'),
        ({'cells': {'lattice': [1, 2, 3]}}, 'cells.lattice is'),
        ({'cells': {'lattice': [1, 2, 3, 90, 90, 180]}}, 'cells.lattice is'),
        ({'cells': {'lattice': 'long'}}, 'cells.lattice is .long.: give a list of numbers'),
        ([], 'must be a dictionary'),
    ],
)
def test_bad_settings_give_one_sentence(values, reason):
    with pytest.raises(SettingsError, match=reason):
        PredictionSettings.from_dict(values)


@pytest.mark.parametrize('seed', [-1, MAX_SEED + 1, 1.0, True, '1', None])
def test_bad_seeds(seed):
    with pytest.raises(SettingsError, match='seed'):
        check_seed(seed)


def test_good_seeds():
    assert check_seed(0) == 0
    assert check_seed(MAX_SEED) == MAX_SEED
