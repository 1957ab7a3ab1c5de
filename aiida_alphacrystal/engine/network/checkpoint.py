"""Write and read the trained network as one safetensors file that describes itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS
from aiida_alphacrystal.engine.network.kinds import ARCHITECTURES, build_network, kind_of

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.network.base import DistanceModel

__all__ = ('FORMAT', 'REFERENCE', 'SHIPPED', 'VERSION', 'load_network', 'load_reference', 'save_network')

FORMAT = 'aiida-alphacrystal distances'
VERSION = 1
SHIPPED = 'distances.safetensors'
REFERENCE = 'distances-reference.safetensors'
#: The network of files that do not name theirs.
_UNNAMED = 'pairs'
_CONSTANTS = ('bin_edges', 'feature_mean', 'feature_scale')


def save_network(network: DistanceModel) -> bytes:
    """Return the network as the bytes of a safetensors file, the same bytes for the same network.

    The header names its architecture and its descriptors; bins and standardisation are arrays, so that the checksum of
    the file covers them as well.

    :param network: the network.
    """
    settings: dict[str, Any] = {
        'architecture': dataclasses.asdict(network.architecture),
        'columns': list(ELEMENT_COLUMNS),
    }
    kind = kind_of(network.architecture)
    if kind != _UNNAMED:
        settings['network'] = kind
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    arrays |= {name: getattr(network, name) for name in _CONSTANTS}
    return checkpoint.pack(FORMAT, VERSION, arrays, settings)


def load_network(source: bytes | Path | None = None) -> DistanceModel:
    """Read a distance network, ready to predict.

    :param source: the bytes or the path of a safetensors file; without one, the weights shipped with the package.
    :raises ModelError: if the file is missing, damaged or made for something else.
    """
    return _load(*checkpoint.read(source, SHIPPED))


def load_reference(source: bytes | Path | None = None) -> DistanceModel:
    """Read the network that ours is compared with, that of the paper.

    :param source: the bytes or the path of a safetensors file; without one, the weights shipped with the package.
    :raises ModelError: if the file is missing, damaged or made for something else.
    """
    return _load(*checkpoint.read(source, REFERENCE))


def _load(content: bytes, where: str) -> DistanceModel:
    arrays, header = checkpoint.unpack(content, FORMAT, VERSION, where)
    if header.get('columns') != list(ELEMENT_COLUMNS):
        raise ModelError(f'{where} was trained on other descriptors than this version has: train it again.')
    try:
        architecture = ARCHITECTURES[header.get('network', _UNNAMED)](**header['architecture'])
        bin_edges, feature_mean, feature_scale = (arrays.pop(name) for name in _CONSTANTS)
        network = build_network(architecture, bin_edges, feature_mean, feature_scale)
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f'{where} is damaged, its arrays do not fit its header: train it again.') from error
    return network.eval().requires_grad_(False)
