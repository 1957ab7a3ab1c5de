"""Tests of the work chain that hands structures to DFT, with a quick work chain in the place of DFT."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from ase.build import bulk

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.refiners import CodeError, PseudopotentialError, RefinerError
from aiida_alphacrystal.workchains import RefineWorkChain
from aiida_alphacrystal.workchains.refine import refinement_inputs
from tests.toy_relax import ToyRefiner


def copper(kind, **options):
    return orm.StructureData(ase=bulk('Cu', kind, **options))


@pytest.fixture
def structures(aiida_profile):
    """Return copper in three structures, the best of EMT last; the hexagonal one has two atoms."""
    return [copper('bcc', a=2.85), copper('hcp', a=2.6), copper('fcc', a=3.6)]


@pytest.fixture
def refine(toy, make_code):
    """Return a function that refines structures and returns the node."""
    code = make_code(plugin='core.arithmetic.add')

    def run(source, overrides=None, code=code, **inputs):
        builder = RefineWorkChain.get_builder_from_protocol(code, source, 'fast', overrides, refiner=toy)
        for key, value in inputs.items():
            setattr(builder, key, value)
        return run_get_node(builder)[1]

    return run


def rows_of(node):
    return {row['label']: row for row in node.outputs.ranking['rows']}


def launched(node):
    return [child.process_label for child in node.called if isinstance(child, orm.WorkChainNode)]


def test_entry_point():
    assert WorkflowFactory('alphacrystal.refine') is RefineWorkChain


def test_the_lowest_energy_is_the_first(refine, structures):
    node = refine(structures)
    assert node.is_finished_ok, node.exit_message
    rows = node.outputs.ranking['rows']
    assert [(row['rank'], row['label'], row['predicted_rank']) for row in rows] == [
        (1, 'structure_03', 3),
        (2, 'structure_02', 2),
        (3, 'structure_01', 1),
    ]
    assert [row['spacegroup'] for row in rows] == [225, 194, 229]
    energies = [row['energy_per_atom'] for row in rows]
    assert energies == sorted(energies)
    assert [row['relative_energy'] for row in rows] == pytest.approx([energy - energies[0] for energy in energies])
    assert all((row['exit_status'], row['reason'], row['predicted_relative_energy']) == (0, None, None) for row in rows)
    assert node.outputs.ranking['agreement'] == {'kendall_tau': -1.0, 'same_best': False}


def test_the_refined_structures_are_those_of_the_work_chains(refine, structures):
    node = refine(structures, reuse=False)
    links = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK)
    children = {link.link_label: link.node for link in links}
    assert sorted(children) == ['refine_structure_01', 'refine_structure_02', 'refine_structure_03']
    best = node.outputs.structures.rank_01
    assert best.uuid == children['refine_structure_03'].outputs.output_structure.uuid
    functions = sorted(child.process_label for child in node.called if isinstance(child, orm.CalcFunctionNode))
    assert functions == ['rank_refined', 'to_primitive', 'to_primitive', 'to_primitive']


def test_top(refine, structures):
    assert list(rows_of(refine(structures, top=2))) == ['structure_02', 'structure_01']


def test_the_first_are_those_with_the_smallest_numbers(refine, structures):
    named = dict(zip(('rank_100', 'rank_20', 'rank_03'), structures, strict=True))
    rows = rows_of(refine(named, top=2))
    assert {label: row['predicted_rank'] for label, row in rows.items()} == {'rank_03': 1, 'rank_20': 2}


def test_primitive_cells_are_refined(refine):
    conventional = orm.StructureData(ase=bulk('Cu', 'fcc', a=3.6, cubic=True))
    reduced, whole = (refine([conventional], symmetry_tolerance=tolerance) for tolerance in (0.02, 0.0))
    assert len(reduced.outputs.structures.rank_01.sites) == 1
    assert len(whole.outputs.structures.rank_01.sites) == 4
    energies = [rows_of(node)['structure_01']['energy_per_atom'] for node in (reduced, whole)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)


def test_a_failure_is_a_row(refine, structures):
    node = refine(structures, {'max_atoms': 1})
    assert node.is_finished_ok
    row = node.outputs.ranking['rows'][-1]
    assert (row['label'], row['rank'], row['exit_status'], row['reason']) == (
        'structure_02',
        None,
        401,
        'the structure is too large',
    )
    assert sorted(node.outputs.structures) == ['rank_01', 'rank_02']
    assert node.outputs.ranking['agreement'] == {'kendall_tau': -1.0, 'same_best': False}


def test_nothing_but_failures(refine, structures):
    node = refine(structures[1:2], {'max_atoms': 1})
    assert node.exit_status == 430
    assert node.exit_message == ('None of the structures could be refined. structure_01: the structure is too large')
    assert rows_of(node)['structure_01']['exit_status'] == 401


def test_what_has_been_done_is_not_done_again(refine, structures):
    overrides = {'scale': 1.01}
    first = refine(structures[:2], overrides)
    assert launched(first) == ['ToyRelaxWorkChain'] * 2
    again = refine([structure.clone() for structure in structures], overrides)
    assert launched(again) == ['ToyRelaxWorkChain']
    for label in ('structure_01', 'structure_02'):
        assert rows_of(again)[label]['energy_per_atom'] == rows_of(first)[label]['energy_per_atom']
    assert launched(refine(structures, {'scale': 1.02})) == ['ToyRelaxWorkChain'] * 3


def test_what_failed_is_tried_again(refine, structures):
    overrides = {'max_atoms': 1, 'scale': 1.03}
    assert len(launched(refine(structures, overrides))) == 3
    assert len(launched(refine(structures, overrides))) == 1


def test_everything_is_done_again_on_demand(refine, structures):
    refine(structures)
    assert len(launched(refine(structures, reuse=False))) == 3


@pytest.mark.parametrize('bound', [1, 2, 5])
def test_how_many_run_at_once_changes_nothing(refine, structures, bound):
    node = refine(structures, max_concurrent=bound, reuse=False)
    assert [row['label'] for row in node.outputs.ranking['rows']] == ['structure_03', 'structure_02', 'structure_01']


def test_progress(refine, structures):
    reports = []
    with reporting(lambda *report: reports.append(report)):
        refine(structures, reuse=False)
    assert reports == [('refine', done, 3) for done in range(4)]


def test_structures_that_have_become_equal(refine, structures):
    strained = structures[2].clone()
    strained.set_cell([[1.003 * value for value in vector] for vector in strained.cell])
    rows = refine([structures[2], strained]).outputs.ranking['rows']
    assert [row['same_as'] for row in rows] == [None, rows[0]['label']]


def check_refused(node, status, sentence):
    assert node.exit_status == status
    assert sentence in node.exit_message
    assert not node.called
    assert 'ranking' not in node.outputs


def test_a_code_that_was_deleted_since(refine, structures, make_code, tmp_path):
    executable = tmp_path / 'pw.x'
    executable.touch(mode=0o755)
    builder = RefineWorkChain.get_builder_from_protocol(
        make_code(executable, plugin=None), structures, refiner='test.toy'
    )
    executable.unlink()
    check_refused(run_get_node(builder)[1], 208, 'pw@localhost has no executable')


@pytest.mark.parametrize(
    ('inputs', 'status', 'sentence'),
    [
        ({'refiner': 'nothing'}, 207, "The refiner 'nothing' needs a work chain of that name"),
        ({'refiner': 'quantumespresso.pw.relax'}, 208, 'The code pw@localhost runs core.arithmetic.add'),
        ({'protocol': 'slow'}, 204, 'test.toy does not take the settings'),
    ],
)
def test_nothing_is_submitted_where_something_is_missing(refine, structures, inputs, status, sentence):
    check_refused(refine(structures, **inputs), status, sentence)


def test_a_refiner_that_stops_unexpectedly(refine, structures, entry_points):
    entry_points.add(ToyRefiner, 'aiida_alphacrystal.refiners:broken')
    check_refused(
        refine(structures, refiner='broken'), 207, "cannot build its work chain: ZeroDivisionError('unforeseen')"
    )


@pytest.mark.parametrize(
    ('inputs', 'sentence'),
    [
        ({'top': 0}, 'The number of structures is 0'),
        ({'max_concurrent': 0}, 'The number that may run at once is 0'),
        ({'symmetry_tolerance': -0.1}, r'The tolerance of the symmetry is -0\.1 A'),
        ({'structures': {}}, 'There is no structure to refine'),
    ],
)
def test_inputs_that_are_refused(refine, structures, inputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        refine(structures, **inputs)


def test_compositions_that_cannot_be_compared(refine, structures):
    with pytest.raises(ValueError, match='Energies of 2 different compositions cannot be compared'):
        refine([*structures, orm.StructureData(ase=bulk('Al'))])


def test_what_the_builder_checks(toy, structures, make_code):
    build = RefineWorkChain.get_builder_from_protocol
    with pytest.raises(CodeError, match="There is no code 'nothing@here'"):
        build('nothing@here', structures)
    with pytest.raises(PseudopotentialError, match='There is no family of pseudopotentials'):
        build(make_code(), structures)
    with pytest.raises(RefinerError, match='not installed'):
        build(make_code(), structures, refiner='nothing')


def test_a_prediction_without_structures(aiida_profile, make_code):
    node = orm.WorkChainNode().store()
    with pytest.raises(SettingsError, match=f'Process {node.pk} has no ranked structures'):
        RefineWorkChain.get_builder_from_protocol(make_code(), node)


def test_a_prediction_is_compared_with(refine, prediction):
    node = refine(prediction, top=2)
    # EMT knows no salt: what matters is what is said of the prediction
    assert node.exit_status == 430
    rows = rows_of(node)
    assert list(rows) == ['rank_01', 'rank_02']
    said = prediction.outputs.ranking['rows']
    lowest = min(row['formation_energy_per_atom'] for row in said[:2])
    for row, before in zip(rows.values(), said, strict=False):
        assert row['predicted_rank'] == before['rank']
        assert row['predicted_relative_energy'] == pytest.approx(before['formation_energy_per_atom'] - lowest)
        assert 'it stopped by an unforeseen error' in row['reason']
    assert node.inputs.ranking.uuid == prediction.outputs.ranking.uuid
    assert node.inputs.structures.rank_01.uuid == prediction.outputs.structures.rank_01.uuid


def test_as_a_part_of_a_prediction(run_prediction, toy, make_code):
    refine = refinement_inputs(make_code(plugin=None), 'fast', top=2, refiner=toy)
    node = run_prediction('Cu', refine=refine)
    assert node.is_finished_ok, node.exit_message
    rows = node.outputs.refine.ranking['rows']
    assert sorted(row['label'] for row in rows) == ['rank_01', 'rank_02']
    assert all(row['rank'] is not None for row in rows)
    child = next(child for child in node.called if child.process_label == 'RefineWorkChain')
    assert child.inputs.structures.rank_01.uuid == node.outputs.structures.rank_01.uuid
    assert child.inputs.ranking.uuid == node.outputs.ranking.uuid
    assert node.outputs.refine.structures.rank_01.uuid == child.outputs.structures.rank_01.uuid


def test_a_prediction_checks_the_refinement_first(run_prediction, make_code):
    node = run_prediction('Cu', refine=refinement_inputs(make_code(), 'fast'))
    check_refused(node, 209, 'There is no family of pseudopotentials')


def test_a_prediction_keeps_its_ranking_where_the_refinement_fails(run_prediction, toy, make_code):
    refine = refinement_inputs(make_code(plugin=None), 'fast', {'max_atoms': 0}, refiner=toy)
    node = run_prediction('Cu', refine=refine)
    assert node.exit_status == 430
    assert 'the structure is too large' in node.exit_message
    assert node.outputs.ranking['rows']
    assert all(row['exit_status'] == 401 for row in node.outputs.refine.ranking['rows'])


def test_exit_codes():
    codes = {code.status: label for label, code in RefineWorkChain.exit_codes.items() if code.status >= 200}
    assert (
        codes.items()
        >= {
            204: 'ERROR_INVALID_PARAMETERS',
            207: 'ERROR_INVALID_REFINER',
            208: 'ERROR_INVALID_CODE',
            209: 'ERROR_MISSING_PSEUDOPOTENTIALS',
            210: 'ERROR_INCONSISTENT_PSEUDOPOTENTIALS',
            310: 'ERROR_STAGE_FAILED',
            430: 'ERROR_REFINEMENT_FAILED',
        }.items()
    )
