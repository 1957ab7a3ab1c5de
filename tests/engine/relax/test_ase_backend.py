"""Calculators of ASE as potentials: named by import path, recorded, refused, and evaluated as ASE does."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from aiida_alphacrystal.engine.errors import PotentialError, UnsupportedElementError
from aiida_alphacrystal.engine.relax import (
    PotentialFiles,
    load_potential,
    potentials,
    relax_structures,
    resolve_potential,
)
from aiida_alphacrystal.engine.relax.ase_calculators import CALCULATOR_FILE, calculator_files
from aiida_alphacrystal.engine.relax.references import compute_references
from aiida_alphacrystal.engine.settings import RelaxSettings

EMT_NAME = 'ase:ase.calculators.emt:EMT'
LJ = {'calculator': 'ase.calculators.lj:LennardJones', 'arguments': {'sigma': 2.3, 'epsilon': 0.4, 'rc': 6.0}}

#: A module of a user. What is called leaves its name in ``CALLED``.
MODULE = """
from __future__ import annotations

import functools

import ase.calculators.lj as lj
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

CALLED = []


def annotated(scale: float = 1.0) -> EMT:
    CALLED.append('annotated')
    return EMT()


def dotted() -> lj.LennardJones:
    return lj.LennardJones(sigma=2.3, epsilon=0.4, rc=6.0)


@functools.wraps(annotated)
def wrapped(*args, **kwargs):
    return annotated(*args, **kwargs)


def bare():
    CALLED.append('bare')


def number() -> int:
    CALLED.append('number')


def evaluated() -> CALLED.append('evaluated'):
    CALLED.append('evaluated')


def liar() -> EMT:
    return 5


class Unrelated:
    def __init__(self):
        CALLED.append('Unrelated')


class NoStress(Calculator):
    implemented_properties = ['energy', 'forces']


class OnDevice(EMT):
    def __init__(self, device):
        super().__init__()
        CALLED.append(device)


class Wrong(EMT):
    def __init__(self, forces=1.0, stress=1.0, energy=1.0):
        super().__init__()
        self.factors = {'forces': forces, 'stress': stress, 'energy': energy}

    def calculate(self, atoms=None, properties=('energy',), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {key: value * self.factors.get(key, 1.0) for key, value in self.results.items()}
"""


@pytest.fixture(scope='module')
def emt():
    return load_potential(resolve_potential(EMT_NAME).files)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the import path of a module of a user that is freshly imported."""
    (tmp_path / 'my_calculators.py').write_text(MODULE, encoding='utf-8')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'my_calculators', raising=False)
    monkeypatch.setattr(potentials, '_LOADED', {})
    yield 'my_calculators'
    sys.modules.pop('my_calculators', None)


@pytest.fixture
def write(tmp_path):
    def write(document):
        path = tmp_path / 'calculator.json'
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding='utf-8')
        return str(path)

    return write


@pytest.fixture
def metals():
    """Return distorted crystals of different sizes and elements."""
    rng = np.random.default_rng(3)
    crystals = []
    for symbols in (['Cu'], ['Cu', 'Au'], ['Al', 'Ni', 'Al'], ['Cu', 'Cu']):
        matrix = Lattice.cubic(2.6 * len(symbols) ** (1 / 3)).matrix + rng.normal(0, 0.1, (3, 3))
        crystals.append(Structure(matrix, symbols, rng.uniform(-0.05, 0.05, (len(symbols), 3)) + _spread(len(symbols))))
    return crystals


def _spread(atoms):
    return np.arange(atoms)[:, None] * np.ones(3) / atoms


def changed(potential, /, **changes):
    """Return the record of a calculator with other values."""
    document = json.loads(potential.files[CALCULATOR_FILE]) | changes
    return PotentialFiles(potential.name, potential.kind, {CALCULATOR_FILE: json.dumps(document).encode()})


@pytest.mark.parametrize('which', ['emt', 'lj'])
def test_says_what_ase_says(which, emt, write, metals):
    lennard_jones = which == 'lj'
    potential = load_potential(resolve_potential(write(LJ)).files) if lennard_jones else emt
    evaluation = potential.evaluate(metals)
    for row, crystal in enumerate(metals):
        atoms = AseAtomsAdaptor.get_atoms(crystal)
        atoms.calc = LennardJones(sigma=2.3, epsilon=0.4, rc=6.0) if lennard_jones else EMT()
        assert evaluation.energies[row] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
        np.testing.assert_allclose(evaluation.forces[row], atoms.get_forces(), rtol=0, atol=1e-10)
        xx, yy, zz, yz, xz, xy = atoms.get_stress()
        expected = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
        np.testing.assert_allclose(evaluation.stresses[row], expected, rtol=0, atol=1e-10)
    assert np.abs(evaluation.forces[2]).max() > 0.1
    assert np.ptp(evaluation.stresses[1]) > 0.01


