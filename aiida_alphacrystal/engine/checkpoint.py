"""Read and write trained weights: one safetensors file that describes itself.

The header holds one JSON object: the name and version of the format, a checksum of the arrays, and the settings that
whoever wrote the file needs to read it again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aiida_alphacrystal.engine.errors import ModelError

__all__ = ('pack', 'read', 'read_shipped', 'unpack', 'write_atomically')

Arrays = Mapping[str, npt.NDArray[Any]]

_HEADER_KEY = 'alphacrystal'
_MEND = 'give a safetensors file that aiida-alphacrystal train writes'


def pack(name: str, version: int, arrays: Arrays, settings: Mapping[str, Any]) -> bytes:
    """Return arrays and settings as the bytes of a safetensors file, the same bytes for the same content.

    :param name: name of the format, checked on reading.
    :param version: version of the format, checked on reading.
    :param arrays: arrays by name.
    :param settings: anything JSON can hold.
    """
    contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    header = {'format': name, 'version': version, 'tensors_sha256': _digest(contiguous), **settings}
    # One key only: the order of several is not fixed by safetensors, and the bytes have to be.
    return bytes(save(contiguous, metadata={_HEADER_KEY: json.dumps(header, sort_keys=True)}))


def unpack(content: bytes, name: str, version: int, where: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the header of a safetensors file.

    :param content: the bytes of the file.
    :param name: the format that it must have.
    :param version: the version that it must have.
    :param where: what the file is called in messages.
    :raises ModelError: if it is damaged or of another format or version.
    """
    header = _read_header(content, name, where)
    if header.get('version') != version:
        raise ModelError(f'{where} was written by another version of this package: train it again.')
    try:
        arrays = dict(load(content))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{where} is damaged and cannot be read as safetensors: {_MEND}.') from error
    if _digest(arrays) != header.get('tensors_sha256'):
        raise ModelError(f'{where} is damaged, its numbers do not have the checksum of its header: {_MEND}.')
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelError(f'{where} is damaged, some of its numbers are not finite: {_MEND}.')
    return arrays, header


def read(source: bytes | Path | None, shipped: str) -> tuple[bytes, str]:
    """Return the bytes of a file of weights and what to call it in messages.

    :param source: the bytes or the path of a file; None for the one shipped with the package.
    :param shipped: name of that one, such as ``cells.safetensors``.
    :raises ModelError: if the file cannot be read.
    """
    if source is None:
        return read_shipped(shipped), f'The shipped file {shipped}'
    if isinstance(source, bytes):
        return source, f'The file of weights given in place of {shipped}'
    try:
        return source.read_bytes(), f'The file {source}'
    except OSError as error:
        raise ModelError(f'The file {source} cannot be read ({error.strerror}): {_MEND}.') from error


def read_shipped(file_name: str) -> bytes:
    """Return the content of a file of weights that the package carries.

    :param file_name: such as ``cells.safetensors``.
    :raises ModelError: if the installation lacks it.
    """
    try:
        return resources.files('aiida_alphacrystal.weights').joinpath(file_name).read_bytes()
    except (OSError, ModuleNotFoundError) as error:
        message = f'The installed package lacks its weights {file_name}: install aiida-alphacrystal again.'
        raise ModelError(message) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    :param path: the file, replaced if it exists.
    :param content: all of its bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_bytes(content)
    temporary.replace(path)


def _read_header(content: bytes, name: str, where: str) -> dict[str, Any]:
    """Return the description inside the header of a safetensors file: JSON after its length in eight bytes."""
    length = int.from_bytes(content[:8], 'little')
    try:
        if not 0 < length <= len(content) - 8:
            raise ValueError
        metadata = json.loads(content[8 : 8 + length]).get('__metadata__', {})
    except (ValueError, AttributeError) as error:
        raise ModelError(f'{where} is not a whole safetensors file: {_MEND}.') from error
    try:
        header = json.loads(metadata[_HEADER_KEY])
        if header['format'] != name:
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{where} does not have the format {name!r}: {_MEND}.') from error
    return dict(header)


def _digest(arrays: Arrays) -> str:
    """Return the SHA-256 of named arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f'{name} {array.dtype.str} {array.shape} '.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
