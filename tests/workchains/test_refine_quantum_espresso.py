"""From a formula to DFT energies with the real Quantum ESPRESSO, and what happens when it goes wrong."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_alphacrystal.workchains import PredictWorkChain, RefineWorkChain
from aiida_alphacrystal.workchains.refine import refinement_inputs

from .quantum_espresso import find_program, install_family, make_code

FAMILY = 'PBE of Debian'
OVERRIDES = {'pseudo_family': FAMILY}
#: Where energies are not looked at.
COARSE = OVERRIDES | {'kpoints_distance': 0.6}


@pytest.fixture(scope='module')
def program():
    return find_program()


@pytest.fixture(scope='module')
def family(program, aiida_profile, tmp_path_factory):
    made = install_family(tmp_path_factory.mktemp('pseudopotentials'), FAMILY)
    yield made
    orm.Group.collection.delete(made.pk)


@pytest.fixture
def silicon():
    a = 5.43 / 2
    structure = orm.StructureData(cell=[[0, a, a], [a, 0, a], [a, a, 0]])
    structure.append_atom(position=(0, 0, 0), symbols='Si')
    structure.append_atom(position=(a / 2, a / 2, a / 2), symbols='Si')
    return structure


def refine(code, structures, overrides=OVERRIDES, **inputs):
    builder = RefineWorkChain.get_builder_from_protocol(code, structures, 'fast', overrides)
    for key, value in inputs.items():
        setattr(builder, key, value)
    return run_get_node(builder)[1]


@pytest.mark.slow
def test_from_a_formula_to_dft_energies(program, family, aiida_localhost, tiny_settings):
    """Of the cubic cells of SiC with two atoms, the best two: zinc blende, and rock salt far above it."""
    settings = tiny_settings | {'templates': {'max_candidates': 6}, 'search': {'max_candidates': 0}}
    settings['cells'] = {'crystal_system': 'cubic'}
    builder = PredictWorkChain.get_builder_from_protocol(
        {'Si': 1, 'C': 1},
        'fast',
        settings,
        refine=refinement_inputs(make_code(aiida_localhost, program, 'real'), 'fast', OVERRIDES, top=2),
    )
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    rows = outputs['refine']['ranking']['rows']
    assert [row['rank'] for row in rows] == [1, 2]
    assert [row['spacegroup'] for row in rows] == [216, 225]
    assert rows[0]['volume_per_atom'] == pytest.approx(10.4, abs=0.2)  # PBE: a = 4.38 A
    assert rows[1]['relative_energy'] > 0.005
    assert all(row['exit_status'] == 0 and row['max_force'] < 0.05 for row in rows)

    # every step from the formula to the energies is linked
    query = orm.QueryBuilder().append(orm.Dict, filters={'uuid': node.inputs.composition.uuid}, tag='formula')
    query.append(orm.CalcJobNode, with_ancestors='formula', tag='job')
    query.append(orm.Dict, filters={'uuid': outputs['refine']['ranking'].uuid}, with_ancestors='job')
    assert query.count() > 0
    jobs = [job for job in node.called_descendants if isinstance(job, orm.CalcJobNode)]
    energies = [job.outputs.output_parameters['energy'] for job in jobs]
    atoms = len(outputs['refine']['structures']['rank_01'].sites)
    best = rows[0]['energy_per_atom']  # of which a node keeps fourteen digits
    assert any(energy / atoms == pytest.approx(best, abs=1e-10) for energy in energies)


@pytest.mark.slow
def test_a_walltime_that_is_too_short(program, family, aiida_localhost, silicon):
    node = refine(make_code(aiida_localhost, program, 'hasty'), [silicon], options={'max_wallclock_seconds': 1})
    assert node.exit_status == 430
    row = node.outputs.ranking['rows'][0]
    assert row['exit_status'] is not None
    assert row['exit_status'] >= 400
    assert 'its last job ended with exit status 4' in row['reason']
    assert 'wall' in row['reason']


@pytest.mark.slow
def test_a_crash_is_a_row_and_the_others_go_on(program, family, aiida_localhost, silicon, tmp_path):
    """The program crashes in one cell; when it has been mended, only that one is calculated again."""
    crashing = tmp_path / 'pw.x'
    crashing.write_text(f'#!/bin/sh\nif grep -q "nat = 1$" aiida.in; then exit 139; fi\nexec {program} "$@"\n')
    crashing.chmod(0o755)
    simple = orm.StructureData(cell=[[2.5, 0, 0], [0, 2.5, 0], [0, 0, 2.5]])
    simple.append_atom(position=(0, 0, 0), symbols='Si')
    code = make_code(aiida_localhost, crashing, 'crashing')

    rows = refine(code, [simple, silicon], COARSE).outputs.ranking['rows']
    assert [(row['label'], row['rank']) for row in rows] == [('structure_02', 1), ('structure_01', None)]
    assert rows[1]['exit_status'] == 403
    assert 'its last job ended with exit status 3' in rows[1]['reason']

    crashing.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    again = refine(code, [simple, silicon], COARSE)
    assert len([child for child in again.called if isinstance(child, orm.WorkChainNode)]) == 1
    rows = again.outputs.ranking['rows']
    assert [(row['label'], row['rank']) for row in rows] == [('structure_02', 1), ('structure_01', 2)]


def test_a_program_that_fails_at_once(program, family, aiida_localhost, silicon):
    node = refine(make_code(aiida_localhost, '/bin/false', 'failing'), [silicon])
    assert node.exit_status == 430
    assert 'structure_01: ' in node.exit_message
