"""Tests of the screening whose jobs predict several formulas each."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_alphacrystal.query import Criteria, find_predictions
from aiida_alphacrystal.report.prediction import read_prediction
from aiida_alphacrystal.report.provenance import trace_origins
from aiida_alphacrystal.workchains import PredictWorkChain, ScreenWorkChain
from aiida_alphacrystal.workchains.screen import validate_per_job

#: Settings of this module only, so that no prediction of another test is taken over.
SETTINGS = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 2, 'decorations': False},
    'search': {'max_candidates': 0},
    'relax': {'max_steps': 1},
    'rank': {'top': 2},
}
FORMULAS = ['KCl', 'NaCl19', 'MgO', 'PoO2', 'CaO']


def run_screening(formulas, code=None, **inputs):
    builder = ScreenWorkChain.get_builder_from_protocol(formulas, 'fast', SETTINGS, code=code, max_concurrent=2)
    for key, value in inputs.items():
        setattr(builder, key, value)
    return run_get_node(builder)[1]


def called(node, label):
    return sorted((child for child in node.called if child.process_label == label), key=lambda child: child.pk)


def prediction_of(node, formula):
    return next(child for child in called(node, 'PredictWorkChain') if child.inputs.formula.value == formula)


@pytest.fixture(scope='module')
def screening(engine_code):
    """Return a finished screening through jobs; do not change or delete it."""
    node = run_screening(FORMULAS, engine_code, formulas_per_job=3, group=orm.Str('jobs'))
    assert node.is_finished_ok, node.exit_message
    return node


def test_few_jobs_for_many_formulas(screening):
    jobs = called(screening, 'PredictBaseWorkChain')
    assert [sorted(job.inputs.job.compounds) for job in jobs] == [
        ['formula_00001', 'formula_00002', 'formula_00003'],
        ['formula_00004', 'formula_00005'],
    ]
    assert [job.label for job in jobs] == ['3 formulas', '2 formulas']
    calculations = [child for child in screening.called_descendants if isinstance(child, orm.CalcJobNode)]
    assert len(calculations) == 2


def test_one_prediction_for_each_formula_computes_nothing(screening):
    predictions = called(screening, 'PredictWorkChain')
    assert [node.label for node in predictions] == FORMULAS
    assert [node.called for node in predictions] == [[]] * 5
    jobs = called(screening, 'PredictBaseWorkChain')
    compounds = {compound.uuid for job in jobs for compound in job.inputs.job.compounds.values()}
    assert {node.inputs.formula.uuid for node in predictions} == compounds
    members = {node.uuid for node in orm.load_group('jobs').nodes}
    assert members == {screening.uuid, *(node.uuid for node in predictions)}


def test_same_as_without_jobs(screening):
    alone = run_screening(FORMULAS, reuse=False)
    assert alone.outputs.table.get_dict() == screening.outputs.table.get_dict()
    one, other = (prediction_of(node, 'MgO') for node in (alone, screening))
    assert one.outputs.ranking.get_dict() == other.outputs.ranking.get_dict()
    assert one.outputs.cells.get_dict() == other.outputs.cells.get_dict()
    assert sorted(one.outputs) == sorted(other.outputs)
    for label, structure in one.outputs.structures.items():
        assert structure.base.attributes.all == other.outputs.structures[label].base.attributes.all


def test_what_fails_is_a_prediction_with_its_exit_code(screening):
    rows = {row['formula']: row for row in screening.outputs.table['rows']}
    assert [rows[formula]['exit_status'] for formula in FORMULAS] == [0, 410, 0, 203, 0]
    for formula in ('NaCl19', 'PoO2'):
        failed = prediction_of(screening, formula)
        assert (failed.exit_status, failed.exit_message) == (rows[formula]['exit_status'], rows[formula]['reason'])
        assert 'ranking' not in failed.outputs


def test_predictions_are_found_shown_and_traced(screening):
    node = prediction_of(screening, 'CaO')
    assert node.pk in {found.pk for found in find_predictions(Criteria(formula='CaO', group='jobs'))}
    report = read_prediction(node)
    assert [candidate.rank for candidate in report.candidates] == [1, 2]
    origin = trace_origins(node.outputs.structures.rank_01)
    step = origin.origins[0]
    assert step.text == f'PredictCalculation, candidate {node.outputs.ranking["rows"][0]["label"]}'
    assert {part.role for part in step.origins} >= {'compounds__formula_00005', 'models__cells', 'potential', 'seed'}


def test_nothing_is_predicted_again(screening, engine_code):
    again = run_screening([*FORMULAS, 'SrO'], engine_code)
    (job,) = called(again, 'PredictBaseWorkChain')
    assert [compound.value for compound in job.inputs.job.compounds.values()] == ['SrO']
    assert [node.label for node in called(again, 'PredictWorkChain')] == ['SrO']
    assert again.outputs.table['finished'] == 4
    once_more = run_screening(FORMULAS, engine_code)
    assert [child.process_label for child in once_more.called] == ['tabulate', 'join_tables']


def test_repeated_steps_submit_nothing_twice(engine_code, monkeypatch):
    """A worker that was killed leaves the context as it was when the step began."""

    def twice(name):
        step = getattr(ScreenWorkChain, name)

        def repeat(self):
            position, batch, jobs = self.ctx.position, list(self.ctx.batch), list(self.ctx.jobs)
            step(self)
            for process in self._awaitables:
                orm.load_node(process.pk).set_process_state('waiting')
            self._awaitables.clear()
            self.ctx.position, self.ctx.batch, self.ctx.jobs = position, batch, jobs
            step(self)

        monkeypatch.setattr(ScreenWorkChain, name, repeat)

    twice('submit_jobs')
    twice('inspect_jobs')
    node = run_screening(['BaO', 'LiF'], engine_code, reuse=False)
    assert node.is_finished_ok, node.exit_message
    assert len(called(node, 'PredictBaseWorkChain')) == 1
    assert [child.label for child in called(node, 'PredictWorkChain')] == ['BaO', 'LiF']


def test_a_job_that_comes_to_nothing_is_the_reason_in_the_rows(engine_code):
    code = orm.InstalledCode(label='none', computer=engine_code.computer, filepath_executable='/bin/false').store()
    node = run_screening(['SrS', 'SrSe'], code)
    assert node.exit_status == 440
    (job,) = called(node, 'PredictBaseWorkChain')
    assert called(node, 'PredictWorkChain') == []
    for row in node.outputs.table['rows']:
        assert row['exit_status'] is None
        assert row['reason'] == f'its job <{job.pk}> failed: {job.exit_message}'


def test_a_job_of_its_own_for_every_formula(engine_code):
    node = run_screening(['RbCl'], engine_code, formulas_per_job=1)
    assert called(node, 'PredictBaseWorkChain') == []
    assert [child.process_label for child in prediction_of(node, 'RbCl').called if child.process_label[0] == 'P'] == [
        'PredictBaseWorkChain'
    ]


@pytest.mark.parametrize(
    ('names', 'labelled', 'sentence'),
    [
        (['report'], False, 'Give `computed` and `computed_label` together, or neither.'),
        ([], True, 'Give `computed` and `computed_label` together, or neither.'),
        (['cells'], True, 'There is no `report` in `computed`'),
    ],
)
def test_what_was_computed_comes_with_its_report(aiida_profile, names, labelled, sentence):
    computed = {'computed': {name: orm.Dict() for name in names}} if names else {}
    computed |= {'computed_label': 'x'} if labelled else {}
    builder = PredictWorkChain.get_builder_from_protocol('NaCl', 'fast')
    with pytest.raises(ValueError, match=sentence):
        run_get_node(PredictWorkChain, **builder._inputs(prune=True), **computed)


def test_bad_number():
    assert validate_per_job(0, None) == 'The number of formulas in a job is 0: give 1 to 200.'
    assert validate_per_job(201, None) == 'The number of formulas in a job is 201: give 1 to 200.'
    assert validate_per_job(20, None) is None
