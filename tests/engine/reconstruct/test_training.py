"""Tests of the building of a library."""

import dataclasses
import json

import numpy as np
import pytest

from aiida_alphacrystal.engine.datasets import DatasetError
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.training import train_templates


def test_the_same_crystals_give_the_same_bytes_and_a_true_card(crystals, library_dir, library, tmp_path):
    card = train_templates(crystals, {'file': 'textbook'}, tmp_path)
    first, second = (path / 'templates.safetensors' for path in (library_dir, tmp_path))
    assert first.read_bytes() == second.read_bytes()
    assert json.loads((tmp_path / 'templates.json').read_text()) == card
    assert (card['prototypes'], card['members'], card['left_out']) == (4, 19, 0)
    assert card['pairs_alike'] == len(library.alike_first)
    assert card['data'] == {'file': 'textbook'}
    assert card['held_back']['n'] == 1


def test_another_seed_learns_other_costs(crystals, library, tmp_path):
    train_templates(crystals, {}, tmp_path, seed=1)
    other = load_library(tmp_path / 'templates.safetensors')
    assert (other.member_elements == library.member_elements).all()
    assert any((other.substitution[name] != library.substitution[name]).any() for name in library.substitution)


def test_a_library_is_extended_without_learning_anew(crystals, library, tmp_path):
    rock_salts = [crystal for crystal in crystals if crystal.spacegroup == 225]
    squeezed = dataclasses.replace(crystals[0], lattice=crystals[0].lattice @ np.diag([1, 1, 1.3]), spacegroup=166)
    card = train_templates([rock_salts[0], squeezed], {}, tmp_path, base=library)
    extended = load_library(tmp_path / 'templates.safetensors')
    assert (card['prototypes'], card['members']) == (5, 21)
    assert 'held_back' not in card
    assert extended.spacegroups[:4].tolist() == library.spacegroups.tolist()
    assert extended.member_elements[:19].tolist() == library.member_elements.tolist()
    assert sorted(extended.member_prototypes[19:].tolist()) == sorted([4, int(extended.member_prototypes[0])])
    assert all((extended.substitution[name] == library.substitution[name]).all() for name in library.substitution)
    assert (extended.calibration == library.calibration).all()
    assert (extended.atomic_volumes == library.atomic_volumes).all()


def test_volumes_of_the_elements_add_up_to_those_of_the_compounds(library):
    present = library.member_elements
    counts = np.zeros_like(present)
    for row, prototype in zip(counts, library.member_prototypes, strict=True):
        sites = library.prototype(int(prototype)).counts
        row[: len(sites)] = sites
    volumes = (library.atomic_volumes[present] * counts).sum(axis=1) / counts.sum(axis=1)
    assert volumes == pytest.approx(library.member_volumes, rel=0.25)


def test_crystals_that_cannot_be_used_are_counted_and_none_at_all_is_said(crystals, tmp_path):
    unknown = dataclasses.replace(crystals[0], species=('Og',) * crystals[0].natoms)
    assert train_templates([*crystals[:3], unknown], {}, tmp_path)['left_out'] == 1
    with pytest.raises(DatasetError, match='None of the 1 crystals can be used'):
        train_templates([unknown], {}, tmp_path)


def test_the_stages_are_reported(crystals, tmp_path):
    seen = []
    with reporting(lambda stage, done, total: seen.append((stage, done, total))):
        train_templates(crystals, {}, tmp_path)
    assert list(dict.fromkeys(stage for stage, _, _ in seen)) == [
        'templates',
        'likeness',
        'shapes',
        'costs',
        'calibration',
    ]
    assert all(done <= total for _, done, total in seen)
