"""Tests of the work chain that goes from a formula to ranked crystals."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.plugins import WorkflowFactory
from ase.calculators.emt import EMT

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions import convert, parameters
from aiida_alphacrystal.data import DistancesData, ModelData, PotentialData
from aiida_alphacrystal.engine import pipeline
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.relax import PotentialFiles, load_potential, resolve_potential
from aiida_alphacrystal.engine.settings import PredictionSettings
from aiida_alphacrystal.workchains import PredictWorkChain

STAGES = ['featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank']


def stages_of(node):
    return sorted(node.called, key=lambda called: called.pk)


@pytest.fixture
def builder(tiny_settings):
    return PredictWorkChain.get_builder_from_protocol('NaCl', 'fast', tiny_settings)


def test_entry_point():
    assert WorkflowFactory('alphacrystal.predict') is PredictWorkChain


def test_six_stages_in_order(prediction):
    assert prediction.is_finished_ok, prediction.exit_message
    assert [node.process_label for node in stages_of(prediction)] == STAGES
    assert [node.process_type for node in stages_of(prediction)] == [
        f'aiida.calculations:alphacrystal.{stage}' for stage in STAGES
    ]
    links = prediction.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_link_labels()
    assert sorted(links) == sorted(STAGES)


def test_the_method_of_the_paper(tiny_settings):
    settings = tiny_settings | {'templates': {'max_candidates': 0}}
    node = run_get_node(PredictWorkChain.get_builder_from_protocol('NaCl', 'paper', settings))[1]
    assert node.is_finished_ok, node.exit_message
    assert {prediction.probabilities.shape[-1] for prediction in node.outputs.distances.to_predictions().values()} == {
        20
    }
    assert {row['source'] for row in node.outputs.ranking['rows']} == {'genetic'}
    energies = [row['formation_energy_per_atom'] for row in node.outputs.ranking['rows']]
    assert energies == sorted(energies)


def test_ranking(prediction):
    ranking = prediction.outputs.ranking
    assert ranking['potential']['name'] == 'chgnet'
    assert [row['rank'] for row in ranking['rows']] == list(range(1, len(ranking['rows']) + 1))
    scores = [row['score'] for row in ranking['rows']]
    assert scores == sorted(scores)
    assert set(ranking['rows'][0]) == {
        'confidence',
        'converged',
        'cost',
        'duplicates',
        'energy_per_atom',
        'formation_energy_per_atom',
        'formula',
        'formula_units',
        'label',
        'number_of_atoms',
        'origin',
        'probability',
        'rank',
        'score',
        'source',
        'spacegroup',
        'spacegroup_symbol',
        'volume_per_atom',
    }


def test_ranked_structures_are_the_relaxed_candidates(prediction):
    relax, rank = stages_of(prediction)[4:]
    relaxed = convert.relaxed_structures(relax.outputs.relaxations)
    rows = prediction.outputs.ranking['rows']
    assert sorted(prediction.outputs.structures) == [f'rank_{row["rank"]:02d}' for row in rows]
    for row in rows:
        structure = prediction.outputs.structures[f'rank_{row["rank"]:02d}']
        assert structure.get_pymatgen_structure() == relaxed[row['label']]
        assert structure.creator.uuid == rank.uuid
        assert len(structure.sites) == row['number_of_atoms']
        assert structure.get_cell_volume() / len(structure.sites) == pytest.approx(row['volume_per_atom'], abs=1e-9)


def test_every_candidate_is_stored_before_and_after(prediction):
    reconstruct, relax = stages_of(prediction)[3:5]
    rows = prediction.outputs.candidates['rows']
    before = convert.structures_from_node(reconstruct.outputs.structures)
    labels = [row['label'] for row in rows]
    assert labels == list(before)
    assert [len(structure) for structure in before.values()] == [row['number_of_atoms'] for row in rows]
    after = relax.outputs.relaxations.base.attributes.get('rows')
    assert labels == [row['label'] for row in after]
    symbols = [[site.specie.symbol for site in structure] for structure in before.values()]
    assert [row['symbols'] for row in after] == symbols


def test_cells_and_distances(prediction):
    best = prediction.outputs.cells['rows'][0]
    distances = prediction.outputs.distances
    attributes = distances.base.attributes.all
    natoms = 2 * best['formula_units']
    assert attributes['formula_units'] == best['formula_units']
    assert attributes['number_of_atoms'] == natoms
    assert attributes['elements'] == ['Na', 'Cl']
    assert attributes['reduced_formula'] == 'NaCl'
    assert distances.get_array('distances').shape == (natoms, natoms)
    assert distances.get_array('probabilities').shape == (natoms, natoms, attributes['number_of_bins'])
    assert np.allclose(distances.get_array('probabilities').sum(axis=-1), 1.0)
    sizes = {row['formula_units'] for row in prediction.outputs.cells['rows']}
    assert sorted(distances.all_formula_units) == sorted(sizes)
    assert distances.all_formula_units[0] == best['formula_units']


def test_query_by_attributes_of_the_distances(prediction):
    natoms = prediction.outputs.distances.base.attributes.get('number_of_atoms')
    query = orm.QueryBuilder()
    query.append(PredictWorkChain, tag='prediction', filters={'uuid': prediction.uuid})
    query.append(
        DistancesData,
        with_incoming='prediction',
        filters={
            'attributes.elements': {'contains': ['Cl']},
            'attributes.number_of_atoms': natoms,
            'attributes.number_of_bins': {'>=': 5},
            'attributes.reduced_formula': {'like': 'Na%'},
        },
        project='uuid',
    )
    assert query.all(flat=True) == [prediction.outputs.distances.uuid]


@pytest.mark.parametrize(
    'filters', [{'attributes.elements': {'contains': ['C']}}, {'attributes.number_of_atoms': {'>': 20}}]
)
def test_query_that_does_not_match(prediction, filters):
    filters = {'uuid': prediction.outputs.distances.uuid, **filters}
    assert orm.QueryBuilder().append(DistancesData, filters=filters).count() == 0


def test_structure_leads_back_to_formula_weights_potential_and_seed(prediction):
    query = orm.QueryBuilder()
    query.append(orm.StructureData, filters={'uuid': prediction.outputs.structures['rank_01'].uuid}, tag='structure')
    query.append((orm.Str, orm.Int, ModelData, PotentialData), with_descendants='structure', project='uuid')
    inputs = prediction.inputs
    wanted = [inputs.formula, inputs.seed, inputs.potential, *inputs.models.values()]
    assert {node.uuid for node in wanted} == set(query.all(flat=True))


def test_second_run_takes_every_stage_from_the_cache(prediction, run_prediction):
    with enable_caching(identifier='aiida.calculations:alphacrystal.*'):
        again = run_prediction('NaCl')
    assert [node.process_label for node in stages_of(again)] == STAGES
    assert all(node.base.caching.is_created_from_cache for node in again.called)
    assert again.outputs.ranking.get_dict() == prediction.outputs.ranking.get_dict()


def test_caching_is_by_stage(prediction, run_prediction):
    with enable_caching(identifier='aiida.calculations:alphacrystal.*'):
        again = run_prediction('NaCl', overrides={'rank': {'top': 1}})
    assert [node.base.caching.is_created_from_cache for node in stages_of(again)] == [True] * 5 + [False]
    assert len(again.outputs.ranking['rows']) == 1


def test_same_seed_gives_the_same_ranking(prediction, run_prediction):
    again = run_prediction('NaCl')
    assert not any(node.base.caching.is_created_from_cache for node in again.called)
    assert again.outputs.ranking.get_dict() == prediction.outputs.ranking.get_dict()
    assert again.outputs.cells.get_dict() == prediction.outputs.cells.get_dict()
    for label, structure in prediction.outputs.structures.items():
        assert again.outputs.structures[label].base.attributes.all == structure.base.attributes.all


def test_predictions_of_one_process_share_the_nodes_of_equal_settings(run_prediction):
    first, second = (run_prediction('NaCl', overrides={'rank': {'top': top}}) for top in (2, 1))
    shared = [
        one.inputs.parameters.uuid == other.inputs.parameters.uuid
        for one, other in zip(stages_of(first), stages_of(second), strict=True)
    ]
    assert shared == [True] * 5 + [False]
    assert stages_of(second)[-1].inputs.parameters['rank']['top'] == 1


def test_finds_what_the_engine_finds_to_the_last_bit(prediction):
    settings = PredictionSettings.from_dict(prediction.inputs.parameters.get_dict())
    potential = load_potential(prediction.inputs.potential.to_files())
    alone = pipeline.predict(parse_formula('NaCl'), pipeline.load_models(), potential, settings)
    rows = prediction.outputs.relaxations.base.attributes.get('rows')
    assert [row['energy_per_atom'] for row in rows] == [one.energy for one in alone.relaxations]
    assert [row['initial_energy_per_atom'] for row in rows] == [one.initial_energy for one in alone.relaxations]
    assert [row['steps'] for row in rows] == [one.steps for one in alone.relaxations]
    for place, row in zip(alone.ranking, prediction.outputs.ranking['rows'], strict=True):
        assert (place.spacegroup, place.energy_per_atom) == (row['spacegroup'], row['energy_per_atom'])
        structure = prediction.outputs.structures[f'rank_{place.rank:02d}'].get_pymatgen()
        assert structure == alone.relaxations[place.index].structure


def test_composition_fixes_the_cell(run_prediction, tiny_settings):
    builder = PredictWorkChain.get_builder_from_protocol({'Cl': 1, 'Na': 1}, 'fast', tiny_settings)
    assert 'formula' not in builder
    node = run_get_node(builder)[1]
    assert node.is_finished_ok
    assert {row['formula_units'] for row in node.outputs.candidates['rows']} == {1}
    assert node.outputs.distances.all_formula_units == (1,)


def test_progress_is_reported(builder):
    reports = []
    with reporting(lambda stage, done, total: reports.append((stage, done, total))):
        run_get_node(builder)
    assert list(dict.fromkeys(stage for stage, _, _ in reports)) == STAGES
    for stage in STAGES:
        assert next(report for report in reports if report[0] == stage) == (stage, 0, 1)
    relaxed = [done for stage, done, total in reports[1:] if stage == 'relax' and total > 1]
    assert relaxed == sorted(relaxed)


def test_substitute_potential_is_reported(run_prediction):
    request = orm.Str('M3GNet', description='The hub cannot be reached: chgnet is used instead.')
    node = run_prediction('NaCl', overrides={'max_atoms': 1}, potential_request=request)
    messages = [log.message for log in orm.Log.collection.get_logs_for(node)]
    assert any('The hub cannot be reached: chgnet is used instead.' in message for message in messages)
    assert node.inputs.potential_request.value == 'M3GNet'


def test_calculator_of_ase(tiny_settings):
    overrides = {**tiny_settings, 'relax': {'max_steps': 30}}
    builder = PredictWorkChain.get_builder_from_protocol(
        'CuAu', 'fast', overrides, potential='ase:ase.calculators.emt:EMT'
    )
    node = run_get_node(builder)[1]
    assert node.is_finished_ok, node.exit_message
    potential = load_potential(node.inputs.potential.to_files())
    assert node.outputs.ranking['potential'] == potential.facts
    assert node.outputs.ranking['potential']['kind'] == 'ase'
    for row in node.outputs.ranking['rows']:
        atoms = node.outputs.structures[f'rank_{row["rank"]:02d}'].get_ase()
        atoms.calc = EMT()
        assert row['energy_per_atom'] == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-8)


def test_calculator_of_ase_of_another_version(builder):
    files = resolve_potential('ase:ase.calculators.emt:EMT').files
    record = json.loads(files.files['calculator.json'])
    content = json.dumps({**record, 'version': '0.1'}).encode()
    builder.potential = PotentialData.from_files(PotentialFiles('emt', 'ase', {'calculator.json': content}))
    node = run_get_node(builder)[1]
    assert node.exit_status == 206
    assert 'The potential emt was recorded with ase 0.1, but here ase' in node.exit_message
    assert node.called == []


@pytest.mark.parametrize(
    ('formula', 'status', 'sentence'),
    [
        ('', 201, 'The formula is empty'),
        ('NaXx', 201, 'is not a chemical element'),
        ('nacl', 201, 'lower-case'),
        ('Na+Cl-', 201, 'Charges and signs are not accepted'),
        ('Na0.5Cl', 201, 'Fractional amounts are not accepted'),
        ('Na0Cl', 201, 'give a positive number'),
        ('D2O', 201, 'isotope'),
        ('Na11Cl11', 202, 'more than the limit of 20'),
        ('PoO2', 203, 'The element Po'),
        ({}, 201, 'The composition is empty'),
        ({'Na': -1, 'Cl': 1}, 201, 'give a positive number'),
        ({'Na': 0.5, 'Cl': 1}, 201, 'give a whole number'),
        ({'Na': 11, 'Cl': 10}, 202, 'more than the limit of 20'),
    ],
)
def test_bad_formula(run_prediction, formula, status, sentence):
    node = run_prediction(formula)
    assert node.exit_status == status
    assert sentence in node.exit_message
    assert node.called == []


def test_unicode_subscripts_are_read(run_prediction, tiny_settings):
    node = run_prediction('TiO₂', overrides={'search': {'max_candidates': 0}, 'relax': {'max_steps': 0}})
    assert node.is_finished_ok
    assert node.outputs.distances.base.attributes.get('reduced_formula') == 'TiO2'


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        ({'tea': 1}, 'Unknown setting tea'),
        ({'rank': {'top': 0}}, 'The setting rank.top is 0: give a value from 1 to 500.'),
        ({'relax': {'max_steps': 'many'}}, "The setting relax.max_steps is 'many'"),
        ({'templates': {'max_candidates': 0}, 'search': {'max_candidates': 0}}, 'Both candidate sources'),
    ],
)
def test_bad_parameters(run_prediction, overrides, sentence):
    node = run_prediction('NaCl', overrides=overrides)
    assert node.exit_status == 204
    assert sentence in node.exit_message


@pytest.mark.parametrize('seed', [-1, 2**32])
def test_bad_seed(run_prediction, seed):
    node = run_prediction('NaCl', seed=seed)
    assert node.exit_status == 204
    assert node.exit_message == f'The seed is {seed}: give a whole number from 0 to 4294967295.'


@pytest.mark.parametrize('purpose', ModelData.PURPOSES)
def test_damaged_weights(builder, purpose):
    damaged = ModelData.shipped(purpose).get_content(mode='rb')[:-100]
    builder.models[purpose] = ModelData(io.BytesIO(damaged), purpose=purpose)
    node = run_get_node(builder)[1]
    assert node.exit_status == 205
    assert 'damaged' in node.exit_message
    assert node.called == []


def test_weights_of_another_stage(builder):
    builder.models['distances'] = ModelData.shipped('cells')
    node = run_get_node(builder)[1]
    assert node.exit_status == 205
    assert node.exit_message == (
        'The weights given as models.distances were made for cells: give weights made for distances.'
    )


def test_damaged_potential(builder):
    builder.potential = PotentialData.from_files(PotentialFiles('broken', 'm3gnet', {'model.pt': b'no weights'}))
    node = run_get_node(builder)[1]
    assert node.exit_status == 206
    assert 'broken' in node.exit_message
    assert node.called == []


def test_no_candidates(run_prediction):
    sources = {'templates': {'decorations': False}, 'search': {'max_candidates': 0}}
    node = run_prediction('NaCl19', overrides=sources)
    assert node.exit_status == 410
    assert 'No known prototype takes the atoms of NaCl19.' in node.exit_message
    assert node.outputs.candidates['rows'] == []
    assert 'cells' in node.outputs
    assert 'distances' in node.outputs
    assert 'ranking' not in node.outputs


def test_all_relaxations_failed(builder, monkeypatch):
    from aiida_alphacrystal.engine.relax import soundness

    monkeypatch.setattr(soundness, 'MAX_FORCE', -1.0)
    node = run_get_node(builder)[1]
    assert node.exit_status == 420
    assert node.exit_message.startswith('All ')
    rows = node.outputs.relaxations.base.attributes.get('rows')
    assert all(row['energy_per_atom'] is None and row['reason'] for row in rows)
    assert 'candidates' in node.outputs


def test_bug_in_a_stage(builder, monkeypatch):
    from aiida_alphacrystal.engine import rank

    def explode(*args):
        raise RuntimeError('boom')

    monkeypatch.setattr(rank, 'rank_candidates', explode)
    node = run_get_node(builder)[1]
    assert node.exit_status == 310
    assert node.exit_message == "The stage rank failed: RuntimeError('boom')"
    assert 'relaxations' in node.outputs
    messages = [log.message for log in orm.Log.collection.get_logs_for(node)]
    assert any('Traceback' in message and 'boom' in message for message in messages)


def test_foreseeable_error_in_a_stage_keeps_its_sentence(builder, monkeypatch):
    from aiida_alphacrystal.engine import rank
    from aiida_alphacrystal.engine.errors import AlphaCrystalError

    def refuse(*args):
        raise AlphaCrystalError('This cannot be ranked.')

    monkeypatch.setattr(rank, 'rank_candidates', refuse)
    node = run_get_node(builder)[1]
    assert node.exit_status == 310
    assert node.exit_message == 'The stage rank failed: This cannot be ranked.'


@pytest.mark.parametrize('compound', [{}, {'formula': 'NaCl', 'composition': {'Na': 1, 'Cl': 1}}])
def test_exactly_one_of_formula_and_composition(compound):
    with pytest.raises(ValueError, match='Give exactly one of `formula` and `composition`'):
        run_get_node(PredictWorkChain, **compound)


def test_default_inputs():
    inputs = PredictWorkChain.spec().inputs
    assert PredictionSettings.from_dict(inputs['parameters'].default().get_dict()) == PredictionSettings()
    assert inputs['potential'].default().name == 'chgnet'
    assert inputs['seed'].default().value == 0
    assert [inputs['models'][purpose].default().purpose for purpose in ModelData.PURPOSES] == list(ModelData.PURPOSES)


def test_exit_codes():
    codes = {code.status: label for label, code in PredictWorkChain.exit_codes.items() if code.status >= 200}
    assert codes == {
        201: 'ERROR_INVALID_FORMULA',
        202: 'ERROR_TOO_MANY_ATOMS',
        203: 'ERROR_UNSUPPORTED_ELEMENT',
        204: 'ERROR_INVALID_PARAMETERS',
        205: 'ERROR_INVALID_MODEL',
        206: 'ERROR_INVALID_POTENTIAL',
        207: 'ERROR_INVALID_REFINER',
        208: 'ERROR_INVALID_CODE',
        209: 'ERROR_MISSING_PSEUDOPOTENTIALS',
        210: 'ERROR_INCONSISTENT_PSEUDOPOTENTIALS',
        310: 'ERROR_STAGE_FAILED',
        410: 'ERROR_NO_CANDIDATES',
        420: 'ERROR_ALL_RELAXATIONS_FAILED',
        430: 'ERROR_REFINEMENT_FAILED',
        450: 'ERROR_JOB_FAILED',
    }


def test_every_stage_has_a_calcfunction():
    assert list(parameters.STAGES) == STAGES
    assert set(STAGES) < set(calcfunctions.__all__)


def builder_with(**models):
    return PredictWorkChain.get_builder_from_protocol('NaCl', 'fast', models=models)


@pytest.mark.parametrize(
    ('text', 'card'),
    [('{"seed": 1}', {'seed': 1}), (None, {}), ('{"seed": NaN}', {}), ('["seed"]', {}), ('no card', {})],
)
def test_weights_from_a_file_with_the_card_beside_it(aiida_profile, tmp_path, text, card):
    path = tmp_path / 'mine.safetensors'
    path.write_bytes(b'weights of the user')
    if text is not None:
        path.with_suffix('.json').write_text(text, encoding='utf-8')
    models = builder_with(templates=path).models
    assert not models['templates'].is_stored
    assert (models['templates'].purpose, models['templates'].card) == ('templates', card)
    assert models['templates'].get_content(mode='rb') == b'weights of the user'
    assert {purpose: models[purpose].sha256 for purpose in ('cells', 'distances')} == {
        purpose: ModelData.shipped(purpose).sha256 for purpose in ('cells', 'distances')
    }


def test_weights_that_are_known_are_not_stored_again(aiida_profile, tmp_path):
    node = ModelData(io.BytesIO(b'known weights'), purpose='cells').store()
    path = tmp_path / 'mine.safetensors'
    path.write_bytes(b'known weights')
    assert builder_with(cells=path).models['cells'].uuid == node.uuid
    assert builder_with(cells=node).models['cells'].uuid == node.uuid


@pytest.mark.parametrize(
    ('models', 'sentence'),
    [
        ({'tea': Path('x')}, "No stage uses weights for 'tea': give distances, cells, templates."),
        ({'cells': Path('nothing-here')}, 'The file nothing-here cannot be read'),
    ],
)
def test_weights_that_cannot_be_had(aiida_profile, models, sentence):
    with pytest.raises(ModelError, match=sentence):
        builder_with(**models)
