"""Stage 2: predict the distances of one cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.distances import DistancePrediction
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS
from aiida_alphacrystal.engine.network.model import DistanceNetwork, index_within_element, pair_indices
from aiida_alphacrystal.engine.threads import one_thread

__all__ = ('predict_distances',)


def predict_distances(
    network: DistanceNetwork, features: npt.ArrayLike, species: tuple[str, ...]
) -> DistancePrediction:
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
