"""Tests of the queries whose answers no single prediction gives."""

import pytest
from aiida import orm
from aiida.common import LinkType

from aiida_alphacrystal import query
from aiida_alphacrystal.calcfunctions.convert import compound_facts
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.query import PREDICTION, Criteria, competing_predictions, find_predictions


def predict(formula, energy, sha256):
    """Store what a query sees of a prediction."""
    best = {
        'number_of_atoms': 5,
        'spacegroup': 221,
        'spacegroup_symbol': 'Pm-3m',
        'formation_energy_per_atom': energy,
        'volume_per_atom': 12.0,
        'source': 'template',
    }
    facts = compound_facts(parse_formula(formula))
    ranking = orm.Dict({**facts, 'best': best, 'potential': {'name': sha256, 'sha256': sha256}}).store()
    node = orm.WorkChainNode(process_type=PREDICTION)
    node.store()
    ranking.base.links.add_incoming(node, LinkType.RETURN, 'ranking')
    return node


@pytest.fixture(scope='module')
def group(aiida_profile):
    compounds = [('SrTiO3', -3.0), ('SrTiO3', -2.9), ('Sr2TiO4', -1.0), ('SrO', -3.0), ('TiO2', -3.5)]
    nodes = [predict(formula, energy, 'one') for formula, energy in compounds]
    nodes += [predict('SrTiO3', -2.0, 'other'), predict('SrTiO3', -2.5, 'other')]
    found = orm.Group(label='hull').store()
    found.add_nodes(nodes)
    return found.label


@pytest.mark.parametrize('many', [0, 1000])
def test_energy_above_hull_by_potential(group, monkeypatch, many):
    """SrTiO3 is two fifths of SrO and three fifths of TiO2, by atoms; each potential has a hull of its own."""
    monkeypatch.setattr(query, '_MANY_SYSTEMS', many)
    found = find_predictions(Criteria(formula='SrTiO3', group=group, max_energy_above_hull=0.45))
    heights = [(one.potential, one.energy_above_hull) for one in found]
    hull = 0.4 * 3 + 0.6 * 3.5
    assert heights == [('other', 0.0), ('one', pytest.approx(hull - 2.9)), ('one', pytest.approx(hull - 3.0))]
    assert len(find_predictions(Criteria(formula='SrTiO3', group=group, max_energy_above_hull=9))) == 4
    assert len(find_predictions(Criteria(formula='SrTiO3', group=group, max_energy_above_hull=9), limit=2)) == 2
    assert find_predictions(Criteria(formula='NaBr', group=group, max_energy_above_hull=9)) == []


def test_predictions_that_compete(group):
    nodes = {node.pk for node in orm.load_group(group).nodes}
    excluded = min(nodes)  # the first of SrTiO3, -3.0 eV/atom
    found = competing_predictions('O-Sr-Ti', 'one', excluded)
    assert sorted(found) == [('Sr2TiO4', -1.0), ('SrO', -3.0), ('SrTiO3', -2.9), ('TiO2', -3.5)]
    assert competing_predictions('O-Sr', 'one', excluded) == [('SrO', -3.0)]
    assert competing_predictions('O-Sr', 'other', excluded) == []


@pytest.mark.parametrize('at_once', [2, 5000])
def test_a_group_in_parts(group, monkeypatch, at_once):
    monkeypatch.setattr(query, '_AT_ONCE', at_once)
    everything = find_predictions(Criteria(group=group))
    assert [one.pk for one in everything] == sorted((node.pk for node in orm.load_group(group).nodes), reverse=True)
    assert [one.formula for one in find_predictions(Criteria(group=group), limit=3)] == ['SrTiO3', 'SrTiO3', 'TiO2']
    assert [one.formula for one in find_predictions(Criteria(group=group, elements=['Sr'], max_energy=-2.95))] == [
        'SrO',
        'SrTiO3',
    ]


def test_sub_systems():
    assert query._sub_systems(['O-Sr', 'Na']) == {'O', 'Sr', 'O-Sr', 'Na'}
