"""Tests of the ranking."""

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.rank import rank_candidates, same_structure
from aiida_alphacrystal.engine.rank_model import CandidateFacts
from aiida_alphacrystal.engine.relax import Relaxation, relaxed_formation_energy
from aiida_alphacrystal.engine.settings import RankSettings

REFERENCES = {'Na': -1.3, 'Cl': -1.8}


def rock_salt(a=5.64):
    conventional = Structure.from_spacegroup(225, Lattice.cubic(a), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])
    return conventional.get_primitive_structure()


def caesium_chloride(a=3.4):
    return Structure.from_spacegroup(221, Lattice.cubic(a), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])


def relaxed(structure, energy, reason=None):
    zeros = np.zeros((len(structure), 3))
    return Relaxation(
        structure=structure,
        energy=energy,
        forces=zeros,
        max_force=0.0,
        stress=np.zeros((3, 3)),
        steps=1,
        converged=reason is None,
        reason=reason,
    )


ENERGY = RankSettings(method='energy')


def ranked(costs, relaxations, settings=ENERGY):
    energies = [relaxed_formation_energy(relaxation, 0.0, REFERENCES) for relaxation in relaxations]
    return rank_candidates([CandidateFacts(cost) for cost in costs], relaxations, energies, settings)


def test_lowest_formation_energy_comes_first():
    ranking = ranked([0.0, 9.0], [relaxed(caesium_chloride(), -3.3), relaxed(rock_salt(), -3.4)])
    assert [place.index for place in ranking] == [1, 0]
    assert [place.rank for place in ranking] == [1, 2]
    assert ranking[0].formation_energy_per_atom == pytest.approx(-3.4 + 1.55)
    assert ranking[0].score == ranking[0].formation_energy_per_atom
    assert (ranking[0].spacegroup, ranking[0].spacegroup_symbol) == (225, 'Fm-3m')
    assert ranking[0].volume_per_atom == pytest.approx(5.64**3 / 8)


def test_probability_can_outweigh_a_small_energy_difference():
    relaxations = [relaxed(caesium_chloride(), -3.35), relaxed(rock_salt(), -3.4)]
    settings = RankSettings(method='energy_and_probability', probability_weight=0.1)
    assert [place.index for place in ranked([0.0, 1.0], relaxations, settings)] == [0, 1]
    assert [place.index for place in ranked([0.0, 0.1], relaxations, settings)] == [1, 0]


def test_equal_structures_are_merged_and_the_smallest_cell_stands_for_them():
    supercell = rock_salt() * (2, 1, 1)
    relaxations = [
        relaxed(supercell, -3.401),
        relaxed(rock_salt(5.65), -3.4),
        relaxed(caesium_chloride(), -3.3),
        relaxed(rock_salt(), -3.39),
    ]
    ranking = ranked([0.0] * 4, relaxations)
    assert [(place.index, place.duplicates) for place in ranking] == [(1, (0, 3)), (2, ())]


