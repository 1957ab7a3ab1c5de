"""What every source of crystals offers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError
from aiida_alphacrystal.engine.datasets import Crystal

__all__ = ('Cursor', 'Entry', 'Fetched', 'GivenCrystals', 'Source')

#: Says after which page of a source to go on: a number of entries or pages, or the address of the next page.
Cursor = int | str

#: Crystals of a page where a source could give all at once.
_PAGE = 200


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of a source.

    :param name: of the crystal.
    :param read: returns the crystal; raises ``UnusableError`` where the entry is none that can be used.
    """

    name: str
    read: Callable[[], Crystal]


@dataclasses.dataclass(frozen=True)
class Fetched:
    """A page of a source.

    :param entries: in the order of the source.
    :param after: where to go on after this page; None after the last one.
    :param total: entries of the whole source, None where that is not known.
    :param facts: what the source says about itself, for the card.
    """

    entries: tuple[Entry, ...]
    after: Cursor | None
    total: int | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Source(Protocol):
    """Where crystals come from."""

    def describe(self) -> dict[str, Any]:
        """Return what decides about the crystals, as plain values."""

    def pages(self, after: Cursor | None) -> Iterator[Fetched]:
        """Yield the entries page by page.

        :param after: where to go on, as a page before has said; None for the beginning.
        """


@dataclasses.dataclass(frozen=True)
class GivenCrystals:
    """Crystals that are there already.

    :param description: what decides about them, as plain values.
    :param crystals: each one in its primitive cell.
    :param left_out: name of everything else that was there, and why it cannot be used.
    """

    description: Mapping[str, Any]
    crystals: tuple[Crystal, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return what decides about the crystals, as plain values."""
        return dict(self.description)

    def pages(self, after: Cursor | None) -> Iterator[Fetched]:
        """Yield what is left out, and then the crystals, page by page.

        :param after: how many of them to leave out at the beginning; None for none.
        """
        entries = (
            *(Entry(name, functools.partial(_refuse, reason)) for name, reason in self.left_out),
            *(Entry(crystal.material_id, functools.partial(_return, crystal)) for crystal in self.crystals),
        )
        total = len(entries)
        for begin in range(int(after or 0), total, _PAGE):
            yield Fetched(entries[begin : begin + _PAGE], begin + _PAGE if begin + _PAGE < total else None, total)


def _return(crystal: Crystal) -> Crystal:
    return crystal


def _refuse(reason: str) -> Crystal:
    raise UnusableError(reason)
