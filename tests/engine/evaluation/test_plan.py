"""Tests of what an evaluation is of."""

import dataclasses

import pytest

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.evaluation import Plan
from aiida_alphacrystal.engine.relax import resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings


def test_what_is_not_evaluated_is_switched_off():
    settings = PredictionSettings()
    both = Plan(settings).effective_settings
    assert (both.templates, both.search) == (settings.templates, settings.search)
    assert Plan(settings, ('templates',)).effective_settings.search.max_candidates == 0
    assert Plan(settings, ('reconstruct',)).effective_settings.templates.max_candidates == 0
    assert Plan(settings, ('random',)).effective_settings.rank.method == 'energy'
    assert both.rank.method == settings.rank.method


def test_the_nearest_templates_are_never_relaxed():
    potential = resolve_potential('chgnet').files
    assert Plan(PredictionSettings(), ('random',), potential).relaxes
    assert not Plan(PredictionSettings(), ('random',)).relaxes
    assert not Plan(PredictionSettings(), ('nearest-template',), potential).relaxes


def test_the_description_tells_evaluations_apart(known, plan):
    potential = resolve_potential('chgnet').files
    first = plan.describe(known)
    assert first == plan.describe(known)
    assert first['data_sha256'] != plan.describe(known[:-1])['data_sha256']
    assert first['data_sha256'] != plan.describe(known[::-1])['data_sha256']
    for change in ({'seed': 1}, {'sources': ('templates', 'reconstruct')}, {'potential': potential}):
        assert dataclasses.replace(plan, **change).describe(known) != first
    assert set(first['weights']) == {'distances.safetensors', 'cells.safetensors', 'templates.safetensors'}
    paper = dataclasses.replace(plan, models={'distances': 'distances-reference'}).describe(known)['weights']
    assert set(paper) == {'distances-reference.safetensors', 'cells.safetensors', 'templates.safetensors'}
    assert first['potential'] is None
    assert dataclasses.replace(plan, potential=potential).describe(known)['potential']['name'] == 'chgnet'


def test_a_seed_that_cannot_be():
    with pytest.raises(SettingsError, match='seed'):
        Plan(PredictionSettings(), seed=-1)
