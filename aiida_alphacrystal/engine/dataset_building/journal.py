"""Keep what has been read of a source, so that the same command goes on from there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from aiida_alphacrystal.engine.dataset_building.crystals import crystal_row
from aiida_alphacrystal.engine.dataset_building.sources import Cursor
from aiida_alphacrystal.engine.datasets import Crystal, read_line
from aiida_alphacrystal.engine.journal import LineJournal

__all__ = ('DatasetJournal', 'Page')


@dataclasses.dataclass(frozen=True)
class Page:
    """What has become of a page of a source.

    :param crystals: those that are taken.
    :param after: where to go on; None after the last page.
    :param left_out: name of every entry that is no crystal that can be used, and why.
    :param filtered: why how many crystals are not taken.
    :param facts: what the source says about itself.
    """

    crystals: tuple[Crystal, ...]
    after: Cursor | None
    left_out: tuple[tuple[str, str], ...] = ()
    filtered: Mapping[str, int] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def read(self) -> int:
        """Return the number of entries on the page."""
        return len(self.crystals) + len(self.left_out) + sum(self.filtered.values())


class DatasetJournal(LineJournal[Page]):
    """What has been read of a source, in the directory of a data set.

    :param directory: made where it is missing.
    :param plan: what decides about the data set, as plain values.
    :raises JournalError: if the directory holds another data set, or another command is at work there.
    """

    file_name = 'pages.jsonl'
    busy = 'Another command makes a data set in'
    foreign = 'holds a data set that was asked for otherwise'

    @classmethod
    def encode(cls, result: Page) -> Any:
        """Return a page as plain values.

        :param result: the page.
        """
        values = {name: getattr(result, name) for name in ('after', 'left_out', 'filtered', 'facts')}
        return {**values, 'crystals': [crystal_row(crystal) for crystal in result.crystals]}

    @classmethod
    def decode(cls, values: Any) -> Page:
        """Return the page that plain values stand for.

        :param values: as ``encode`` has made them.
        """
        return Page(
            crystals=tuple(read_line(json.dumps(row), 'crystal') for row in values['crystals']),
            after=values['after'],
            left_out=tuple((str(name), str(reason)) for name, reason in values['left_out']),
            filtered=dict(values['filtered']),
            facts=dict(values['facts']),
        )
