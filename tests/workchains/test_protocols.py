"""Tests of the protocols and of the builders made from them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiida import orm
from aiida.engine import ProcessBuilderNamespace

from aiida_alphacrystal.data import ModelData, PotentialData
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.workchains import PredictWorkChain


def serialize(value: Any) -> Any:
    """Return a builder as plain values, weights by what they are for; namespaces that are not used are left out."""
    if isinstance(value, ProcessBuilderNamespace | dict):
        plain = {key: serialize(item) for key, item in value.items() if key != 'metadata'}
        return {key: item for key, item in plain.items() if item != {}}
    if isinstance(value, ModelData):
        ours = value.sha256 == ModelData.shipped(value.purpose).sha256
        return f'weights for {value.purpose}' if ours else f'other weights for {value.purpose}'
    if isinstance(value, PotentialData):
        return f'potential {value.name} ({value.kind})'
    return value.get_dict() if isinstance(value, orm.Dict) else value.value


@pytest.mark.parametrize('kind', [str, orm.Str])
def test_formula(kind):
    builder = PredictWorkChain.get_builder_from_protocol(kind('NaCl'))
    assert builder.formula.value == 'NaCl'
    assert 'composition' not in serialize(builder)


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'stringent', 'paper'])
def test_builder(protocol, data_regression):
    builder = PredictWorkChain.get_builder_from_protocol('SrTiO3', protocol)
    data_regression.check(serialize(builder))


def test_the_paper_has_its_own_network(tmp_path):
    shipped = ModelData.shipped('distances', 'distances-reference')
    builder = PredictWorkChain.get_builder_from_protocol('SrTiO3', 'paper')
    assert builder.models['distances'].sha256 == shipped.sha256
    own = tmp_path / 'distances.safetensors'
    own.write_bytes(ModelData.shipped('distances').get_content(mode='rb'))
    builder = PredictWorkChain.get_builder_from_protocol('SrTiO3', 'paper', models={'distances': own})
    assert builder.models['distances'].sha256 == ModelData.shipped('distances').sha256


def test_available_protocols():
    protocols = PredictWorkChain.get_available_protocols()
    assert list(protocols) == ['fast', 'balanced', 'stringent', 'paper']
    assert all(description.endswith('.') for description in protocols.values())
    assert PredictWorkChain.get_default_protocol() == 'balanced'


def test_default_protocol():
    default = serialize(PredictWorkChain.get_builder_from_protocol('NaCl'))
    assert default == serialize(PredictWorkChain.get_builder_from_protocol('NaCl', 'balanced'))


def test_overrides_win_and_leave_the_rest():
    overrides = {'rank': {'top': 3}, 'max_atoms': 12}
    parameters = PredictWorkChain.get_builder_from_protocol('NaCl', 'fast', overrides).parameters.get_dict()
    expected = PredictWorkChain.get_protocol_parameters('fast')
    expected['rank']['top'] = 3
    expected['max_atoms'] = 12
    assert parameters == expected


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ({'protocol': 'moderate'}, "Unknown protocol 'moderate': choose one of fast, balanced, stringent, paper."),
        (
            {'overrides': {'tea': 1}},
            'Unknown override tea: the keys of the settings are cells, max_atoms, rank, relax, ',
        ),
        ({'overrides': {'rank': {'tip': 1}}}, 'Unknown override rank.tip: the keys of rank are method, '),
        ({'overrides': {'rank': 3}}, 'The override of rank is 3: give a dictionary with keys from method, '),
    ],
)
def test_unknown_protocol_or_override(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        PredictWorkChain.get_builder_from_protocol('NaCl', **arguments)


def test_override_out_of_range():
    with pytest.raises(SettingsError, match=r'rank\.top is 0'):
        PredictWorkChain.get_builder_from_protocol('NaCl', overrides={'rank': {'top': 0}})


@pytest.mark.parametrize('kind', [dict, orm.Dict])
def test_composition(kind):
    builder = PredictWorkChain.get_builder_from_protocol(kind({'Al': 4, 'O': 6}))
    assert builder.composition.get_dict() == {'Al': 4, 'O': 6}
    assert 'formula' not in serialize(builder)


def test_seed_and_potential():
    potential = PotentialData(name='mine', kind='chgnet', sha256='0' * 64)
    builder = PredictWorkChain.get_builder_from_protocol('NaCl', potential=potential, seed=7)
    assert builder.potential is potential
    assert builder.seed.value == 7


def test_potential_that_took_the_place_of_another(monkeypatch):
    from aiida_alphacrystal.engine.relax import ResolvedPotential, potentials

    files = potentials.resolve_potential('chgnet').files
    notice = 'The hub cannot be reached: chgnet is used instead.'
    monkeypatch.setattr(potentials, 'resolve_potential', lambda name: ResolvedPotential(files, name, notice))
    builder = PredictWorkChain.get_builder_from_protocol('NaCl', potential='M3GNet')
    assert builder.potential.name == 'chgnet'
    assert builder.potential_request.value == 'M3GNet'
    assert builder.potential_request.description == notice
