"""Tests of the refinement with pw.x, up to its submission."""

from __future__ import annotations

import re

import numpy as np
import pytest
from aiida import orm

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.refiners import (
    CodeError,
    FunctionalError,
    PseudopotentialError,
    RefinerError,
    RefinerSettings,
    get_refiner,
)
from aiida_alphacrystal.refiners.quantumespresso import PwRelaxRefiner

NAME = 'quantumespresso.pw.relax'
ELEMENTS = frozenset({'Si', 'C'})
OURS = {'pseudo_family': 'mine'}


@pytest.fixture
def refiner():
    return get_refiner(NAME)


@pytest.fixture
def mine(make_family):
    return make_family('mine', Si='PBE', C='PBE')


def build(refiner, code, structure, protocol='fast', options=None, **overrides):
    return refiner.get_builder(code, structure, RefinerSettings(protocol, OURS | overrides, options or {}))


def test_entry_point(refiner):
    assert isinstance(refiner, PwRelaxRefiner)
    assert refiner.name == NAME


def test_everything_is_there(refiner, mine, make_code):
    for protocol in (None, 'fast', 'balanced', 'stringent', 'moderate'):
        refiner.check(make_code(), ELEMENTS, RefinerSettings(protocol, OURS))


def test_builder(refiner, mine, make_code, silicon_carbide):
    builder = build(refiner, make_code(), silicon_carbide)
    assert builder.structure is silicon_carbide
    for step in (builder.base_relax, builder.base_init_relax):
        assert {kind: pseudo.uuid for kind, pseudo in step.pw.pseudos.items()} == {
            element: mine.get_pseudo(element).uuid for element in ELEMENTS
        }
        parameters = step.pw.parameters.get_dict()
        assert parameters['CONTROL']['calculation'] == 'vc-relax'
        assert parameters['SYSTEM']['ecutwfc'] == pytest.approx(30)
        assert parameters['SYSTEM']['ecutrho'] == pytest.approx(240)
        assert step.pw.metadata.options.withmpi is False


def test_overrides_beside_those_of_the_work_chain_hold_for_both_steps(refiner, mine, make_code, silicon_carbide):
    system = {'ecutwfc': 25, 'ecutrho': 200}
    builder = build(
        refiner,
        make_code(),
        silicon_carbide,
        kpoints_distance=0.5,
        pw={'parameters': {'SYSTEM': system}},
        base_relax={'kpoints_distance': 0.4, 'pw': {'parameters': {'SYSTEM': {'ecutwfc': 35}}}},
        meta_convergence=False,
    )
    assert builder.base_relax.kpoints_distance.value == 0.4
    assert builder.base_init_relax.kpoints_distance.value == 0.5
    assert builder.base_relax.pw.parameters['SYSTEM'].items() >= {'ecutwfc': 35, 'ecutrho': 200}.items()
    assert builder.base_init_relax.pw.parameters['SYSTEM'].items() >= system.items()
    assert builder.meta_convergence.value is False


def test_magnetism(refiner, mine, make_code, silicon_carbide):
    builder = build(
        refiner,
        make_code(),
        silicon_carbide,
        spin_type='collinear',
        initial_magnetic_moments={'Si': 2.0, 'C': 0.0},
    )
    system = builder.base_relax.pw.parameters['SYSTEM']
    assert system['nspin'] == 2
    assert system['starting_magnetization'] == {'Si': 0.5, 'C': 0.0}


def test_what_is_relaxed(refiner, mine, make_code, silicon_carbide):
    builder = build(refiner, make_code(), silicon_carbide, relax_type='positions', electronic_type='insulator')
    parameters = builder.base_relax.pw.parameters.get_dict()
    assert parameters['CONTROL']['calculation'] == 'relax'
    assert parameters['SYSTEM']['occupations'] == 'fixed'


def test_options_of_the_scheduler(refiner, mine, make_code, silicon_carbide):
    given = {'max_wallclock_seconds': 77, 'withmpi': True, 'resources': {'num_machines': 2}}
    options = build(refiner, make_code(with_mpi=None), silicon_carbide, options=given).base_relax.pw.metadata.options
    assert (options.max_wallclock_seconds, options.withmpi) == (77, True)
    assert options.resources['num_machines'] == 2


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (RefinerSettings('slow', OURS), "has no protocol 'slow': choose one of"),
        (RefinerSettings('fast', OURS | {'tea': 1}), 'Unknown override tea: the keys are base_init_relax,'),
        (RefinerSettings('fast', OURS | {'spin_type': 'up'}), "spin_type is 'up': choose one of none, collinear,"),
        (RefinerSettings('fast', OURS | {'pw': 3}), 'The override pw is 3: give a dictionary.'),
        (RefinerSettings('fast', OURS | {'base_relax': 3}), 'The override base_relax is 3: give a dictionary.'),
        (RefinerSettings('fast', OURS | {'pw': {'pseudos': {'Si': 'x'}}}), 'base_relax.pw.pseudos cannot be taken'),
    ],
)
def test_settings_that_cannot_be_used(refiner, mine, make_code, settings, sentence):
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        refiner.check(make_code(), ELEMENTS, settings)


