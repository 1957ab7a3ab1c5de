"""The command that hands structures to DFT."""

from __future__ import annotations

import json
import shutil

import pytest

SETUP = """
import json, pathlib, tempfile
from aiida import load_profile, orm
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily
load_profile()
a = 5.43 / 2
silicon = orm.StructureData(cell=[[0, a, a], [a, 0, a], [a, a, 0]])
silicon.append_atom(position=(0, 0, 0), symbols='Si')
silicon.append_atom(position=(a / 2, a / 2, a / 2), symbols='Si')
tin = orm.StructureData(cell=[[5, 0, 0], [0, 5, 0], [0, 0, 5]])
tin.append_atom(position=(0, 0, 0), symbols='Sn')
directory = pathlib.Path(tempfile.mkdtemp())
real = pathlib.Path('/usr/share/espresso/pseudo/Si.pbe-nl-rrkjus_psl.1.0.0.UPF')
header = '<UPF version="2.0.1"><PP_HEADER element="{}" z_valence="4.0" functional="{}"/></UPF>'
(directory / 'Si.upf').write_text(real.read_text() if real.is_file() else header.format('Si', 'PBE'))
(directory / 'C.upf').write_text(header.format('C', 'PBESOL'))
family = CutoffsPseudoPotentialFamily.create_from_folder(directory, 'mine', pseudo_type=UpfData)
family.set_cutoffs({element: {'cutoff_wfc': 30, 'cutoff_rho': 240} for element in ('Si', 'C')}, 'standard', unit='Ry')
carbide = silicon.clone()
carbide.clear_sites()
carbide.clear_kinds()
carbide.append_atom(position=(0, 0, 0), symbols='Si')
carbide.append_atom(position=(a / 2, a / 2, a / 2), symbols='C')
computer = orm.load_computer('localhost')
programs = {'failing': '/bin/false', 'missing': '/nothing/pw.x', 'real': PROGRAM}
for label, program in programs.items():
    orm.InstalledCode(
        label=label, computer=computer, filepath_executable=program, default_calc_job_plugin='quantumespresso.pw',
        with_mpi=False, prepend_text='export OMP_NUM_THREADS=1',
    ).store()
nodes = {'silicon': silicon.store(), 'tin': tin.store(), 'carbide': carbide.store(), 'number': orm.Int(1).store()}
print(json.dumps({name: node.pk for name, node in nodes.items()}))
"""


@pytest.fixture(scope='module')
def nodes(used_cli, prediction):
    """Set up codes, pseudopotentials and structures; return the primary keys of the structures."""
    program = shutil.which('pw.x') or '/bin/false'
    completed = used_cli(script=SETUP.replace('PROGRAM', repr(program)))
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.splitlines()[-1])


def ours(*arguments, code='failing@localhost'):
    return ('refine', '--code', code, '--pseudo-family', 'mine', '--protocol', 'fast', *arguments)


def test_help(used_cli):
    completed = used_cli('refine', '--help')
    assert completed.returncode == 0
    for option in ('--code', '--top', '--protocol', '--pseudo-family', '--overrides', '--refiner', '--no-reuse'):
        assert option in completed.stdout


