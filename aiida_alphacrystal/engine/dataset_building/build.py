"""Build a data set: read a source, filter, remove duplicates, split, write."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import hashlib
import importlib.metadata
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiida_alphacrystal
from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError, crystal_row
from aiida_alphacrystal.engine.dataset_building.duplicates import without_duplicates
from aiida_alphacrystal.engine.dataset_building.filters import Filters
from aiida_alphacrystal.engine.dataset_building.journal import DatasetJournal, Page
from aiida_alphacrystal.engine.dataset_building.sources import Fetched, Source
from aiida_alphacrystal.engine.dataset_building.split import Split
from aiida_alphacrystal.engine.datasets import Crystal, DatasetError
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.symmetry import SYMMETRY_TOLERANCE

__all__ = ('CARD', 'DatasetSettings', 'build_dataset')

#: Name of the file that says what a data set holds.
CARD = 'card.json'


@dataclasses.dataclass(frozen=True)
class DatasetSettings:
    """What is made of the crystals of a source.

    :param filters: which crystals are taken.
    :param split: how their formulas are shared.
    :param limit: how many crystals are taken at most, the first ones; all where it is None.
    :param stated: what a user says about origin and licence.
    """

    filters: Filters = dataclasses.field(default_factory=Filters)
    split: Split = dataclasses.field(default_factory=Split)
    limit: int | None = None
    stated: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {'filters': self.filters.describe(), 'split': self.split.describe(), 'limit': self.limit}


def build_dataset(source: Source, settings: DatasetSettings, directory: Path) -> dict[str, Any]:
    """Write the crystals of a source as files that the training commands read, and a card that says what they are.

    What has been read is kept in the directory as it comes: the same call goes on from there after a stop. Each file
    is there whole or not at all, and the same crystals and settings give the same bytes.

    :param source: where the crystals come from.
    :param settings: what is made of them.
    :param directory: for the files; made where it is missing.
    :return: the card.
    :raises DatasetError: if the source cannot be read, or nothing of it is taken.
    :raises JournalError: if the directory holds another data set.
    """
    described = source.describe()
    with DatasetJournal(directory, {'source': described, **settings.describe()}) as journal:
        _read(source, settings, journal)
        pages = journal.results
        crystals = tuple(itertools.chain.from_iterable(page.crystals for page in pages))
        left_out = tuple(itertools.chain.from_iterable(page.left_out for page in pages))
        filtered = sum((Counter(page.filtered) for page in pages), Counter[str]())
        if not crystals:
            raise DatasetError(_nothing(sum(page.read for page in pages), left_out, filtered))
        distinct = without_duplicates(crystals)
        files = _write(distinct, settings.split, directory)
        facts: dict[str, Any] = {}
        for page in pages:
            facts |= page.facts
        card = {
            'source': described | facts | ({} if settings.stated is None else {'stated': settings.stated}),
            'date': datetime.datetime.now(datetime.UTC).date().isoformat(),
            'settings': settings.describe(),
            'cells': f'standard primitive cells, symmetry within {SYMMETRY_TOLERANCE} A made exact (spglib)',
            'counts': {
                'read': sum(page.read for page in pages),
                'left_out': dict(Counter(reason for _, reason in left_out).most_common()),
                'filtered': dict(filtered.most_common()),
                'duplicates': len(crystals) - len(distinct),
                'written': {part: file['crystals'] for part, file in files.items()},
            },
            'files': {_file_of(part): file for part, file in files.items()},
            'versions': {
                'aiida-alphacrystal': aiida_alphacrystal.__version__,
                **{name: importlib.metadata.version(name) for name in ('pymatgen', 'spglib')},
            },
            'left_out': [{'material_id': name, 'reason': reason} for name, reason in left_out],
        }
        write_atomically(directory / CARD, (json.dumps(card, indent=2, allow_nan=False) + '\n').encode())
    return card


def _read(source: Source, settings: DatasetSettings, journal: DatasetJournal) -> None:
    """Read what the journal does not hold yet."""
    taken = sum(len(page.crystals) for page in journal.results)
    done = sum(page.read for page in journal.results)
    if taken == settings.limit or (journal.results and journal.results[-1].after is None):
        return
    for fetched in source.pages(journal.results[-1].after if journal.results else None):
        room = None if settings.limit is None else settings.limit - taken
        page = _sift(fetched, settings.filters, done, room)
        journal.add(page)
        done += page.read
        taken += len(page.crystals)
        if taken == settings.limit:
            return


def _sift(fetched: Fetched, filters: Filters, before: int, room: int | None) -> Page:
    """Return what becomes of a page of a source, or of its beginning where no more crystals are wanted.

    :param before: entries of the pages before it.
    :param room: how many crystals to take at most; all where it is None.
    """
    crystals: list[Crystal] = []
    left_out: list[tuple[str, str]] = []
    filtered: Counter[str] = Counter()
    for number, entry in enumerate(fetched.entries, start=before + 1):
        if len(crystals) == room:
            break
        try:
            crystal = entry.read()
        except UnusableError as reason:
            left_out.append((entry.name, str(reason)))
        else:
            refusal = filters.refusal(crystal)
            if refusal is None:
                crystals.append(crystal)
            else:
                filtered[refusal] += 1
        more = fetched.after is not None
        report('read', number, max(fetched.total or 0, number + more))
    return Page(tuple(crystals), fetched.after, tuple(left_out), filtered, fetched.facts)


def _nothing(read: int, left_out: Sequence[tuple[str, str]], filtered: Counter[str]) -> str:
    """Return the message that says why there is nothing to write."""
    if not read:
        return 'The source holds no crystal: ask it for something else.'
    reasons = filtered + Counter(reason for _, reason in left_out)
    reason, count = reasons.most_common(1)[0]
    return f'None of the {read} entries of the source is taken (most often, {count} times: {reason}): ask for others.'


def _write(crystals: Sequence[Crystal], split: Split, directory: Path) -> dict[str, dict[str, Any]]:
    """Write a file for each part and return what each holds."""
    parts: dict[str, list[Crystal]] = {part: [] for part in split.parts}
    for crystal in crystals:
        parts[split.part_of(crystal.formula.reduced)].append(crystal)
    files = {}
    for done, (part, members) in enumerate(parts.items(), start=1):
        content = gzip.compress(''.join(_lines(members)).encode(), mtime=0)  # no time, so that the bytes are the same
        write_atomically(directory / _file_of(part), content)
        formulas = len({crystal.formula.reduced for crystal in members})
        facts = {'crystals': len(members), 'formulas': formulas, 'sha256': hashlib.sha256(content).hexdigest()}
        files[part] = facts
        report('write', done, len(parts))
    return files


def _lines(crystals: Sequence[Crystal]) -> Iterator[str]:
    return (json.dumps(crystal_row(crystal), separators=(',', ':'), allow_nan=False) + '\n' for crystal in crystals)


def _file_of(part: str) -> str:
    return f'{part}.jsonl.gz'
