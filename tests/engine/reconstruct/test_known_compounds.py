"""Tests of the known compounds of a chemical system."""

import dataclasses

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from aiida_alphacrystal.engine.reconstruct.known_compounds import known_compounds


def test_every_compound_is_its_own_crystal_again(library, crystals):
    for crystal in crystals:
        if len(set(crystal.species)) == 1:
            continue
        found = known_compounds(library, crystal.species)
        own = [one for one in found if one.formula == crystal.to_structure().composition.reduced_formula]
        assert own, crystal.material_id
        assert own[0].structure.volume / len(own[0].structure) == pytest.approx(
            crystal.volume / crystal.natoms, rel=1e-3
        )
        assert any(StructureMatcher().fit(one.structure, crystal.to_structure()) for one in own), crystal.material_id


def test_compounds_of_fewer_elements_count_and_elements_do_not(library):
    found = known_compounds(library, ['Cl', 'Na', 'O', 'Ti', 'Sr', 'Xe'])
    formulas = [one.formula for one in found]
    assert formulas == sorted(formulas)
    assert {'NaCl', 'SrTiO3'} <= set(formulas)
    assert all(len(one.structure.composition) > 1 for one in found)
    assert known_compounds(library, ['Na']) == ()
    assert [one.formula for one in known_compounds(library, ['Na', 'Cl'])] == ['NaCl']
    assert known_compounds(library, ['Xe', 'Rn']) == ()


def test_what_is_far_above_the_hull_is_left_out(library):
    count = len(library.member_hulls)
    assert known_compounds(dataclasses.replace(library, member_hulls=np.full(count, 0.2)), ['Na', 'Cl']) == ()


def test_two_polymorphs_at_most_the_most_stable_first(library):
    """Four copies of NaCl with different volumes and energies."""
    member = next(row for row, one in enumerate(library.member_elements.tolist()) if set(one) == {11, 17, 0})
    rows = np.append(np.arange(len(library.member_hulls)), [member] * 3)
    hulls = np.zeros(len(rows))
    hulls[[member, -3, -2, -1]] = [0.05, 0.03, 0.01, 0.02]
    volumes = library.member_volumes[rows].copy()
    volumes[[-3, -2, -1]] = [30.0, 31.0, 32.0]
    more = dataclasses.replace(
        library,
        member_prototypes=library.member_prototypes[rows],
        member_elements=library.member_elements[rows],
        member_volumes=volumes,
        member_hulls=hulls,
    )
    found = known_compounds(more, ['Na', 'Cl'])
    assert [one.structure.volume / len(one.structure) for one in found] == pytest.approx([31.0, 32.0])
