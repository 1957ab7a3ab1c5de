"""Rows of a prediction that its distances do not tell apart."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.reconstruct.alike import alike_rows, is_sure
from tests.engine.reconstruct.conftest import MONOCLINIC, certain_prediction, spread_prediction


def test_atoms_of_one_orbit_are_alike(rutile, perovskite, certain):
    assert alike_rows(certain(rutile)).kinds.tolist() == [0, 0, 1, 1, 1, 1]
    rows = alike_rows(certain(perovskite))
    assert rows.kinds.tolist() == [0, 1, 2, 2, 2]
    assert rows.in_turn == [2, 1, 0]
    assert [rows.element(kind) for kind in range(3)] == ['Sr', 'Ti', 'O']
    assert rows.members(2).tolist() == [2, 3, 4]
    assert rows.divided((1, 2, 4, 6)) == (1, 2, 3)
    assert rows.apart().kinds.tolist() == [0, 1, 2, 3, 4]
    assert rows.apart().divided((1, 4)) == (1,)


def test_orbits_of_one_element_are_told_apart_by_what_surrounds_them():
    """The two oxygen atoms of a chain differ in their neighbours only: one round of sorting sees that."""
    chain = Structure(Lattice.orthorhombic(9.0, 4.0, 4.0), ['Ba', 'O', 'O'], [[0, 0, 0], [0.25, 0, 0], [0.55, 0, 0]])
    assert alike_rows(certain_prediction(chain)).kinds.tolist() == [0, 1, 2]


def test_unsure_distances_tell_nothing_apart():
    chain = Structure(Lattice.orthorhombic(9.0, 4.0, 4.0), ['Ba', 'O', 'O'], [[0, 0, 0], [0.25, 0, 0], [0.55, 0, 0]])
    wide = spread_prediction(chain, 0.6)
    assert alike_rows(wide).kinds.tolist() == [0, 1, 1]
    assert not is_sure(wide)
    assert is_sure(spread_prediction(chain, 0.05))


def test_one_atom_is_sure_of_its_distances():
    copper = Structure(Lattice.cubic(3.6), ['Cu'], [[0, 0, 0]])
    assert is_sure(certain_prediction(copper))
    assert alike_rows(certain_prediction(copper)).kinds.tolist() == [0]


@given(st.lists(st.tuples(*[st.floats(0.05, 0.45)] * 3), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_an_orbit_is_never_divided(places):
    """Equal distances that fall on the edge between two bins may come out as two bins."""
    lattice = Lattice.from_parameters(*MONOCLINIC)
    structure = Structure.from_spacegroup('P2_1/c', lattice, ['O'] * len(places), places, tol=0.0)
    kinds = alike_rows(certain_prediction(structure)).kinds
    for start in range(0, len(structure), 4):
        assert len(set(kinds[start : start + 4].tolist())) == 1