def test_order_and_company_change_no_bit(emt, metals):
    together, backwards = emt.evaluate(metals), emt.evaluate(metals[::-1])
    assert together.energies.tolist() == backwards.energies[::-1].tolist()
    assert together.stresses.tolist() == backwards.stresses[::-1].tolist()
    assert emt.evaluate(metals[:1]).energies[0] == together.energies[0]
    assert emt.evaluate([]).energies.shape == (0,)


def test_chgnet_through_ase_is_chgnet(chgnet, distorted):
    through_ase = load_potential(resolve_potential('ase:chgnet.model.dynamics:CHGNetCalculator').files)
    one, two = through_ase.evaluate(distorted), chgnet.evaluate(distorted)
    np.testing.assert_allclose(one.energies, two.energies, atol=1e-4)
    np.testing.assert_allclose(one.stresses, two.stresses, atol=1e-4)
    for first, second in zip(one.forces, two.forces, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-3)
    assert through_ase.version == chgnet.version


def test_facts(emt):
    from importlib.metadata import version

    assert emt.facts == {
        'name': 'emt',
        'kind': 'ase',
        'sha256': resolve_potential(EMT_NAME).files.sha256,
        'convention': 'none',
        'version': f'ase {version("ase")}',
        'corrections': 'none',
    }
    assert load_potential(resolve_potential(EMT_NAME).files) is emt


def test_elements_are_those_that_can_be_evaluated(emt):
    assert emt.elements == {'Ag', 'Al', 'Au', 'C', 'Cu', 'H', 'N', 'Ni', 'O', 'Pd', 'Pt'}
    with pytest.raises(UnsupportedElementError, match='The potential emt does not know Cl, Na'):
        emt.check_elements({'Na', 'Cl', 'Cu'})


def test_declared_elements(write):
    files = resolve_potential(write({**LJ, 'elements': ['Cu', 'Au', 'Cu']})).files
    assert load_potential(files).elements == {'Au', 'Cu'}
    assert json.loads(files.files[CALCULATOR_FILE])['elements'] == ['Au', 'Cu']


def test_declared_element_that_fails_is_a_reason(write):
    files = resolve_potential(write({'calculator': EMT_NAME[4:], 'elements': ['Cu', 'Al', 'Na']})).files
    crystals = [Structure(Lattice.cubic(3), [symbol], [[0, 0, 0]]) for symbol in ('Na', 'Cu')]
    sodium, copper = relax_structures(crystals, load_potential(files), RelaxSettings(max_steps=1))
    assert sodium.reason.startswith('the potential could not evaluate it (NotImplementedError')
    assert copper.reason is None


def test_relaxed_elements(emt):
    references = compute_references(['Cu', 'Au', 'H', 'C'], emt)
    assert references['Cu'] == pytest.approx(-0.008, abs=2e-3)
    assert references['Au'] == pytest.approx(0.0, abs=2e-3)
    assert np.isfinite(list(references.values())).all()


def test_hash_is_of_what_is_recorded(write, tmp_path):
    base = resolve_potential(write(LJ)).files
    others = [
        {**LJ, 'arguments': {**LJ['arguments'], 'rc': 7.0}},
        {**LJ, 'arguments': {}},
        {**LJ, 'elements': ['Ar']},
        {**LJ, 'calculator': 'ase.calculators.morse:MorsePotential'},
    ]
    hashes = {resolve_potential(write(other)).files.sha256 for other in others}
    assert len(hashes | {base.sha256, changed(base, version='3.0').sha256}) == 6
    shuffled = {'name': 'mine', 'arguments': dict(reversed(LJ['arguments'].items())), 'calculator': LJ['calculator']}
    renamed = resolve_potential(write(shuffled)).files
    assert renamed.sha256 == base.sha256
    assert (renamed.name, base.name) == ('mine', 'lennardjones')
    assert resolve_potential(f' {EMT_NAME} ').files == calculator_files('ase.calculators.emt:EMT')


def test_files_among_the_arguments(module, tmp_path, write):
    weights = tmp_path / 'weights'
    weights.write_bytes(b'one')
    document = {'calculator': f'{module}:annotated', 'arguments': {'scale': ['weights', 'none']}}
    files = resolve_potential(write(document)).files
    record = json.loads(files.files[CALCULATOR_FILE])
    assert record['arguments'] == {'scale': [str(weights), 'none']}
    assert list(record['files']) == [str(weights)]
    load_potential(files, check=False)
    weights.write_bytes(b'two')
    assert resolve_potential(write(document)).files.sha256 != files.sha256
    with pytest.raises(PotentialError, match=r'weights.* are missing here or differ'):
        load_potential(PotentialFiles('other', files.kind, files.files))
    with pytest.raises(PotentialError, match=r'\(none\) are missing here or differ'):
        load_potential(changed(files, files={}))


