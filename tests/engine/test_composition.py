"""Tests of the formula parser."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.engine.composition import Formula, formula_from_counts, parse_formula, reduced_counts
from aiida_alphacrystal.engine.errors import FormulaError, TooManyAtomsError


@pytest.mark.parametrize(
    ('text', 'elements', 'counts', 'formula_units'),
    [
        ('SrTiO3', ('Sr', 'Ti', 'O'), (1, 1, 3), None),
        ('SrTiO₃', ('Sr', 'Ti', 'O'), (1, 1, 3), None),
        ('  NaCl ', ('Na', 'Cl'), (1, 1), None),
        ('ClNa', ('Na', 'Cl'), (1, 1), None),
        ('Al4O6', ('Al', 'O'), (2, 3), 2),
        ('Ca(OH)2', ('Ca', 'H', 'O'), (1, 2, 2), None),
        ('Ca[Al(OH)2]2', ('Ca', 'Al', 'H', 'O'), (1, 2, 4, 4), None),
        ('CH3OH', ('H', 'C', 'O'), (4, 1, 1), None),
        ('Si2', ('Si',), (1,), 2),
        ('XeF2', ('Xe', 'F'), (1, 2), None),
        ('HeNe', ('He', 'Ne'), (1, 1), None),
    ],
)
def test_formula_is_read(text, elements, counts, formula_units):
    assert parse_formula(text) == Formula(elements, counts, formula_units)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'empty'),
        ('   ', 'empty'),
        ('nacl', 'lower-case'),
        ('NaCl2x', 'lower-case'),
        ('Xx', "'Xx' is not a chemical element"),
        ('D2O', 'isotope'),
        ('T2', 'isotope'),
        ('2H2O', 'must follow an element'),
        ('Na+', 'Charges'),
        ('O-2', 'Charges'),
        ('Fe^3', 'Charges'),
        ('Na0.5Cl', 'Fractional'),
        ('NaCl.5', 'Fractional'),
        ('(NaCl)0.5', 'Fractional'),
        ('Na0Cl', 'positive'),
        ('(NaCl)0', 'positive'),
        ('(NaCl', 'brackets'),
        ('NaCl)', 'brackets'),
        ('(NaCl]', 'brackets'),
        ('()', 'brackets'),
        ('Na Cl', 'not part of a formula'),
        ('Na٣', 'not part of a formula'),
        ('CuSO4·5H2O', 'not part of a formula'),
        ('NaCl;rm', 'not part of a formula'),
    ],
)
def test_bad_formula_gives_one_sentence(text, reason):
    with pytest.raises(FormulaError, match=reason) as error:
        parse_formula(text)
    assert '\n' not in str(error.value)
    assert str(error.value).endswith('.')


@pytest.mark.parametrize('text', ['C60', 'Al2O3' * 5, 'NaCl' + '9' * 30])
def test_too_many_atoms(text):
    with pytest.raises(TooManyAtomsError, match='more than the limit of 20'):
        parse_formula(text)
    assert parse_formula('C60', max_atoms=60).formula_units == 60


@pytest.mark.parametrize('amount', [0, -1, 0.5, math.inf, math.nan, True, '2', None])
def test_bad_amounts(amount):
    with pytest.raises(FormulaError, match='The amount of Na'):
        formula_from_counts({'Na': amount})


def test_composition_fixes_the_cell_where_told():
    assert formula_from_counts({'Na': 1, 'Cl': 1}).formula_units is None
    assert formula_from_counts({'Na': 1, 'Cl': 1}, fix_cell=True).formula_units == 1
    assert formula_from_counts({'Na': 4.0, 'Cl': 4.0}) == Formula(('Na', 'Cl'), (1, 1), 4)
    with pytest.raises(FormulaError, match='empty'):
        formula_from_counts({})


def test_labels_and_species():
    formula = parse_formula('Al4O6')
    assert formula.reduced == 'Al2O3'
    assert formula.label == 'Al4O6'
    assert formula.cell_formula(1) == 'Al2O3'
    assert formula.species(2) == ('Al',) * 4 + ('O',) * 6
    assert formula.allowed_formula_units(20) == (2,)
    assert parse_formula('SrTiO3').allowed_formula_units(20) == (1, 2, 3, 4)


@given(
    st.dictionaries(st.sampled_from(['H', 'Li', 'C', 'O', 'Na', 'Cl', 'Fe', 'U']), st.integers(1, 9), min_size=1),
)
def test_text_and_counts_agree(counts):
    text = ''.join(f'{symbol}{count}' for symbol, count in counts.items())
    formula = parse_formula(text, max_atoms=100)
    assert formula == formula_from_counts(counts, max_atoms=100)
    units = formula.formula_units or 1
    assert {symbol: count * units for symbol, count in zip(formula.elements, formula.counts, strict=True)} == counts
    assert math.gcd(*formula.counts) == 1


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(FormulaError):
        assert 1 <= parse_formula(text).atoms_per_unit <= 20


@pytest.mark.parametrize(
    ('counts', 'reduced'), [((4, 6), (2, 3)), ([1, 3], (1, 3)), ((8,), (1,)), ((6, 12, 18), (1, 2, 3))]
)
def test_counts_are_reduced(counts, reduced):
    assert reduced_counts(counts) == reduced