def test_defaults_are_those_of_the_work_chain():
    from aiida_alphacrystal.cli.refine import cmd_refine
    from aiida_alphacrystal.refiners import DEFAULT_REFINER
    from aiida_alphacrystal.workchains.refine import DEFAULT_TOP

    defaults = {option.name: option.default for option in cmd_refine.params}
    assert (defaults['refiner'], defaults['top'], defaults['reuse']) == (DEFAULT_REFINER, DEFAULT_TOP, True)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('refine', '{silicon}'), "Missing option '--code'"),
        (('refine', '--code', 'failing@localhost'), "Missing argument 'PK|UUID...'"),
        (ours('{silicon}', code='nothing@localhost'), "There is no code 'nothing@localhost'"),
        (ours('{silicon}', code='missing@localhost'), "has no executable '/nothing/pw.x' on localhost"),
        (ours('99999999'), "There is no node '99999999'"),
        (ours('{number}'), 'is a Int: give one prediction, or one or more structures'),
        (ours('{tin}'), "The family 'mine' has no pseudopotential of Sn"),
        (ours('{carbide}'), 'different functionals (C of mine: PBEsol, Si of mine: PBE)'),
        (ours('{silicon}', '{tin}'), "The family 'mine' has no pseudopotential of Sn"),
        (ours('{silicon}', '{carbide}', '--overrides', '{functional}'), 'different functionals'),
        (ours('{silicon}', '--protocol', 'slow'), "has no protocol 'slow'"),
        (ours('{silicon}', '--refiner', 'nothing'), "The refiner 'nothing' needs a work chain of that name"),
        (ours('{silicon}', '--overrides', '{unknown}'), 'Unknown override tea'),
        (ours('{silicon}', '--overrides', '{list}'), 'are no dictionary'),
        (ours('{silicon}', '--overrides', '{broken}'), 'line 2 are neither YAML nor JSON'),
        (ours('{silicon}', '--overrides', 'nothing.yaml'), 'does not exist'),
        (ours('{silicon}', '--top', '0'), 'from 1 to'),
        (ours('{silicon}', '--daemon', '--output', 'cifs'), '--output needs the result'),
        (('refine', '{silicon}', '--code', 'failing@localhost'), "no family of pseudopotentials 'SSSP/1.3/PBEsol"),
    ],
)
def test_bad_input(used_cli, nodes, tmp_path, arguments, message):
    texts = {'unknown': 'tea: 1\n', 'list': '[1, 2]\n', 'broken': 'a: 1\n}b\n', 'functional': '{}'}
    files = {name: tmp_path / f'{name}.yaml' for name in texts}
    for name, text in texts.items():
        files[name].write_text(text, encoding='utf-8')
    completed = used_cli(*(str(argument).format(**nodes, **files) for argument in arguments))
    assert completed.returncode == 2, completed.stdout
    assert completed.stdout == ''
    assert completed.stderr.startswith('Error: ')
    assert completed.stderr.count('\n') == 1
    assert message in completed.stderr


def test_a_failure(used_cli, nodes):
    completed = used_cli(*ours(nodes['silicon']))
    assert completed.returncode == 1
    assert completed.stdout == ''
    lines = completed.stderr.splitlines()
    assert lines[0] == '1/1 Relaxing with DFT'
    assert 'failed with exit code 430 (None of the structures could be refined. structure_01: ' in lines[-1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('pw.x') is None, reason='no pw.x is installed')
def test_energies_of_quantum_espresso(used_cli, nodes, tmp_path):
    rough = tmp_path / 'rough.yaml'
    rough.write_text('kpoints_distance: 0.8\nmeta_convergence: false\n', encoding='utf-8')
    command = ours(nodes['silicon'], '--overrides', rough, '--output', tmp_path, code='real@localhost')
    completed = used_cli(*command, '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    result = json.loads(completed.stdout)
    assert [row['spacegroup_symbol'] for row in result['refined']] == ['Fd-3m']
    assert result['failed'] == []
    assert [path.name for path in tmp_path.glob('*.cif')] == ['Si_rank_01_dft.cif']

    shown = used_cli('show', result['pk'], '--format', 'json')
    assert shown.stdout == completed.stdout
    table = used_cli('show', result['pk']).stdout
    assert f'{result["refined"][0]["energy_per_atom"]:.4f}' in table
    assert 'Refined by quantumespresso.pw.relax with real@localhost, protocol fast' in table

    again = used_cli(*command)  # nothing is left to calculate
    assert again.returncode == 0, again.stderr
    assert f'{result["refined"][0]["energy_per_atom"]:.4f}' in again.stdout
