"""What the page says of real predictions and screenings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from pymatgen.core import Structure

from aiida_alphacrystal.report.candidates import read_energies
from aiida_alphacrystal.report.distances import read_realised
from aiida_alphacrystal.report.page import collect
from aiida_alphacrystal.report.page.collect import collect_prediction, collect_screening
from aiida_alphacrystal.report.page.render import MAX_BYTES, render_page
from aiida_alphacrystal.workchains import ScreenWorkChain
from aiida_alphacrystal.workchains.refine import refinement_inputs

SETTINGS = {
    'cells': {'max_hypotheses': 1},
    'templates': {'max_candidates': 2},
    'search': {'max_candidates': 0},
    'relax': {'max_steps': 1},
    'rank': {'top': 2},
}


@pytest.fixture(scope='module')
def found(prediction):
    return collect_prediction(prediction)


@pytest.fixture(scope='module')
def screening(aiida_profile):
    """Return a finished screening in which one formula has failed."""
    builder = ScreenWorkChain.get_builder_from_protocol(['NaCl', 'PoO2', 'MgO'], 'fast', SETTINGS, group='page')
    return run_get_node(builder)[1]


def test_ranking(prediction, found):
    rows = prediction.outputs.ranking['rows']
    assert len(found.candidates) == len(rows) > 1
    for shown, row in zip(found.candidates, rows, strict=True):
        for key in ('rank', 'spacegroup', 'probability', 'score', 'formation_energy_per_atom', 'label', 'duplicates'):
            assert shown[key] == row[key]
        node = prediction.outputs.structures[f'rank_{row["rank"]:02d}']
        assert (shown['pk'], shown['uuid']) == (node.pk, node.uuid)
        read = Structure.from_str(shown['crystal']['primitive']['cif'], 'cif')
        assert np.allclose(read.distance_matrix, node.get_pymatgen_structure().distance_matrix, atol=1e-5)


def test_top(prediction):
    page = collect_prediction(prediction, top=1)
    assert [row['rank'] for row in page.candidates] == [1]
    assert page.facts['ranked'] > 1


def test_distances(prediction, found):
    for row in found.candidates:
        realised = read_realised(prediction, row['rank'])
        predicted = found.predicted.get(str(row['number_of_atoms']))
        assert (realised is None) == (row['distances'] is None) == (predicted is None)
        if realised is None:
            continue
        assert row['distances']['rms'] == pytest.approx(realised.rms, abs=1e-4)
        assert np.allclose(row['distances']['found'], realised.found, atol=1e-3)
        assert np.allclose(predicted['mean'], realised.predicted, atol=1e-3)
        assert predicted['names'] == list(realised.names)
    assert any(row['distances'] for row in found.candidates)


def test_energies_cells_and_pattern(prediction, found):
    energies = read_energies(prediction)
    assert [row['label'] for row in found.energies['rows']] == [row.label for row in energies.rows]
    assert found.energies['knows_before']
    assert [cell['probability'] for cell in found.cells] == [
        row['probability'] for row in prediction.outputs.cells['rows']
    ]
    assert all(max(line[1] for line in row['pattern']) == 100 for row in found.candidates)


def test_provenance(prediction, found):
    facts = found.facts
    assert (facts['pk'], facts['uuid'], facts['seed']) == (prediction.pk, prediction.uuid, 0)
    assert facts['potential']['sha256'] == prediction.inputs.potential.sha256
    assert facts['potential']['convention'] == 'none'
    assert facts['potential']['version'].startswith('chgnet ')
    assert {model['purpose']: model['sha256'] for model in facts['models']} == {
        purpose: prediction.inputs.models[purpose].sha256 for purpose in ('cells', 'distances', 'templates')
    }
    assert all('crystals' in model['trained_on'] for model in facts['models'])
    assert set(facts['versions']) == {'aiida-core', 'aiida-alphacrystal'}
    assert [step['name'] for step in facts['steps']] == [
        'featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank',
    ]  # fmt: skip
    assert facts['number_of_steps'] == 6
    outputs = {output['name']: output['uuid'] for output in facts['outputs']}
    assert outputs['ranking'] == prediction.outputs.ranking.uuid
    assert set(outputs) == {'ranking', 'cells', 'distances', 'candidates', 'relaxations'}


def test_only_the_first_steps_and_words_are_shown(prediction, monkeypatch):
    monkeypatch.setattr(collect, '_MAX_STEPS', 2)
    monkeypatch.setattr(collect, '_MAX_DESCRIPTION', 7)
    monkeypatch.setattr(type(prediction), 'description', 'long description')
    page = collect_prediction(prediction)
    assert [step['name'] for step in page.facts['steps']] == ['featurize', 'predict_cells']
    assert page.facts['number_of_steps'] == 6
    assert page.facts['description'] == 'long de'
    assert 'The first 2 are listed.' in render_page(page)


def test_the_page_of_a_prediction(prediction, found):
    text = render_page(found)
    assert prediction.uuid in text
    assert len(text.encode()) < MAX_BYTES
    assert render_page(collect_prediction(prediction)) == text


def test_energies_from_before_they_were_kept(prediction, monkeypatch):
    """Predictions of earlier versions have no energies before the relaxation."""
    attributes = type(prediction.outputs.relaxations.base.attributes)
    get = attributes.get

    def old(self, key, *default):
        rows = get(self, key, *default)
        if key != 'rows':
            return rows
        return [{name: value for name, value in row.items() if name != 'initial_energy_per_atom'} for row in rows]

    monkeypatch.setattr(attributes, 'get', old)
    page = collect_prediction(prediction)
    assert not page.energies['knows_before']
    assert all(row['before'] is None for row in page.energies['rows'])
    assert 'NaCl' in render_page(page)


def test_refinement(run_prediction, toy, make_code):
    refine = refinement_inputs(make_code(plugin=None), 'fast', top=2, refiner=toy)
    node = run_prediction('Cu', refine=refine)
    page = collect_prediction(node)
    rows = node.outputs.refine.ranking['rows']
    (refinement,) = page.refinements
    assert [row['energy_per_atom'] for row in refinement['refined']] == [row['energy_per_atom'] for row in rows]
    assert 'test.toy' in render_page(page)


def test_failed_refinement(run_prediction, toy, make_code):
    refine = refinement_inputs(make_code(plugin=None), 'fast', {'max_atoms': 0}, refiner=toy)
    node = run_prediction('Cu', refine=refine)
    page = collect_prediction(node)
    assert page.refinements == ()
    assert page.facts['exit_status'] == 430
    assert 'ended with exit status 430' in render_page(page)


def test_screening(screening):
    page = collect_screening(screening)
    assert [row['formula'] for row in page.rows] == ['NaCl', 'PoO2', 'MgO']
    assert (page.facts['finished'], page.facts['failed'], page.facts['group']) == (2, 1, 'page')
    assert list(page.crystals) == sorted(page.crystals, key=lambda place: page.rows[place]['formation_energy_per_atom'])
    assert set(page.crystals) == {0, 2}
    for place, crystal in page.crystals.items():
        prediction = orm.load_node(page.rows[place]['prediction_uuid'])
        best = prediction.outputs.structures.rank_01.get_pymatgen_structure()
        read = Structure.from_str(crystal['primitive']['cif'], 'cif')
        assert np.allclose(read.distance_matrix, best.distance_matrix, atol=1e-5)
    assert set(page.elements['styles']) == {'Na', 'Cl', 'Mg', 'O'}
    assert json.loads(json.dumps(page.rows, allow_nan=False))[1]['reason']
    assert 'PoO2' in render_page(page)
