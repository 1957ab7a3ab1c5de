"""Tests of the work chain that predicts many formulas."""

from __future__ import annotations

import itertools

import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from plumpy import KilledError

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.engine.formula_lists import MAX_FORMULAS
from aiida_alphacrystal.report.screening import read_screening
from aiida_alphacrystal.workchains import PredictWorkChain, ScreenWorkChain, screen
from aiida_alphacrystal.workchains.screen import validate_concurrent, validate_formulas

#: Settings of this module only, so that no prediction of another test is taken over.
SETTINGS = {
    'cells': {'max_hypotheses': 1},
    'templates': {'max_candidates': 2},
    'search': {'max_candidates': 0},
    'relax': {'max_steps': 0},
    'rank': {'top': 2},
}
FORMULAS = ['NaCl', 'PoO2', 'MgO', 'CaO', 'NaXx']


def run_screening(formulas=FORMULAS, overrides=None, **inputs):
    settings = {**SETTINGS, **(overrides or {})}
    builder = ScreenWorkChain.get_builder_from_protocol(formulas, 'fast', settings, group=inputs.pop('group', None))
    for key, value in inputs.items():
        setattr(builder, key, value)
    return run_get_node(builder)[1]


def predictions_of(node):
    return [called for called in node.called if called.process_label == 'PredictWorkChain']


@pytest.fixture(scope='module')
def screening(aiida_profile):
    """Return a finished screening; do not change or delete it."""
    return run_screening(group='screening', max_concurrent=2)


def test_entry_point():
    assert WorkflowFactory('alphacrystal.screen') is ScreenWorkChain


def test_one_prediction_for_each_formula(screening):
    assert screening.is_finished_ok, screening.exit_message
    predictions = sorted(predictions_of(screening), key=lambda node: node.pk)
    assert [node.inputs.formula.value for node in predictions] == FORMULAS
    assert [node.label for node in predictions] == FORMULAS
    links = screening.base.links.get_outgoing(node_class=orm.WorkChainNode).all()
    assert sorted(link.link_label for link in links) == [f'formula_0000{number}' for number in range(1, 6)]


def test_predictions_share_their_inputs(screening):
    predictions = predictions_of(screening)
    for label in ('parameters', 'potential', 'seed'):
        assert len({node.inputs[label].uuid for node in predictions}) == 1
    assert len({node.inputs.models.templates.uuid for node in predictions}) == 1


def test_table(screening):
    rows = screening.outputs.table['rows']
    assert (screening.outputs.table['finished'], screening.outputs.table['failed']) == (3, 2)
    assert [row['formula'] for row in rows] == FORMULAS
    assert [row['exit_status'] for row in rows] == [0, 203, 0, 0, 201]
    by_formula = {node.inputs.formula.value: node for node in predictions_of(screening)}
    for row in rows:
        if row['exit_status']:
            assert row['reason'] == by_formula[row['formula']].exit_message
            assert (row['spacegroup'], row['structures']) == (None, 0)
            continue
        ranking = by_formula[row['formula']].outputs.ranking
        assert row['structures'] == len(ranking['rows'])
        for key in ('spacegroup', 'spacegroup_symbol', 'formation_energy_per_atom', 'number_of_atoms'):
            assert row[key] == ranking['rows'][0][key]


def test_table_comes_from_the_rankings(screening):
    join = screening.outputs.table.creator
    assert join.process_type == 'aiida.calculations:alphacrystal.join_tables'
    part = join.inputs.tables.table_00001.creator
    assert part.process_type == 'aiida.calculations:alphacrystal.tabulate'
    rankings = {node.outputs.ranking.uuid for node in predictions_of(screening) if node.is_finished_ok}
    assert {node.uuid for node in part.inputs.rankings.values()} == rankings


def test_table_in_parts(screening, monkeypatch):
    monkeypatch.setattr(screen, '_TABULATED', 2)
    again = run_screening()
    assert again.outputs.table.get_dict() == screening.outputs.table.get_dict()
    parts = again.outputs.table.creator.inputs.tables
    assert [len(parts[label]['rows']) for label in sorted(parts)] == [2, 2, 1]
    assert [row.prediction for row in read_screening(again).rows] == [
        row.prediction for row in read_screening(screening).rows
    ]


def test_group(screening):
    members = {node.uuid for node in orm.load_group('screening').nodes}
    assert members >= {screening.uuid, *(node.uuid for node in predictions_of(screening))}


def test_no_more_than_allowed_at_once(screening):
    """Whatever belongs to one batch is made before anything of the next one."""
    predictions = sorted(predictions_of(screening), key=lambda node: node.pk)
    batches = [predictions[begin : begin + 2] for begin in range(0, len(predictions), 2)]
    for batch, later in itertools.pairwise(batches):
        made = [made for prediction in batch for made in (prediction, *prediction.called_descendants)]
        assert max(node.pk for node in made) < min(node.pk for node in later)


def test_nothing_is_predicted_again(screening):
    again = run_screening([*reversed(FORMULAS), 'LiF'], group='again')
    assert [node.inputs.formula.value for node in predictions_of(again)] == ['LiF']
    rows = {row['formula']: row for row in screening.outputs.table['rows']}
    for row in again.outputs.table['rows'][:-1]:
        assert {**row, 'label': None} == {**rows[row['formula']], 'label': None}
    members = {node.uuid for node in orm.load_group('again').nodes}
    assert members == {again.uuid, *(node.uuid for node in predictions_of(screening) + predictions_of(again))}


