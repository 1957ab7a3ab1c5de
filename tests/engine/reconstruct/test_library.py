"""Tests of the prototype library."""

import json

import numpy as np
import pytest

from aiida_alphacrystal.engine.datasets import read_crystals
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import element_table
from aiida_alphacrystal.engine.reconstruct.library import build_library, load_library


@pytest.fixture(scope='module')
def library_dir(crystals_file, tmp_path_factory):
    directory = tmp_path_factory.mktemp('library')
    build_library(crystals_file, directory)
    return directory


def test_crystals_of_one_kind_share_a_prototype(library_dir, crystals_file):
    library = load_library(library_dir / 'templates.safetensors')
    assert sorted(library.spacegroups.tolist()) == [216, 221, 221, 225]
    assert sorted(np.bincount(library.member_prototypes).tolist()) == [3, 4, 4, 8]
    assert len(library.member_prototypes) == len(read_crystals(crystals_file))


def test_prototypes_hold_one_cubic_angstrom_per_atom(library_dir):
    library = load_library(library_dir / 'templates.safetensors')
    volumes = np.abs(np.linalg.det(library.lattices)) / np.diff(library.offsets)
    assert volumes == pytest.approx(np.ones(4), abs=1e-5)


def test_slots_are_in_order_of_decreasing_count(library_dir):
    library = load_library(library_dir / 'templates.safetensors')
    perovskite = int(np.flatnonzero(np.diff(library.offsets) == 5)[0])
    assert library.slot_counts(perovskite).tolist() == [3, 1, 1]
    rows = library.member_elements[library.member_prototypes == perovskite]
    assert set(rows[:, 0]) == {8}
    assert set(rows[:, 1]) & set(rows[:, 2]) == set(), 'the large and the small cation keep their slots'


def test_the_same_file_gives_the_same_bytes_and_a_true_card(library_dir, crystals_file, tmp_path):
    card = build_library(crystals_file, tmp_path)
    first, second = (path / 'templates.safetensors' for path in (library_dir, tmp_path))
    assert first.read_bytes() == second.read_bytes()
    assert json.loads((tmp_path / 'templates.json').read_text()) == card
    assert (card['prototypes'], card['members']) == (4, 19)


def test_the_shipped_library_knows_every_element_of_its_members():
    library = load_library()
    assert len(library.spacegroups) > 6000
    numbers = {int(row[-1]) for row in element_table().values()}
    present = set(np.unique(library.member_elements).tolist()) - {0}
    assert present <= numbers
    assert (np.diag(library.substitution_costs) == 0).all()
    assert (library.substitution_costs >= 0).all()
    assert np.allclose(library.substitution_costs, library.substitution_costs.T)


def test_other_weights_are_refused(tmp_path):
    from aiida_alphacrystal.engine import checkpoint

    incomplete = checkpoint.pack('aiida-alphacrystal templates', 1, {'slots': np.zeros(1)}, {})
    with pytest.raises(ModelError, match='lacks spacegroups'):
        load_library(incomplete)
    with pytest.raises(ModelError, match='does not have the format'):
        load_library(checkpoint.pack('other', 1, {'slots': np.zeros(1)}, {}))
