"""Weights out of nodes, read once in a process: a worker predicts many formulas with the same ones.

What is read is kept by the checksum of its content, so other weights are never taken for these, and a file of megabytes
is not read from the repository to find that it is known.
"""

from __future__ import annotations

import collections
import functools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida_alphacrystal.data.model import ModelData
    from aiida_alphacrystal.engine.cells import CellModel, TemplateVotes
    from aiida_alphacrystal.engine.network import DistanceModel
    from aiida_alphacrystal.engine.reconstruct import PrototypeLibrary

__all__ = ('read_cell_model', 'read_library', 'read_network', 'read_voters')

T = TypeVar('T')

#: Of each kind: the weights of the package, and some of a user's own.
_KEPT = 2


def _once_for_each_content(read: Callable[[ModelData], T]) -> Callable[[ModelData], T]:
    """Keep what was read from the last few different weights."""
    kept: collections.OrderedDict[str, T] = collections.OrderedDict()

    @functools.wraps(read)
    def read_once(model: ModelData) -> T:
        content = model.sha256  # which a stored node reads from the database each time
        if content not in kept:
            kept[content] = read(model)
        kept.move_to_end(content)
        while len(kept) > _KEPT:
            kept.popitem(last=False)
        return kept[content]

    return read_once


@_once_for_each_content
def read_network(model: ModelData) -> DistanceModel:
    """Return the distance network.

    :param model: node of its weights.
    :raises ModelError: if it is damaged or no such network.
    """
    from aiida_alphacrystal.engine.network import load_network

    return load_network(model.get_content(mode='rb'))


@_once_for_each_content
def read_cell_model(model: ModelData) -> CellModel:
    """Return the predictor of cells.

    :param model: node of its weights.
    :raises ModelError: if it is damaged or no such predictor.
    """
    from aiida_alphacrystal.engine.cells import load_cell_model

    return load_cell_model(model.get_content(mode='rb'))


@_once_for_each_content
def read_library(model: ModelData) -> PrototypeLibrary:
    """Return the library of prototypes.

    :param model: node of its file.
    :raises ModelError: if it is damaged or no such library.
    """
    from aiida_alphacrystal.engine.reconstruct import load_library

    return load_library(model.get_content(mode='rb'))


@_once_for_each_content
def read_voters(model: ModelData) -> TemplateVotes:
    """Return the known crystals that vote for cells.

    :param model: node of the library that has them.
    :raises ModelError: if it is damaged or no such library.
    """
    from aiida_alphacrystal.engine.cells import TemplateVotes

    return TemplateVotes(read_library(model))