@pytest.mark.parametrize('name', ['annotated', 'dotted', 'wrapped', 'OnDevice'])
def test_what_makes_a_calculator_is_accepted(module, name):
    potential = load_potential(resolve_potential(f'ase:{module}:{name}').files)
    assert potential.name == name.lower()
    assert potential.version == 'unknown'


@pytest.mark.parametrize('name', ['bare', 'number', 'evaluated', 'Unrelated', 'CALLED', 'functools'])
def test_what_makes_no_calculator_is_refused_and_not_called(module, name):
    with pytest.raises(PotentialError, match=f'^{module}:{name} is no calculator of ASE: give a class derived from'):
        resolve_potential(f'ase:{module}:{name}')
    foreign = changed(resolve_potential(EMT_NAME).files, calculator=f'{module}:{name}')
    with pytest.raises(PotentialError, match='is no calculator of ASE'):
        load_potential(foreign)
    assert sys.modules[module].CALLED == []


@pytest.mark.parametrize('path', ['os:system', 'subprocess:Popen', 'builtins:exec', 'this:s'])
def test_python_itself_is_not_even_imported(path, tmp_path, monkeypatch):
    module = path.partition(':')[0]
    monkeypatch.delitem(sys.modules, 'this', raising=False)
    with pytest.raises(PotentialError, match='is no calculator of ASE'):
        resolve_potential(f'ase:{path}')
    with pytest.raises(PotentialError, match='is no calculator of ASE'):
        load_potential(changed(resolve_potential(EMT_NAME).files, calculator=path))
    assert module != 'this' or 'this' not in sys.modules


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('ase:', 'is no import path of a calculator: give MODULE:CALLABLE'),
        ('ase:emt', "'emt' is no import path"),
        ('ase:a b:c', 'is no import path'),
        ('ase:a:b:c', 'is no import path'),
        ('ase:no_such_package.inside:Thing', 'The module no_such_package.inside cannot be imported'),
        ('ase:ase.calculators.emt:Nothing', 'The module ase.calculators.emt has no Nothing'),
        ('nothing.json', 'The file nothing.json cannot be read'),
        ('a b', 'or for a calculator of ASE ase:MODULE:CALLABLE or a .json file'),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(PotentialError, match=message) as caught:
        resolve_potential(name)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('document', 'message'),
    [
        ('{', 'is no JSON'),
        ('[' * 100_000, 'is no JSON'),
        ('[]', 'describes no potential'),
        ('{}', 'describes no potential'),
        ({'calculator': 5}, '5 is no import path'),
        ({**LJ, 'argument': {}}, 'holds argument: give calculator, arguments, elements and name only'),
        ({**LJ, 'arguments': [1]}, 'no JSON object'),
        ('{"calculator": "ase.calculators.emt:EMT", "arguments": {"x": NaN}}', 'cannot be written as JSON'),
        ({**LJ, 'elements': 'Cu'}, 'no list of symbols'),
        ({**LJ, 'elements': []}, 'no list of symbols'),
        ({**LJ, 'elements': ['Cu', 'Xx']}, 'is said to know Xx'),
        ({**LJ, 'name': 'a/b'}, "'a/b' is no name of a potential"),
        ({**LJ, 'name': 3}, '3 is no name of a potential'),
        ({**LJ, 'arguments': {'deep': [{'Command': 'rm'}]}}, 'may not bring along a command'),
        ({**LJ, 'arguments': {'model': 'https://example.org/model'}}, 'is an address'),
    ],
)
def test_bad_files(write, document, message):
    with pytest.raises(PotentialError, match=message) as caught:
        resolve_potential(write(document))
    assert '\n' not in str(caught.value)


def test_nesting_beyond_reason(write):
    document = '{"calculator": "ase.calculators.emt:EMT", "arguments": {"x": ' + '[' * 5000 + ']' * 5000 + '}}'
    with pytest.raises(PotentialError, match='JSON'):
        resolve_potential(write(document))


def test_other_version(emt):
    files = changed(resolve_potential(EMT_NAME).files, version='3.0.0')
    with pytest.raises(PotentialError) as caught:
        load_potential(files)
    here = emt.version
    assert str(caught.value) == (
        f'The potential emt was recorded with ase 3.0.0, but here {here} gives ase.calculators.emt:EMT: '
        'install that version, or name the potential anew.'
    )


