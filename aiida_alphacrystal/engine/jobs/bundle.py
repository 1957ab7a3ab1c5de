"""One file that holds a document and arrays: a numpy archive, the document in it as JSON, never a pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('BundleError', 'read_bundle', 'to_plain', 'write_bundle')

_DOCUMENT = 'document'


class BundleError(AlphaCrystalError):
    """A file of a job is missing or damaged."""


def write_bundle(path: Path, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file so that it is there whole or not at all.

    :param path: the file, replaced if it exists.
    :param document: anything JSON can hold.
    :param arrays: arrays by name.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(document, default=to_plain).encode(), dtype=np.uint8)
    np.savez(buffer, allow_pickle=False, **{_DOCUMENT: text}, **arrays)
    write_atomically(path, buffer.getvalue())


def read_bundle(content: bytes, where: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the document and the arrays of a file.

    :param content: its bytes.
    :param where: what it is called in messages.
    :raises BundleError: if it is damaged.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        document = json.loads(arrays.pop(_DOCUMENT).tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f'{where} is damaged ({type(error).__name__}): run the job again.') from error
    return document, arrays


def to_plain(value: Any) -> Any:
    """Return what JSON can hold in place of a numpy number or of a collection.

    :param value: what JSON cannot hold.
    """
    return value.item() if isinstance(value, np.generic) else list(value)
