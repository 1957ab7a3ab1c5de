"""How many threads torch computes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ('one_thread',)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the block.

    The tensors of small crystals are too small to share: on two cores that others use as well, two threads took more
    than ten times as long as one, waiting for each other. One thread also makes the bits independent of the machine's
    settings, since the last bits of a sum depend on how many threads share it.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