def test_settings_that_the_work_chain_refuses(refiner, mine, make_code, silicon_carbide):
    with pytest.raises(SettingsError, match='does not take the settings'):
        build(refiner, make_code(), silicon_carbide, initial_magnetic_moments={'Si': 1.0, 'C': 0.0})


def test_pseudopotentials_that_are_missing(refiner, mine, make_code):
    with pytest.raises(PseudopotentialError, match=r"'SSSP/1\.3/PBEsol/efficiency'"):
        refiner.check(make_code(), ELEMENTS, RefinerSettings('fast'))
    with pytest.raises(PseudopotentialError, match='no pseudopotential of N'):
        refiner.check(make_code(), ELEMENTS | {'N'}, RefinerSettings('fast', OURS))


def test_cutoffs_may_stand_in_the_overrides(refiner, make_family, make_code):
    make_family('bare', cutoffs=False, Si='PBE', C='PBE')
    overrides = {'pseudo_family': 'bare', 'pw': {'parameters': {'SYSTEM': {'ecutwfc': 30, 'ecutrho': 240}}}}
    refiner.check(make_code(), ELEMENTS, RefinerSettings('fast', overrides))
    with pytest.raises(PseudopotentialError, match='recommends no cutoffs'):
        refiner.check(make_code(), ELEMENTS, RefinerSettings('fast', {'pseudo_family': 'bare'}))


def test_functionals_that_differ_between_the_steps(refiner, mine, make_family, make_code):
    make_family('other', Si='PBESOL', C='PBESOL')
    overrides = OURS | {'base_relax': {'pseudo_family': 'other'}}
    with pytest.raises(FunctionalError, match=r'C of other: PBEsol, Si of other: PBEsol, C of mine: PBE'):
        refiner.check(make_code(), ELEMENTS, RefinerSettings('fast', overrides))


def test_a_code_for_something_else(refiner, mine, make_code):
    with pytest.raises(CodeError, match=r'The code pw@localhost runs core\.arithmetic\.add: give one that runs'):
        refiner.check(make_code(plugin='core.arithmetic.add'), ELEMENTS, RefinerSettings('fast', OURS))


def test_a_code_without_executable(refiner, mine, make_code, tmp_path):
    with pytest.raises(CodeError, match=r"pw@localhost has no executable '.*/pw\.x' on localhost"):
        refiner.check(make_code(tmp_path / 'pw.x'), ELEMENTS, RefinerSettings('fast', OURS))


def test_a_computer_that_is_not_configured(refiner, mine, make_code, tmp_path):
    computer = orm.Computer('far', 'far.invalid', '', 'core.ssh', 'core.slurm', str(tmp_path)).store()
    with pytest.raises(CodeError, match="The computer 'far' of the code pw@far is not configured or not enabled"):
        refiner.check(make_code(computer=computer), ELEMENTS, RefinerSettings('fast', OURS))


def test_results(refiner, silicon_carbide):
    relaxed = silicon_carbide.clone()
    trajectory = orm.ArrayData({'forces': np.array([[[9.0, 0, 0], [0, 0, 0]], [[0, 0.3, 0.4], [0, 0, 0.1]]])})
    nodes = {'structure': relaxed, 'results': orm.Dict({'energy': -300.0}), 'trajectory': trajectory}
    refined = refiner.read(nodes, silicon_carbide)
    assert refined.energy_per_atom == -150.0
    assert refined.max_force == pytest.approx(0.5)
    assert len(refined.structure) == 2


def test_results_without_forces_or_structure(refiner, silicon_carbide):
    refined = refiner.read({'results': orm.Dict({'energy': -300.0})}, silicon_carbide)
    assert refined.max_force is None
    assert refined.structure.volume == pytest.approx(silicon_carbide.get_cell_volume())


@pytest.mark.parametrize('results', [None, {'volume': 1.0}])
def test_results_without_energy(refiner, silicon_carbide, results):
    nodes = {} if results is None else {'results': orm.Dict(results)}
    with pytest.raises(RefinerError, match='left no energy'):
        refiner.read(nodes, silicon_carbide)
