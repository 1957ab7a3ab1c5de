"""Weights out of nodes, read once in a process: a worker predicts many formulas with the same ones.

What is read is kept by its content, so other weights are never taken for these.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.cells import CellModel, TemplateVotes
    from aiida_alphacrystal.engine.network import DistanceModel
    from aiida_alphacrystal.engine.reconstruct import PrototypeLibrary

__all__ = ('read_cell_model', 'read_library', 'read_network', 'read_voters')

#: Of each kind: the weights of the package, and some of a user's own.
_KEPT = 2


@functools.lru_cache(maxsize=_KEPT)
def read_network(content: bytes) -> DistanceModel:
    """Return the distance network.

    :param content: of the file of its weights.
    :raises ModelError: if it is damaged or no such network.
    """
    from aiida_alphacrystal.engine.network import load_network

    return load_network(content)


@functools.lru_cache(maxsize=_KEPT)
def read_cell_model(content: bytes) -> CellModel:
    """Return the predictor of cells.

    :param content: of the file of its weights.
    :raises ModelError: if it is damaged or no such predictor.
    """
    from aiida_alphacrystal.engine.cells import load_cell_model

    return load_cell_model(content)


@functools.lru_cache(maxsize=_KEPT)
def read_library(content: bytes) -> PrototypeLibrary:
    """Return the library of prototypes.

    :param content: of its file.
    :raises ModelError: if it is damaged or no such library.
    """
    from aiida_alphacrystal.engine.reconstruct import load_library

    return load_library(content)


@functools.lru_cache(maxsize=_KEPT)
def read_voters(content: bytes) -> TemplateVotes:
    """Return the known crystals that vote for cells.

    :param content: of the file of the library that has them.
    :raises ModelError: if it is damaged or no such library.
    """
    from aiida_alphacrystal.engine.cells import TemplateVotes

    return TemplateVotes(read_library(content))
