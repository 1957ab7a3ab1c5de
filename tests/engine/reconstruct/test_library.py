"""Tests of the prototype library."""

import numpy as np
import pytest

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import element_table
from aiida_alphacrystal.engine.reconstruct.library import FORMAT, VERSION, load_library, pack_library


def test_crystals_of_one_kind_share_a_prototype(library, crystals):
    assert sorted(library.spacegroups.tolist()) == [216, 221, 221, 225]
    assert sorted(np.bincount(library.member_prototypes).tolist()) == [3, 4, 4, 8]
    assert len(library.member_prototypes) == len(crystals)


def test_prototypes_hold_one_cubic_angstrom_per_atom(library):
    volumes = np.abs(np.linalg.det(library.lattices)) / np.diff(library.offsets)
    assert volumes == pytest.approx(np.ones(4), abs=1e-5)


def test_slots_are_in_order_of_decreasing_count(library):
    perovskite = int(np.flatnonzero(np.diff(library.offsets) == 5)[0])
    assert library.prototype(perovskite).counts == (3, 1, 1)
    rows = library.member_elements[library.member_prototypes == perovskite]
    assert set(rows[:, 0]) == {8}
    assert set(rows[:, 1]) & set(rows[:, 2]) == set(), 'the large and the small cation keep their slots'


def test_classes_hold_every_prototype_and_every_compound_once(library):
    prototypes = np.concatenate(list(library.classes.values()))
    members = np.concatenate([library.members_of(counts) for counts in library.classes])
    assert sorted(prototypes.tolist()) == [0, 1, 2, 3]
    assert sorted(members.tolist()) == list(range(19))
    assert len(library.members_of((3, 1, 1))) == 4


def test_a_library_survives_its_file(library):
    again = load_library(pack_library(library))
    for name in ('spacegroups', 'slots', 'member_elements', 'member_prototypes', 'alike_orders'):
        assert (getattr(again, name) == getattr(library, name)).all()
    assert pack_library(again) == pack_library(library)


def test_the_shipped_library_knows_every_element_of_its_members():
    library = load_library()
    assert len(library.spacegroups) > 6000
    numbers = {int(row[-1]) for row in element_table().values()}
    assert set(np.unique(library.member_elements).tolist()) - {0} <= numbers
    assert (library.alike_first <= library.alike_second).all()
    assert library.alike_second.max() < len(library.spacegroups)


def test_other_weights_are_refused():
    incomplete = checkpoint.pack(FORMAT, VERSION, {'slots': np.zeros(1)}, {})
    with pytest.raises(ModelError, match='lacks spacegroups'):
        load_library(incomplete)
    with pytest.raises(ModelError, match='does not have the format'):
        load_library(checkpoint.pack('other', VERSION, {'slots': np.zeros(1)}, {}))