@pytest.mark.parametrize(('seed', 'overrides'), [(1, {}), (0, {'rank': {'top': 1}})])
def test_other_inputs_are_predicted(screening, seed, overrides):
    builder = ScreenWorkChain.get_builder_from_protocol(['NaCl'], 'fast', {**SETTINGS, **overrides}, seed=seed)
    node = run_get_node(builder)[1]
    assert len(predictions_of(node)) == 1


def test_without_reuse(screening):
    node = run_screening(['NaCl'], reuse=False)
    assert len(predictions_of(node)) == 1
    assert node.outputs.table['rows'][0]['exit_status'] == 0


@pytest.mark.parametrize(('state', 'status'), [('killed', None), ('excepted', None), ('finished', 310)])
def test_what_was_stopped_is_predicted_again(screening, state, status):
    """Only what the inputs alone decide about is taken over."""
    formula = {'killed': 'KBr', 'excepted': 'KCl', 'finished': 'KF'}[state]
    node = orm.WorkChainNode(process_type='aiida.workflows:alphacrystal.predict')
    inputs = next(iter(predictions_of(screening))).inputs
    for label in ('parameters', 'potential', 'seed'):
        node.base.links.add_incoming(inputs[label], LinkType.INPUT_WORK, label)
    node.base.links.add_incoming(orm.Str(formula).store(), LinkType.INPUT_WORK, 'formula')
    for purpose, model in inputs.models.items():
        node.base.links.add_incoming(model, LinkType.INPUT_WORK, f'models__{purpose}')
    node.set_process_state(state)
    if status is not None:
        node.set_exit_status(status)
    node.store()
    again = run_screening([formula])
    assert len(predictions_of(again)) == 1
    assert again.outputs.table['rows'][0]['exit_status'] == 0


def test_every_prediction_fails(aiida_profile):
    node = run_screening(['PoO2', 'FrCl'])
    assert node.exit_status == 440
    assert node.exit_message.startswith('None of 2 formulas could be predicted; the first one, PoO2: The element Po')
    assert node.outputs.table['failed'] == 2


@pytest.mark.parametrize(
    ('label', 'value', 'sentence'),
    [
        ('parameters', {'tea': 1}, 'Unknown setting tea'),
        ('seed', -1, 'The seed is -1'),
    ],
)
def test_bad_shared_inputs_stop_before_the_first(aiida_profile, label, value, sentence):
    builder = ScreenWorkChain.get_builder_from_protocol(['NaCl'], 'fast', SETTINGS)
    builder.prediction[label] = orm.to_aiida_type(value)
    node = run_get_node(builder)[1]
    assert node.exit_status == 204
    assert sentence in node.exit_message
    assert node.called == []


@pytest.mark.parametrize(
    ('formulas', 'sentence'),
    [
        ([], 'There is no formula to screen'),
        (['NaCl', 'MgO', 'NaCl'], '1 of the formulas are there twice'),
        ([1], 'Some of the formulas are no text'),
        ([f'H{number}' for number in range(MAX_FORMULAS + 1)], 'There are 10,001 formulas: split the list'),
    ],
)
def test_bad_lists(aiida_profile, formulas, sentence):
    assert sentence in validate_formulas(orm.List(formulas), None)
    with pytest.raises(ValueError, match=sentence):
        ScreenWorkChain.get_builder().formulas = orm.List(formulas)


def test_bad_bound():
    assert validate_concurrent(0, None) == 'The number that may run at once is 0: give at least 1.'
    assert validate_concurrent(1, None) is None


def test_context_does_not_grow_with_the_list(aiida_profile, monkeypatch):
    """The context is written to the database with every step."""
    sizes = []
    find = ScreenWorkChain._find_finished

    def watch(self, formulas):
        sizes.append((self.ctx.position, len(repr(self.ctx))))
        return find(self, formulas)

    monkeypatch.setattr(ScreenWorkChain, '_find_finished', watch)
    run_screening(['PoO', 'PoO2', 'PoO3', 'Po2O3'], max_concurrent=1, reuse=False)
    assert [position for position, _ in sizes] == [0, 1, 2, 3]
    assert len({size for _, size in sizes}) == 1


def test_a_stage_that_ctrl_c_has_killed_stops_everything(aiida_profile, monkeypatch):
    class Killed:
        calls = 0

        @classmethod
        def run_get_node(cls, **inputs):
            cls.calls += 1
            raise KilledError('interrupted')

    monkeypatch.setattr(calcfunctions, 'featurize', Killed)
    builder = ScreenWorkChain.get_builder_from_protocol(['RbF', 'RbCl', 'RbBr'], 'fast', SETTINGS, max_concurrent=1)
    with pytest.raises(KilledError):
        run_get_node(builder)
    assert Killed.calls == 1


def test_exit_codes():
    own = {code.status for code in ScreenWorkChain.exit_codes.values()} - {
        code.status for code in PredictWorkChain.exit_codes.values()
    }
    assert own == {440}
