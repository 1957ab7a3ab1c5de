"""The correction of the distances that templates give."""

import dataclasses

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.reconstruct import load_library
from aiida_alphacrystal.engine.reconstruct.correction import DistanceCorrection, Evidence
from aiida_alphacrystal.engine.reconstruct.correction_training import Lesson, fit_correction, gather_lessons
from aiida_alphacrystal.engine.reconstruct.selection import rank_proposals
from aiida_alphacrystal.engine.reconstruct.template_distances import gather_evidence, template_distances

MATRICES = np.array([[[2.0, 1.0], [1.0, 2.0]], [[2.2, 1.1], [1.1, 2.2]]])


@pytest.fixture
def evidence():
    """Return what LiF and KCl say of NaCl."""
    return Evidence(
        numbers=np.array([11, 17]),
        known_numbers=np.array([[3, 9], [19, 17]]),
        known_distances=MATRICES,
        known_volumes=np.array([8.0, 30.0]),
        volumes=np.array([20.0, 24.0]),
        weights=np.array([0.25, 0.75]),
        share=0.9,
        support=-1.0,
    )


@pytest.fixture(scope='module')
def shipped():
    return load_library()


def test_compounds_are_averaged_by_their_weights(evidence):
    assert evidence.volume_per_atom == 23.0
    np.testing.assert_allclose(evidence.shape, [[2.15, 1.075], [1.075, 2.15]])
    np.testing.assert_allclose(evidence.distances, np.array([[2.15, 1.075], [1.075, 2.15]]) * 23.0 ** (1 / 3))


def test_what_has_learnt_nothing_corrects_nothing(evidence, library):
    correction = DistanceCorrection.from_arrays(DistanceCorrection().to_arrays())
    np.testing.assert_array_equal(correction.corrected([evidence], library.atomic_volumes)[0], evidence.distances)


def test_swapping_the_atoms_swaps_the_distances(evidence, shipped):
    swapped = dataclasses.replace(
        evidence,
        numbers=evidence.numbers[::-1].copy(),
        known_numbers=evidence.known_numbers[:, ::-1].copy(),
        known_distances=evidence.known_distances[:, ::-1, ::-1].copy(),
    )
    one, other = shipped.corrector.corrected([evidence, swapped], shipped.atomic_volumes)
    np.testing.assert_allclose(one, other[::-1, ::-1], rtol=1e-6)
    np.testing.assert_array_equal(one, one.T)
    assert one[0, 0] == one[1, 1], 'both are the shortest lattice vector'


def test_parameters_of_something_else_are_refused():
    with pytest.raises(ModelError, match='other corrections'):
        DistanceCorrection.from_arrays({'mean': np.zeros(3, dtype=np.float32)})


def test_a_compound_is_asked_for_without_its_formula(library, crystals):
    formulas = [crystal.formula for crystal in sorted(crystals, key=lambda crystal: crystal.natoms)]
    labels = np.unique([formula.reduced for formula in formulas], return_inverse=True)[1]
    lessons = gather_lessons(library, formulas, labels)
    assert [lesson is not None for lesson in lessons] == [True] * 19
    for lesson, formula in zip(lessons, formulas, strict=True):
        assert lesson.inputs.shape == (len(lesson.true), DistanceCorrection().mean.numel())
        assert lesson.is_right
        assert not np.allclose(lesson.true, lesson.expected, rtol=1e-6), formula


def test_another_arrangement_is_no_lesson():
    expected = np.array([2.0, 3.0, 4.0])
    inputs = np.zeros((3, 1))
    assert Lesson(inputs, expected, 1.05 * expected).is_right
    assert not Lesson(inputs, expected, 1.2 * expected).is_right
    assert not Lesson(inputs, expected, np.array([2.4, 3.0, 3.4])).is_right


def test_a_rule_is_learnt():
    generator = np.random.default_rng(0)
    lessons = []
    for _ in range(1000):
        inputs = generator.normal(size=(15, DistanceCorrection().mean.numel()))
        expected = np.full(15, 3.0)
        lessons.append(Lesson(inputs, expected, expected * np.exp(0.03 * np.tanh(inputs[:, 0]))))
    correction = fit_correction(lessons, seed=0)
    inputs = torch.zeros(3, DistanceCorrection().mean.numel())
    inputs[:, 0] = torch.tensor([-1.0, 0.0, 1.0])
    with torch.inference_mode():
        found = correction(inputs).numpy()
    np.testing.assert_allclose(found, 0.03 * np.tanh([-1.0, 0.0, 1.0]), atol=0.005)
    again = fit_correction(lessons, seed=0)
    assert all((again.to_arrays()[name] == array).all() for name, array in correction.to_arrays().items())


def test_the_shipped_correction_brings_known_compounds_closer(shipped):
    """Each is asked for without its own crystals."""
    errors = []
    for text, distance in (('NaCl', 2.82), ('LiF', 2.01), ('SrO', 2.58), ('GaAs', 2.45), ('ZnS', 2.34), ('CaO', 2.40)):
        formula = dataclasses.replace(parse_formula(text), formula_units=1)
        numbers = sorted(gather_evidence(shipped, formula, rank_proposals(shipped, formula, 2, 1)[0]).numbers.tolist())
        own = np.array([sorted(row[row > 0].tolist()) == numbers for row in shipped.member_elements])
        evidence = gather_evidence(shipped, formula, rank_proposals(shipped, formula, 2, 1, own, decorate=False)[0])
        corrected = template_distances(shipped, formula, 1, 1, own)[0].distances
        errors.append([abs(matrix[0, 1] / distance - 1) for matrix in (evidence.distances, corrected)])
    before, after = np.mean(errors, axis=0)
    assert after < 0.6 * before
    assert after < 0.02
