"""Tests of what is asked of a family of pseudopotentials."""

from __future__ import annotations

import pytest

from aiida_alphacrystal.refiners import FunctionalError, PseudopotentialError
from aiida_alphacrystal.refiners.pseudopotentials import check_family, check_functional, functional_of

ELEMENTS = frozenset({'Si', 'C'})


def test_the_pseudopotential_of_every_element(make_family):
    family = make_family('mine', Si='PBE', C='PBE', N='PBE')
    found = check_family('mine', ELEMENTS, needs_cutoffs=True)
    assert {element: pseudo.uuid for element, pseudo in found.items()} == {
        element: family.get_pseudo(element).uuid for element in ELEMENTS
    }


def test_a_family_that_is_not_there(aiida_profile):
    with pytest.raises(PseudopotentialError, match="There is no family of pseudopotentials 'SSSP'"):
        check_family('SSSP', ELEMENTS, needs_cutoffs=True)


def test_elements_that_are_not_there(make_family):
    make_family('mine', Si='PBE')
    with pytest.raises(PseudopotentialError, match="The family 'mine' has no pseudopotential of C, N:"):
        check_family('mine', ELEMENTS | {'N'}, needs_cutoffs=True)


def test_cutoffs_that_are_not_there(make_family):
    make_family('mine', cutoffs=False, Si='PBE', C='PBE')
    with pytest.raises(PseudopotentialError, match="The family 'mine' recommends no cutoffs"):
        check_family('mine', ELEMENTS, needs_cutoffs=True)
    assert set(check_family('mine', ELEMENTS, needs_cutoffs=False)) == ELEMENTS


def test_a_kind_of_family_with_cutoffs_without_any(make_family):
    family = make_family('mine', Si='PBE')
    family.base.extras.clear()
    with pytest.raises(PseudopotentialError, match="The family 'mine' recommends no cutoffs"):
        check_family('mine', frozenset({'Si'}), needs_cutoffs=True)


def test_one_functional_under_several_names(make_family):
    family = make_family('mine', Si='PBE', C='SLA PW PBX PBC', N='SLA  PW   PBE  PBE', O='')
    check_functional({element: family.get_pseudo(element) for element in family.elements})


def test_two_functionals(make_family):
    family = make_family('mine', Si='PBE', C='SLA PW PSX PSC')
    pseudos = {element: family.get_pseudo(element) for element in ('Si', 'C')}
    with pytest.raises(FunctionalError, match=r'different functionals \(Si: PBE, C: PBEsol\)'):
        check_functional(pseudos)


@pytest.mark.parametrize(
    ('content', 'functional'),
    [
        ('<PP_HEADER functional="PBE"/>', 'PBE'),
        ("<PP_HEADER\n functional = ' SLA  PW   PBX  PBC'\n/>", 'PBE'),
        (b'<PP_HEADER functional="SLA-PW-PSX-PSC"/>', 'PBEsol'),
        ('<PP_HEADER functional="PBESOL"/>', 'PBEsol'),
        ('<PP_HEADER functional="SLA PZ NOGX NOGC"/>', 'LDA'),
        ('<PP_HEADER functional="SLA PW TPSS TPSS"/>', 'SLA PW TPSS TPSS'),
        (' SLA  PW   PBX  PBC    PBE  Exchange-Correlation functional\n', 'PBE'),
        (' SLA  PZ   NOGX NOGC   PZ   Exchange-Correlation functional\n', 'LDA'),
        ('<PP_HEADER element="Si"/>', None),
        ('', None),
    ],
)
def test_functional_of_a_file(content, functional):
    assert functional_of(content) == functional
