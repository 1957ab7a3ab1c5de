"""Stage 2: predict the distances of one cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.distances import DistancePrediction
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS
from aiida_alphacrystal.engine.network.base import DistanceModel, pair_indices
from aiida_alphacrystal.engine.network.model import index_within_element
from aiida_alphacrystal.engine.threads import one_thread

__all__ = ('predict_distances', 'predict_many')


def predict_distances(network: DistanceModel, features: npt.ArrayLike, species: tuple[str, ...]) -> DistancePrediction:
    """Predict how far apart the atoms of a cell are.

    :param network: a network from :func:`~aiida_alphacrystal.engine.network.checkpoint.load_network`.
    :param features: raw descriptors of each atom, zero rows after the last, shape (at least atoms, 11).
    :param species: element symbol of every atom, equal elements side by side.
    :return: probabilities of shape (atoms, atoms, bins), symmetric; the same bits for the same input.
    :raises ModelError: if the features do not belong to the species.
    """
    rows = np.asarray(features, dtype=np.float64)
    natoms = len(species)
    if rows.ndim != 2 or rows.shape[1] != len(ELEMENT_COLUMNS) or not 0 < natoms <= len(rows):
        raise ModelError(
            f'Features of shape {rows.shape} do not describe {natoms} atoms by {len(ELEMENT_COLUMNS)} descriptors: '
            'make them with featurize from the same formula.'
        )
    index = torch.from_numpy(index_within_element(species))
    with torch.inference_mode(), one_thread():
        logits = network(network.standardise(rows[:natoms])[None], index[None])[0]
        probabilities = torch.softmax(logits.to(torch.float64), dim=-1).numpy()
    _, _, lookup = pair_indices(natoms)
    return DistancePrediction(
        species=tuple(species), bin_edges=network.bin_edges.copy(), probabilities=probabilities[lookup.numpy()]
    )


def predict_many(
    network: DistanceModel, compositions: Sequence[tuple[npt.ArrayLike, tuple[str, ...]]]
) -> list[DistancePrediction]:
    """Predict how far apart the atoms of many cells are, those of one size together.

    The numbers are those of :func:`predict_distances` but for rounding.

    :param network: a network from :func:`~aiida_alphacrystal.engine.network.checkpoint.load_network`.
    :param compositions: raw descriptors of each atom, shape (atoms, 11), and the element symbols of each cell.
    """
    by_size: dict[int, list[int]] = {}
    for place, (_, species) in enumerate(compositions):
        by_size.setdefault(len(species), []).append(place)
    predictions: dict[int, DistancePrediction] = {}
    for natoms, places in by_size.items():
        features = np.array([np.asarray(compositions[place][0])[:natoms] for place in places])
        index = torch.from_numpy(np.array([index_within_element(compositions[place][1]) for place in places]))
        with torch.inference_mode(), one_thread():
            logits = network(network.standardise(features), index)
            chances = torch.softmax(logits.to(torch.float64), dim=-1).numpy()
        lookup = pair_indices(natoms)[2].numpy()
        for place, rows in zip(places, chances, strict=True):
            species = tuple(compositions[place][1])
            predictions[place] = DistancePrediction(species, network.bin_edges.copy(), rows[lookup])
    return [predictions[place] for place in range(len(compositions))]
