"""Tests of the lists of compounds."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine import formula_lists
from aiida_alphacrystal.engine.errors import AlphaCrystalError, FormulaError
from aiida_alphacrystal.engine.formula_lists import (
    charges_can_balance,
    is_chemical_system,
    parse_chemical_system,
    read_formula_file,
    read_formula_lines,
)


def labels(found):
    return [formula.label for formula in found.formulas]


def test_text():
    lines = ['# perovskites', '', 'SrTiO3', '  TiO₂  # rutile', 'Ca(OH)2', 'Al4O6']
    assert labels(read_formula_lines(lines, 'list')) == ['SrTiO3', 'TiO2', 'CaH2O2', 'Al4O6']


@pytest.mark.parametrize(
    'lines',
    [
        ['id,formula,note', '1,NaCl,"salt, common"', '2,MgO,'],
        ['Formula;id', 'NaCl;1', 'MgO;2'],
        ['NaCl,1', 'MgO,2'],
        ['mp-1\tpretty_formula', 'x\tNaCl', 'y\tMgO'],
        ['pretty_formula', 'NaCl', 'MgO'],
    ],
)
def test_tables(lines):
    assert labels(read_formula_lines(lines, 'list')) == ['NaCl', 'MgO']


def test_a_compound_is_taken_once_but_its_multiple_is_another():
    found = read_formula_lines(['NaCl', 'ClNa', 'Na2Cl2', 'NaCl'], 'list')
    assert (labels(found), found.repeated) == (['NaCl', 'Na2Cl2'], 2)


def test_every_bad_line_is_named():
    with pytest.raises(FormulaError) as caught:
        read_formula_lines(['NaCl', 'nacl', '', 'Xx', 'MgO', 'Na+'], 'list.txt')
    first, *lines = str(caught.value).splitlines()
    assert first == '3 lines of list.txt cannot be used:'
    assert [line.split(':')[0] for line in lines] == ['  line 2', '  line 4', '  line 6']


def test_one_bad_line():
    with pytest.raises(FormulaError, match=r"^list.txt, line 2: 'Xx' is not a chemical element"):
        read_formula_lines(['NaCl', 'Xx'], 'list.txt')


def test_only_the_first_bad_lines_are_told():
    with pytest.raises(FormulaError) as caught:
        read_formula_lines(['Xx'] * 25, 'list.txt')
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == '  and 5 more'


def test_check_of_the_caller():
    def refuse(formula):
        if 'Na' in formula.elements:
            raise AlphaCrystalError('No sodium here.')

    with pytest.raises(FormulaError, match=r'^list, line 2: No sodium here\.$'):
        read_formula_lines(['MgO', 'NaCl'], 'list', refuse)


@pytest.mark.parametrize('lines', [[], ['# nothing', ''], ['formula']])
def test_no_formula(lines):
    with pytest.raises(FormulaError, match='list holds no formula'):
        read_formula_lines(lines, 'list')


def test_too_many(monkeypatch):
    monkeypatch.setattr(formula_lists, 'MAX_FORMULAS', 2)
    with pytest.raises(FormulaError, match='list holds 3 formulas: split it, 2 can be screened at once'):
        read_formula_lines(['NaCl', 'MgO', 'CaO'], 'list')


def test_file(tmp_path):
    path = tmp_path / 'list.csv'
    path.write_text('\ufeffformula\nNaCl\n', encoding='utf-8')
    assert labels(read_formula_file(path)) == ['NaCl']
    path.write_bytes(b'\xff\xfe\x00N')
    with pytest.raises(FormulaError, match='is no text in UTF-8'):
        read_formula_file(path)
    with pytest.raises(FormulaError, match=r'cannot be read \(No such file or directory\)'):
        read_formula_file(tmp_path / 'nothing')


@given(st.lists(st.text(alphabet='NaClMgO(2)3,;#\t "', max_size=12), max_size=6))
def test_any_text_gives_formulas_or_one_error(lines):
    try:
        found = read_formula_lines(lines, 'list')
    except FormulaError:
        return
    assert len(set(found.formulas)) == len(found.formulas)
    assert found.repeated >= 0


@pytest.mark.parametrize('text', ['Li-Fe-P-O', 'Na-Cl', 'Li:1-3-Fe-P:1-O:2-8', ' Na-Cl '])
def test_written_like_a_system(text):
    assert is_chemical_system(text)


@pytest.mark.parametrize('text', ['NaCl', 'Na', '', 'Na-', 'na-Cl', 'Na-Cl.txt', 'Na--Cl', 'Na:-2-Cl'])
def test_not_written_like_a_system(text):
    assert not is_chemical_system(text)
    with pytest.raises(FormulaError, match='is no chemical system'):
        parse_chemical_system(text)


def test_amounts_of_a_system():
    system = parse_chemical_system('Li:1-3-Fe-P:1-O:2-8')
    assert system.amounts == {'Li': (1, 3), 'Fe': (1, None), 'P': (1, 1), 'O': (2, 8)}
    assert str(system) == 'Li:1-3-Fe-P:1-O:2-8'


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('Li-Li', 'names Li twice'),
        ('Xx-O', "'Xx' is not a chemical element"),
        ('D-O', 'D is an isotope'),
        ('Li:0-2-O', 'wants Li:0-2'),
        ('Li:3-1-O', 'wants Li:3-1'),
    ],
)
def test_bad_systems(text, sentence):
    with pytest.raises(FormulaError, match=sentence):
        parse_chemical_system(text)


def test_all_compositions_of_a_system():
    found = parse_chemical_system('Na-Cl').compounds(4, balanced=False)
    assert [formula.label for formula in found] == ['NaCl', 'NaCl2', 'Na2Cl', 'NaCl3', 'Na3Cl']


@pytest.mark.parametrize('max_atoms', [4, 7, 12])
def test_enumeration_is_complete(max_atoms):
    elements = ('Li', 'Mn', 'O')
    brute = {
        counts
        for counts in itertools.product(range(1, max_atoms), repeat=3)
        if sum(counts) <= max_atoms and math.gcd(*counts) == 1
    }
    system = parse_chemical_system('Li-Mn-O')
    assert {formula.counts for formula in system.compounds(max_atoms, balanced=False)} == brute
    balanced = {formula.counts for formula in system.compounds(max_atoms)}
    assert balanced == {counts for counts in brute if charges_can_balance(elements, counts)}


def test_ranges_bound_the_amounts():
    found = parse_chemical_system('Li:1-2-O:1').compounds(12, balanced=False)
    assert [formula.label for formula in found] == ['LiO', 'Li2O']


def test_known_compounds_are_among_those_that_balance():
    labels = [formula.label for formula in parse_chemical_system('Li-Fe-P-O').compounds()]
    assert 'LiFePO4' in labels
    assert 'LiFePO12' not in labels
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ('elements', 'counts', 'expected'),
    [
        (('Na', 'Cl'), (1, 1), True),
        (('Na', 'Cl'), (2, 1), False),
        (('Fe', 'O'), (2, 3), True),
        (('Fe', 'O'), (3, 4), True),
        (('Li', 'Mn', 'O'), (1, 1, 2), True),
        (('Fe', 'O'), (1, 2), False),
        (('P', 'O'), (2, 5), True),
        (('P', 'O'), (1, 2), False),  # one valence for all atoms of a nonmetal
        (('He', 'O'), (1, 1), False),
        (('Cu', 'Au'), (3, 1), True),
    ],
)
def test_charges(elements, counts, expected):
    assert charges_can_balance(elements, counts) is expected


def test_systems_that_are_too_small_or_too_large():
    with pytest.raises(FormulaError, match='has no composition of at most 2 atoms whose charges can balance'):
        parse_chemical_system('Na-O').compounds(2)
    with pytest.raises(FormulaError, match='has no composition of at most 2 atoms: allow more atoms or wider ranges'):
        parse_chemical_system('Na:2-O:2').compounds(2, balanced=False)
    with pytest.raises(FormulaError, match='Formula units of 21 atoms are too large'):
        parse_chemical_system('Na-O').compounds(21)
    with pytest.raises(FormulaError, match='more than 10,000'):
        parse_chemical_system('Li-Na-Fe-P-O-F').compounds(20, balanced=False)