def perovskite(displacement=0.0):
    """A cubic perovskite of NaCl3 and neon, or one whose central atom is displaced (fractions) along z."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5 + displacement], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(3.9), ['Na', 'Ne', 'Cl', 'Cl', 'Cl'], sites)


def ranked_perovskites(costs, relaxations):
    return rank_candidates(
        [CandidateFacts(cost) for cost in costs], relaxations, [one.energy for one in relaxations], ENERGY
    )


def test_the_most_symmetric_of_equal_structures_is_shown_where_the_energy_cannot_tell():
    distorted, cubic = relaxed(perovskite(0.04), -3.4005), relaxed(perovskite(), -3.4)
    (place,) = ranked_perovskites([0.0, 9.0], [distorted, cubic])
    assert (place.index, place.duplicates, place.spacegroup) == (1, (0,), 221)
    assert place.energy_per_atom == -3.4
    assert place.score == -3.4005
    (place,) = ranked_perovskites([0.0, 9.0], [distorted, relaxed(perovskite(), -3.394)])
    assert (place.index, place.duplicates, place.spacegroup) == (0, (1,), 99)


def test_the_likelier_of_equal_structures_of_one_symmetry_is_shown():
    relaxations = [relaxed(perovskite(0.04), -3.401), relaxed(perovskite(0.05), -3.4)]
    (place,) = ranked_perovskites([2.0, 1.0], relaxations)
    assert (place.index, place.duplicates) == (1, (0,))
    (place,) = ranked_perovskites([1.0, 1.0], relaxations)
    assert (place.index, place.duplicates) == (0, (1,))


def wurtzite(a=3.66, c=5.86, u=0.385):
    """Wurtzite, or with u = 0.5 the planar type that it is flattened to."""
    sites = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, u], [2 / 3, 1 / 3, 0.5 + u]]
    return Structure(Lattice.hexagonal(a, c), ['Na', 'Na', 'Cl', 'Cl'], sites)


def test_wurtzite_and_its_planar_type_differ_in_volume():
    planar = wurtzite(3.87, 4.8, 0.5)
    ranking = ranked([0.0, 0.0], [relaxed(wurtzite(), -3.4), relaxed(planar, -3.395)])
    assert [(place.index, place.spacegroup, place.duplicates) for place in ranking] == [(0, 186, ()), (1, 194, ())]
    swollen = planar.copy()
    swollen.scale_lattice(0.95 * wurtzite().volume)
    ranking = ranked([0.0, 0.0], [relaxed(wurtzite(), -3.4), relaxed(swollen, -3.395)])
    assert [(place.index, place.duplicates) for place in ranking] == [(1, (0,))]


@pytest.mark.parametrize(('expansion', 'same'), [(1.07, True), (1 / 1.07, True), (1.09, False), (1 / 1.09, False)])
def test_a_crystal_that_is_much_larger_is_another_one(expansion, same):
    larger = rock_salt(5.64 * expansion ** (1 / 3)) * (2, 1, 1)
    assert same_structure(rock_salt(), -3.4, larger, -3.4) is same


def test_failed_relaxations_are_left_out():
    relaxations = [relaxed(rock_salt(), float('nan'), 'It flew apart.'), relaxed(caesium_chloride(), -3.3)]
    assert [place.index for place in ranked([0.0, 0.0], relaxations)] == [1]
    assert ranked([0.0], relaxations[:1]) == ()


def test_length_of_the_ranking():
    relaxations = [relaxed(caesium_chloride(3.0 + 0.3 * step), -3.0 - 0.1 * step) for step in range(4)]
    settings = RankSettings(method='energy', top=2)
    assert [place.index for place in ranked([0.0] * 4, relaxations, settings)] == [3, 2]


def test_confidence_is_the_softmax_of_the_weighted_features():
    relaxations = [relaxed(caesium_chloride(), -3.36), relaxed(rock_salt(), -3.4)]
    settings = RankSettings(weights=(1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    ranking = ranked([0.0, 4.0], relaxations, settings)
    priors = [math.log(math.exp(-cost) + math.exp(-5.0)) for cost in (0.0, 4.0)]
    # 0.04 eV/atom are two scales above the lowest; the last is none of them
    sums = [-math.log(3.0) + 0.5 * priors[0], 0.5 * priors[1], -1.0]
    total = sum(math.exp(value) for value in sums)
    assert [place.index for place in ranking] == [0, 1]
    assert [place.confidence for place in ranking] == pytest.approx([math.exp(value) / total for value in sums[:2]])
    assert [place.score for place in ranking] == pytest.approx([-math.log(place.confidence) for place in ranking])
    by_energy = ranked([0.0, 4.0], relaxations, RankSettings(method='energy', weights=settings.weights))
    assert [place.index for place in by_energy] == [1, 0]
    assert [place.confidence for place in by_energy] == [ranking[1].confidence, ranking[0].confidence]


def test_equal_structures_add_their_prior_probabilities():
    relaxations = [relaxed(rock_salt(), -3.4), relaxed(rock_salt(5.65), -3.4), relaxed(caesium_chloride(), -3.4)]
    settings = RankSettings(weights=(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -9.0))
    costs = [-math.log(probability) for probability in (0.3, 0.2, 0.4)]
    ranking = ranked(costs, relaxations, settings)
    assert [(place.index, place.duplicates) for place in ranking] == [(0, (1,)), (2, ())]
    least = math.exp(-5.0)
    assert ranking[0].confidence / ranking[1].confidence == pytest.approx((0.5 + least) / (0.4 + least))
