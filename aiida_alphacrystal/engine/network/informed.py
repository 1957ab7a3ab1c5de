"""Distances from the network and from the nearest known compounds together.

The distance of a pair is distributed as in a mixture: each template with the probability that it is right, its distance
a little uncertain, and the network with what is left. All numbers of the mixture were fitted to the likelihood of the
crystals of ``val`` (``benchmarks/distances.py --fit``).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from aiida_alphacrystal.engine.atom_matching import in_order_of, match_atoms
from aiida_alphacrystal.engine.distances import DistancePrediction
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network.inference import predict_many
from aiida_alphacrystal.engine.network.preparation import canonical_order
from aiida_alphacrystal.engine.reconstruct.template_distances import template_distances
from aiida_alphacrystal.engine.reconstruct.templates import origin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.network.base import DistanceModel
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = (
    'AlignedTemplates',
    'InformedDistances',
    'Mixture',
    'align_templates',
    'inform',
    'predict_informed',
    'with_templates',
)

FloatArray = npt.NDArray[np.float64]

#: So many templates take part.
_TEMPLATES = 4

#: A further template that is less probable than this changes nothing that is seen.
_NEGLIGIBLE = 0.01

#: Of the probability that no template is right, the network has this at least.
_LEAST_LEFT = 1e-3

#: Relative deviations at which the mixture of deviations is tabulated, close enough for the smallest of its scales.
_DEVIATIONS = np.linspace(-0.6, 0.6, 6001)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """How templates and network are weighed against each other.

    :param sharpness: power that the probabilities of the templates are taken to.
    :param network: factor of what the templates leave to the network.
    :param scales: standard deviations of the distances of a template that is right, relative to them, shape (scales,).
    :param shares: how often each of them applies, shape (scales,).
    :param trusted: the first template stands for the cell where its probability is higher than this,
    :param doubt: and by so much more for every angstrom between its distances and the expected ones.
    :param pull: how far its size is changed towards that of the network: 0 not at all, 1 all the way.
    """

    sharpness: float = 0.89
    network: float = 9.8
    scales: tuple[float, ...] = (0.004, 0.012, 0.08)
    shares: tuple[float, ...] = (0.39, 0.53, 0.08)
    trusted: float = 0.3
    doubt: float = 0.15
    pull: float = 0.2


#: What was fitted.
MIXTURE = Mixture()


@dataclasses.dataclass(frozen=True)
class InformedDistances:
    """What network and templates say of one cell.

    :param distribution: the distance of every pair; its expectation has the least squared error.
    :param estimate: distances that belong together: those of the most probable template where it is trusted, otherwise
        the expectation; shape (atoms, atoms), A.
    :param template: the compound whose structure the estimate is, None where no template is trusted.
    :param probability: that the first template is right; 0 where there is none.
    """

    distribution: DistancePrediction
    estimate: FloatArray
    template: str | None
    probability: float


@dataclasses.dataclass(frozen=True)
class AlignedTemplates:
    """Templates of one cell, their atoms and those of the network in the order of the first.

    :param matrices: distances of each template, shape (templates, atoms, atoms), A.
    :param probabilities: that each is right and none before it, shape (templates,).
    :param network: what the network says, in that order.
    :param origin: where the first template comes from; empty where there is none.
    """

    matrices: FloatArray
    probabilities: FloatArray
    network: DistancePrediction
    origin: str


def predict_informed(
    network: DistanceModel, library: PrototypeLibrary, cells: Sequence[tuple[Formula, int]]
) -> list[InformedDistances]:
    """Predict the distances of many cells with network and templates.

    :param network: a distance network.
    :param library: known compounds.
    :param cells: formula and number of formula units of each cell.
    :raises UnsupportedElementError: if there are no descriptors of an element.
    :raises ModelError: if a cell is larger than the network takes.
    """
    rows = [
        (featurize(formula, units, formula.atoms_per_unit * units), formula.species(units)) for formula, units in cells
    ]
    predictions = predict_many(network, rows)
    return [
        with_templates(prediction, library, formula, units)
        for prediction, (formula, units) in zip(predictions, cells, strict=True)
    ]


def with_templates(
    prediction: DistancePrediction,
    library: PrototypeLibrary,
    formula: Formula,
    formula_units: int,
    excluded: npt.NDArray[np.bool_] | None = None,
) -> InformedDistances:
    """Add the nearest templates to what the network says of a cell.

    :param prediction: of the network, for the cell.
    :param library: known compounds.
    :param formula: the compound.
    :param formula_units: formula units in the cell.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    """
    return inform(align_templates(prediction, library, formula, formula_units, excluded))


def align_templates(
    prediction: DistancePrediction,
    library: PrototypeLibrary,
    formula: Formula,
    formula_units: int,
    excluded: npt.NDArray[np.bool_] | None = None,
) -> AlignedTemplates:
    """Find the nearest templates of a cell, and which of their atoms stand for the same.

    :param prediction: of the network, for the cell.
    :param library: known compounds.
    :param formula: the compound.
    :param formula_units: formula units in the cell.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    """
    found = template_distances(library, formula, formula_units, _TEMPLATES, excluded, _NEGLIGIBLE)
    natoms = len(prediction.species)
    if not found:
        return AlignedTemplates(np.empty((0, natoms, natoms)), np.empty(0), prediction, '')
    matrices = [template.distances for template in found]
    groups = np.cumsum([False, *(one != other for one, other in itertools.pairwise(prediction.species))])
    order = canonical_order(matrices[0], groups)
    first = matrices[0][np.ix_(order, order)]
    aligned = [first, *(in_order_of(first, matrix, prediction.species) for matrix in matrices[1:])]
    order = match_atoms(prediction.expectation, first, prediction.species)
    network = dataclasses.replace(prediction, probabilities=prediction.probabilities[np.ix_(order, order)])
    chances = np.array([template.probability for template in found])
    return AlignedTemplates(np.array(aligned), chances, network, origin_of(library, found[0].proposal))


def inform(templates: AlignedTemplates, mixture: Mixture = MIXTURE) -> InformedDistances:
    """Weigh templates and network.

    :param templates: of one cell.
    :param mixture: how they are weighed.
    """
    network, matrices = templates.network, templates.matrices
    distribution = _mix(templates, mixture)
    if not len(matrices):
        return InformedDistances(distribution, distribution.expectation, None, 0.0)
    probability = float(templates.probabilities[0])
    if probability <= mixture.trusted + mixture.doubt * _apart(matrices[0], distribution.expectation):
        return InformedDistances(distribution, distribution.expectation, None, probability)
    size = float(np.median(network.expectation / matrices[0])) ** mixture.pull
    return InformedDistances(distribution, matrices[0] * size, templates.origin, probability)


def _apart(one: FloatArray, other: FloatArray) -> float:
    """Return the root mean square difference between different atoms, A; 0 where there is one atom."""
    first, second = np.triu_indices(len(one), 1)
    return float(np.sqrt(((one - other)[first, second] ** 2).mean())) if len(first) else 0.0


def _mix(templates: AlignedTemplates, mixture: Mixture) -> DistancePrediction:
    """Return the distribution of every pair."""
    natoms = len(templates.network.species)
    first, second = np.triu_indices(natoms)
    edges = mixture_bins()
    weights, left = template_weights(templates.probabilities, mixture)
    chances = left * _rebin(templates.network.probabilities[first, second], templates.network.bin_edges, edges)
    for weight, matrix in zip(weights, templates.matrices, strict=True):
        chances += weight * _spread(matrix[first, second], edges, mixture)
    chances /= chances.sum(axis=-1, keepdims=True)
    probabilities = np.empty((natoms, natoms, len(edges) - 1))
    probabilities[first, second] = probabilities[second, first] = chances
    return DistancePrediction(templates.network.species, edges, probabilities)


def template_weights(probabilities: npt.ArrayLike, mixture: Mixture) -> tuple[FloatArray, float]:
    """Return the weight of each template and that of the network, which add up to one.

    :param probabilities: that each template is right and none before it, shape (templates,).
    :param mixture: how they are weighed.
    """
    stated = np.asarray(probabilities, dtype=np.float64)
    left = mixture.network * max(_LEAST_LEFT, 1.0 - float(stated.sum()))
    weights = stated**mixture.sharpness
    total = left + float(weights.sum())
    return weights / total, left / total


def mixture_bins() -> FloatArray:
    """Return bins 0.5 % wide from 0.9 to 7 A and 4 % wide to 40 A, shape (bins + 1,), A."""
    return np.concatenate([[0.0], np.geomspace(0.9, 7.0, 412), np.geomspace(7.0, 40.0, 41)[1:]])


def _rebin(probabilities: FloatArray, old: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the probabilities of other bins, shape (pairs, bins), those of each old bin spread evenly over it."""
    cumulative = np.concatenate([np.zeros((len(probabilities), 1)), probabilities.cumsum(axis=-1)], axis=-1)
    place = np.clip(np.searchsorted(old, edges, side='right') - 1, 0, len(old) - 2)
    share = np.clip((edges - old[place]) / (old[place + 1] - old[place]), 0.0, 1.0)
    at_edges = cumulative[:, place] * (1.0 - share) + cumulative[:, place + 1] * share
    return np.diff(at_edges, axis=-1)


def _spread(distances: FloatArray, edges: FloatArray, mixture: Mixture) -> FloatArray:
    """Return the probabilities of the bins where a template is right, shape (pairs, bins)."""
    return np.diff(np.interp(edges / distances[:, None] - 1.0, _DEVIATIONS, _cumulative(mixture)), axis=-1)


@functools.lru_cache(maxsize=8)
def _cumulative(mixture: Mixture) -> FloatArray:
    """Return how probable it is that the distances of a right template are off by less, shape of the deviations."""
    terms = [share * ndtr(_DEVIATIONS / scale) for scale, share in zip(mixture.scales, mixture.shares, strict=True)]
    return np.asarray(sum(terms))
