"""Pictures of distances: the numbers that are drawn, not the file."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.distances import DistancePrediction, fine_bins, minimum_image_distances
from aiida_alphacrystal.report.distances import atom_names, compare_distances
from aiida_alphacrystal.report.plots import draw_comparison, draw_distances, draw_histogram, draw_informed

PEROVSKITE = Structure.from_spacegroup(221, Lattice.cubic(3.9), ['O', 'Sr', 'Ti'], [[0.5, 0.5, 0], [0] * 3, [0.5] * 3])
SPECIES = ('Sr', 'Ti', 'O', 'O', 'O')


def prediction_of(structure, species=SPECIES):
    """Return a prediction that is sure of the distances of a structure, atoms sorted as the species are."""
    symbols = [site.specie.symbol for site in structure]
    order = sorted(range(len(symbols)), key=lambda atom: species.index(symbols[atom]))
    edges = fine_bins()
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)[np.ix_(order, order)]
    bins = np.digitize(distances, edges) - 1
    return DistancePrediction(species, edges, np.eye(len(edges) - 1)[bins])


def matrix_of(axes):
    return np.asarray(axes.images[0].get_array())


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


def test_mean_and_standard_deviation():
    edges = np.array([1.0, 2.0, 3.0, 5.0])
    probabilities = np.zeros((2, 2, 3))
    probabilities[0, 1] = probabilities[1, 0] = [0.5, 0.5, 0.0]
    probabilities[0, 0], probabilities[1, 1] = [0, 0, 1], [1, 0, 0]
    figure = draw_distances(DistancePrediction(('Na', 'Cl'), edges, probabilities), ['Na1', 'Cl1'], 'two atoms')
    mean, spread = panels(figure)
    assert matrix_of(mean).tolist() == [[4.0, 2.0], [2.0, 1.5]]
    assert np.allclose(matrix_of(spread), [[0.0, 0.5], [0.5, 0.0]])
    assert [label.get_text() for label in mean.get_xticklabels()] == ['Na1', 'Cl1']
    assert [text.get_text() for text in mean.texts] == ['4.00', '2.00', '2.00', '1.50']
    assert (mean.get_title(), spread.get_title()) == ('predicted mean', 'predicted standard deviation')
    assert figure.get_suptitle() == 'two atoms'


def test_prediction_beside_the_structure():
    shrunk = PEROVSKITE.copy()
    shrunk.scale_lattice(0.9**3 * PEROVSKITE.volume)
    realised = compare_distances(prediction_of(PEROVSKITE), shrunk, 2, 'SrTiO3, rank 2')
    figure = draw_comparison(realised)
    predicted, found, difference = panels(figure)
    assert realised.names == ('Sr1', 'Ti1', 'O1', 'O2', 'O3')
    assert np.allclose(matrix_of(found), 0.9 * matrix_of(predicted), atol=0.06)
    assert np.allclose(matrix_of(difference), matrix_of(found) - matrix_of(predicted))
    assert predicted.images[0].get_clim() == found.images[0].get_clim()
    low, high = difference.images[0].get_clim()
    assert low == -high
    assert high == pytest.approx(np.abs(matrix_of(difference)).max())
    assert found.get_title() == 'rank 2'
    assert difference.get_title() == f'rank 2 - predicted, RMS {realised.rms:.2f} Å'
    assert matrix_of(found)[0, 1] == pytest.approx(0.9 * 3.9 * 3**0.5 / 2)


def test_the_order_of_equal_atoms_is_the_one_that_fits():
    shuffled = Structure.from_sites([PEROVSKITE[place] for place in (2, 4, 0, 3, 1)])
    rutile = Structure.from_spacegroup(136, Lattice.tetragonal(4.6, 2.95), ['Ti', 'O'], [[0] * 3, [0.305, 0.305, 0]])
    for structure, species in ((shuffled, SPECIES), (rutile, ('Ti', 'Ti', 'O', 'O', 'O', 'O'))):
        expected = prediction_of(structure, species)
        generator = np.random.default_rng(1)
        mixed = Structure.from_sites([structure[place] for place in generator.permutation(len(structure))])
        assert compare_distances(expected, mixed, 1, '').rms < 0.1


def test_one_atom_has_only_its_images():
    copper = Structure(Lattice.cubic(2.5), ['Cu'], [[0] * 3])
    realised = compare_distances(prediction_of(copper, ('Cu',)), copper, 1, 'Cu')
    assert realised.rms == pytest.approx(abs(2.5 - realised.predicted[0, 0]))
    assert draw_comparison(realised).get_suptitle() == 'Cu'


@pytest.mark.parametrize('atoms', [2, 10, 20])
def test_no_label_touches_another(inked, atoms):
    species = ('Sr',) * (atoms // 2) + ('Cl',) * (atoms - atoms // 2)
    edges = fine_bins()
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(edges) - 1), size=(atoms, atoms))
    figure = draw_distances(DistancePrediction(species, edges, probabilities), atom_names(species), 'many atoms')
    boxes = inked(figure)
    assert len(boxes) > 4 * atoms
    for (one, first), (two, second) in itertools.combinations(boxes, 2):
        assert not first.padded(-1).overlaps(second.padded(-1)), (one, two)


def test_numbers_can_be_read_on_their_squares():
    figure = draw_comparison(compare_distances(prediction_of(PEROVSKITE), PEROVSKITE, 1, 'SrTiO3'))
    for axes in panels(figure):
        image = axes.images[0]
        for text in axes.texts:
            column, row = map(int, text.get_position())
            weights = (0.299, 0.587, 0.114)
            behind, ink = (
                sum(weight * part for weight, part in zip(weights, colour, strict=True))
                for colour in (image.cmap(image.norm(matrix_of(axes)[row, column]))[:3], to_rgb(text.get_color()))
            )
            assert abs(behind - ink) > 0.4


FACTS = {
    'formula': 'NaCl',
    'atoms': ['Na1', 'Cl1'],
    'distances': [[4.0, 2.8], [2.8, 4.0]],
    'lower': [[3.9, 2.7], [2.7, 3.9]],
    'upper': [[4.2, 2.8], [2.8, 4.2]],
    'true': None,
    'rms': None,
}


def test_predicted_distances_and_how_uncertain_they_are():
    predicted, width = panels(draw_informed(FACTS))
    np.testing.assert_array_equal(matrix_of(predicted), FACTS['distances'])
    np.testing.assert_allclose(matrix_of(width), [[0.3, 0.1], [0.1, 0.3]])


def test_the_true_distances_share_the_scale_of_the_predicted_ones():
    true = [[4.1, 2.9], [2.9, 4.1]]
    predicted, known, difference, _ = panels(draw_informed({**FACTS, 'true': true, 'rms': 0.1}, 'found.cif'))
    np.testing.assert_array_equal(matrix_of(known), true)
    np.testing.assert_allclose(matrix_of(difference), np.full((2, 2), 0.1))
    assert known.images[0].get_clim() == predicted.images[0].get_clim() == (2.8, 4.1)
    assert known.get_title() == 'true: found.cif'
    assert difference.get_title() == 'true - predicted, RMS 0.10 Å'


def test_how_often_each_distance_occurs():
    axes, rare = draw_histogram(np.array([2.05, 2.06, 2.75, 4.05]), 'mine').axes
    bars = {round(bar.get_x(), 6): bar.get_height() for bar in axes.patches if bar.get_height()}
    assert bars == {2.0: 2, 2.7: 1, 4.0: 1}
    assert rare.get_yscale() == 'log'
