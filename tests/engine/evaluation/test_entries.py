"""Tests of one entry: what is predicted and how it is scored."""

import dataclasses

import pytest

from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.evaluation import COLUMNS, Plan
from aiida_alphacrystal.engine.evaluation.entries import answer, failed
from aiida_alphacrystal.engine.relax import load_potential, resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings

RELAXED = {'templates': {'max_candidates': 4}, 'relax': {'max_steps': 10}}


@pytest.fixture(scope='module')
def potential():
    return load_potential(resolve_potential('chgnet').files)


def test_templates_as_they_are(known, plan, models):
    crystal = dataclasses.replace(known[3], e_above_hull=0.02)
    result = answer(3, crystal, plan, models, None)
    assert (result.index, result.material_id, result.formula, result.natoms) == (3, 'SrTiO3', 'SrTiO3', 5)
    assert result.above_hull == 0.02
    assert result.structures == 4
    assert result.reason is None
    assert result.rank is not None
    assert result.source == 'template'
    assert result.origin.startswith('prototype')
    assert result.energy_rank is None
    assert result.valid
    assert 0 < result.seconds < 60
    assert result.peak_memory_mib > 50
    again = answer(3, crystal, plan, models, None)
    assert [getattr(result, name) for name in COLUMNS] == [getattr(again, name) for name in COLUMNS]


def test_the_truth_is_read_only_to_score(known, plan, models):
    """The same content in another crystal is predicted alike, and what matched does not any more."""
    salt = known[0]
    lattice = salt.lattice * 1.0
    lattice[2] *= 2.5
    other = Crystal('another', lattice, salt.species, salt.frac_coords)
    right, wrong = (answer(0, crystal, plan, models, None) for crystal in (salt, other))
    assert right.rank == 1
    assert wrong.structures == right.structures
    assert wrong.rank is None
    assert wrong.template_rank != right.template_rank
    assert wrong.rms_1 is wrong.rms_20 is wrong.rms is wrong.source is None
    assert wrong.matching == 0


def test_relaxed_and_ranked(known, models, potential):
    plan = Plan(PredictionSettings.from_dict(RELAXED), ('templates',), resolve_potential('chgnet').files)
    result = answer(0, known[0], plan, models, potential)
    assert result.rank == 1
    assert result.energy_rank is not None
    assert result.rms == result.rms_1
    assert result.rms_20 <= result.rms_1
    assert result.strict_rank == result.valid_rank == 1
    assert 1 <= result.structures <= 4


def test_the_controls(known, models, potential):
    nearest = answer(1, known[1], Plan(PredictionSettings(), ('nearest-template',)), models, None)
    assert nearest.rank == nearest.template_rank
    assert nearest.structures <= 20
    assert nearest.source is None
    plan = Plan(PredictionSettings.from_dict({'relax': {'max_steps': 2}}), ('random',))
    loose = answer(1, known[1], plan, models, None)
    assert loose.structures == 20
    assert loose.energy_rank is None
    settings = PredictionSettings.from_dict({'relax': {'max_steps': 1}})
    relaxed = answer(1, known[1], Plan(settings, ('random',), resolve_potential('chgnet').files), models, potential)
    assert relaxed.rank == relaxed.energy_rank


def test_what_fails_is_a_miss_with_a_reason(known, plan, models, potential):
    radium = Crystal('radium', known[0].lattice, ('Ra', 'O'), known[0].frac_coords)
    relaxing = dataclasses.replace(plan, potential=resolve_potential('chgnet').files)
    result = answer(0, radium, relaxing, models, potential)
    assert 'Ra' in result.reason
    assert result.rank is result.valid_rank is None
    assert result.structures == 0
    broken = dataclasses.replace(models, cells=None)
    result = answer(0, known[0], dataclasses.replace(plan, sources=('reconstruct',)), broken, None)
    assert result.reason.startswith('Something unforeseen happened')


def test_an_entry_that_could_not_be_scored(known):
    result = failed(2, known[2], 'Lost.')
    assert (result.index, result.material_id, result.reason, result.rank) == (2, 'GaAs', 'Lost.', None)
    assert result.above_hull == known[2].e_above_hull
