"""Tests of the six stages in a row, with the shipped weights."""

import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine import pipeline
from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula
from aiida_alphacrystal.engine.errors import ModelError, SettingsError, UnsupportedElementError
from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.relax import load_potential, resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings

TINY = PredictionSettings.from_dict(
    {
        'cells': {'max_hypotheses': 6},
        'templates': {'max_candidates': 3},
        'search': {'max_candidates': 4, 'evaluations': 3000},
        'relax': {'max_steps': 10},
        'rank': {'top': 3},
    }
)


@pytest.fixture(scope='module')
def models():
    return pipeline.load_models()


@pytest.fixture(scope='module')
def potential():
    return load_potential(resolve_potential('chgnet').files)


def test_models_of_another_name(models):
    paper = pipeline.load_models({'distances': 'distances-reference'})
    formula = parse_formula('NaCl')
    cells = pipeline.hypotheses(formula, models, TINY)
    assert pipeline.hypotheses(formula, paper, TINY) == cells
    shapes = {
        name: prediction.probabilities.shape[-1]
        for name, one in (('ours', models), ('paper', paper))
        for prediction in pipeline.expectations(formula, cells[:1], one, TINY).values()
    }
    assert shapes == {'ours': 64, 'paper': 20}
    with pytest.raises(ModelError, match=r'lacks its weights tea\.safetensors'):
        pipeline.load_models({'cells': 'tea'})


def test_rock_salt_is_found(models, potential):
    stages = []
    with reporting(lambda stage, done, total: stages.append(stage)):
        prediction = pipeline.predict(parse_formula('NaCl'), models, potential, TINY)
    truth = Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
    best = prediction.relaxations[prediction.ranking[0].index]
    assert normalised_rms(best.structure, truth) < 0.01
    assert prediction.ranking[0].formation_energy_per_atom == pytest.approx(-2.1, abs=0.2)
    assert set(prediction.pool.distances) == {cell.formula_units for cell in prediction.pool.cells}
    assert {candidate.source for candidate in prediction.pool.reconstruction.candidates} == {'template', 'descent'}
    assert list(dict.fromkeys(stages)) == ['reconstruct', 'relax']


def test_the_same_seed_gives_the_same_ranking_to_the_last_bit(models, potential):
    formula = parse_formula('MgO')
    first, second = (pipeline.predict(formula, models, potential, TINY, seed=3) for _ in range(2))
    assert first.ranking == second.ranking
    for one, other in zip(first.relaxations, second.relaxations, strict=True):
        assert (one.structure.cart_coords == other.structure.cart_coords).all()


def test_a_given_cell_is_kept(models, potential):
    prediction = pipeline.predict(formula_from_counts({'Na': 2, 'Cl': 2}), models, potential, TINY)
    assert {len(candidate.structure) for candidate in prediction.pool.reconstruction.candidates} == {4}


def test_what_cannot_be_predicted_is_refused_at_once(models, potential):
    with pytest.raises(UnsupportedElementError, match='Og'):
        pipeline.predict(parse_formula('OgO2'), models, potential, TINY)
    with pytest.raises(SettingsError, match='seed'):
        pipeline.predict(parse_formula('NaCl'), models, potential, TINY, seed=-1)