def test_other_source(module, tmp_path):
    files = resolve_potential(f'ase:{module}:annotated').files
    (tmp_path / 'my_calculators.py').write_text(f'{MODULE}\n# changed\n', encoding='utf-8')
    with pytest.raises(PotentialError, match='is another one than the potential annotated was recorded with'):
        load_potential(files)


def test_module_that_is_missing_where_it_is_loaded():
    foreign = changed(resolve_potential(EMT_NAME).files, calculator='no_such_package:Thing')
    with pytest.raises(PotentialError, match=r"cannot be imported \(No module named 'no_such_package'\): install"):
        load_potential(foreign)


@pytest.mark.parametrize('source', ['raise RuntimeError("broken")', 'raise SystemExit(3)', 'this is no Python'])
def test_module_that_cannot_be_imported(source, tmp_path, monkeypatch):
    (tmp_path / 'broken_calculators.py').write_text(source, encoding='utf-8')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PotentialError, match='The module broken_calculators cannot be imported'):
        resolve_potential('ase:broken_calculators:Thing')


@pytest.mark.parametrize(
    'content',
    [b'', b'[]', b'{}', b'5', b'{"elements": null, "tea": 1}', b'{"elements": "Cu"}'],
)
def test_damaged_record(content):
    with pytest.raises(PotentialError, match=r'calculator\.json of the potential mine is missing or damaged'):
        load_potential(PotentialFiles('mine', 'ase', {CALCULATOR_FILE: content}))
    with pytest.raises(PotentialError, match='is missing or damaged'):
        load_potential(PotentialFiles('mine', 'ase', {}))


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('files', 5, 'is missing or damaged'),
        ('arguments', 5, 'no JSON object'),
        ('calculator', 5, 'no import path'),
        ('arguments', {'command': 'rm'}, 'may not bring along a command'),
        ('arguments', {'tea': 1}, r'cannot be made \(TypeError: '),
    ],
)
def test_record_with_wrong_values(module, key, value, message):
    files = resolve_potential(f'ase:{module}:annotated').files
    with pytest.raises(PotentialError, match=message):
        load_potential(changed(files, **{key: value}))


def test_calculator_that_is_none_or_lacks_stress(module):
    with pytest.raises(PotentialError, match=f'{module}:liar has made no calculator of ASE'):
        load_potential(resolve_potential(f'ase:{module}:liar').files)
    with pytest.raises(PotentialError, match=f'{module}:NoStress gives no stress, which'):
        load_potential(resolve_potential(f'ase:{module}:NoStress').files)


def test_device_reaches_a_calculator_that_asks_for_it(module):
    files = resolve_potential(f'ase:{module}:OnDevice').files
    load_potential(files, device='cpu')
    load_potential(changed(files, arguments={'device': 'mine'}), device='cuda')
    assert sys.modules[module].CALLED == ['cpu', 'mine']


@pytest.mark.parametrize(
    ('factors', 'message'),
    [
        ({'forces': -1.0}, 'eV/A where the forces say'),
        ({'forces': 0.5}, 'eV/A where the forces say'),
        ({'stress': -1.0}, 'eV per strain where the stress says'),
        ({'stress': 160.2}, 'eV per strain where the stress says'),
        ({'energy': 2.0}, 'eV/A where the forces say'),
        ({'forces': 1e999}, 'energy, forces or stress are not numbers'),
    ],
)
def test_derivatives_that_are_none_fail_the_self_test(module, factors, message):
    arguments = {key: value for key, value in factors.items() if np.isfinite(value)}
    files = calculator_files(f'{module}:Wrong', arguments, ['Cu', 'Al'])
    potential = load_potential(files, check=False)
    if not arguments:
        potential._calculator.factors = factors
        from aiida_alphacrystal.engine.relax.derivatives import derivative_failures

        assert derivative_failures(potential) == (message,)
        return
    with pytest.raises(PotentialError, match=f'The potential wrong fails the self-test .*{message}'):
        load_potential(files)


def test_factors_of_one_pass(module):
    assert load_potential(calculator_files(f'{module}:Wrong', {}, ['Cu', 'Al'])).elements == {'Al', 'Cu'}


def test_elements_that_cannot_be_evaluated(module):
    files = calculator_files('ase.calculators.emt:EMT', {}, ['Na', 'Cl'])
    with pytest.raises(PotentialError, match='a small crystal of its elements cannot be evaluated'):
        load_potential(files)
    with pytest.raises(PotentialError, match=r'can evaluate a crystal of no element \(Ac: '):
        load_potential(calculator_files('ase.calculators.eam:EAM'))
