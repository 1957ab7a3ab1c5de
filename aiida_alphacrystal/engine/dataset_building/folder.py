"""Read crystals from files: CIF, JSON lines, and tables with a column of CIF."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import gzip
import hashlib
import io
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError, finite_number, primitive_crystal
from aiida_alphacrystal.engine.dataset_building.sources import Cursor, Entry, Fetched
from aiida_alphacrystal.engine.datasets import Crystal, DatasetError, file_sha256, read_line
from aiida_alphacrystal.engine.errors import one_sentence

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('ENDINGS', 'FolderSource', 'find_files')

#: Endings of the files that are read.
ENDINGS = ('.cif', '.jsonl', '.jsonl.gz', '.csv', '.csv.gz')

_PAGE = 100

#: Longest cell of a table, characters.
_LONGEST_CELL = 100_000_000


def find_files(path: Path) -> tuple[Path, ...]:
    """Return the files of crystals at a path, in the order of their names.

    :param path: one file, or a directory, which is searched with all that is in it.
    :raises DatasetError: if there are none.
    """
    if path.is_dir():
        files = tuple(sorted(file for file in path.rglob('*') if _ending(file) and file.is_file()))
    else:
        files = (path,) if _ending(path) and path.is_file() else ()
    if not files:
        raise DatasetError(f'There is no file of crystals at {path}: give one that ends in {", ".join(ENDINGS)}.')
    return files


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Files of crystals.

    CIF files hold one crystal each. A line of JSON has the fields that ``read_crystals`` reads. A table has a
    column ``cif`` and may have ``material_id``, ``formation_energy_per_atom`` and ``e_above_hull``, as MP-20 has them.

    :param path: one file, or a directory, which is searched with all that is in it.
    :raises DatasetError: if there are none.
    """

    path: Path

    def __post_init__(self) -> None:
        """See that there are files."""
        find_files(self.path)

    def describe(self) -> dict[str, Any]:
        """Return what decides about the crystals: the name of the path, and a hash of all files."""
        files = find_files(self.path)
        digest = hashlib.sha256()
        for file in files:
            digest.update(f'{self._name(file)} {file_sha256(file)}\n'.encode())
        return {'kind': 'files', 'path': self.path.name, 'files': len(files), 'sha256': digest.hexdigest()}

    def pages(self, after: Cursor | None) -> Iterator[Fetched]:
        """Yield the entries page by page.

        :param after: how many entries to leave out at the beginning; None for none.
        :raises DatasetError: if a file is damaged, or a table has no column ``cif``.
        """
        total = sum(1 for _ in self._entries())
        begin = int(after or 0)
        entries = itertools.islice(self._entries(), begin, None)
        while page := tuple(itertools.islice(entries, _PAGE)):
            begin += len(page)
            yield Fetched(page, begin if begin < total else None, total)

    def _entries(self) -> Iterator[Entry]:
        for file in find_files(self.path):
            name = self._name(file)
            if _ending(file) == '.cif':
                yield Entry(name.removesuffix(file.suffix), functools.partial(_read_cif_file, file, name))
            elif '.csv' in _ending(file):
                yield from _table_entries(file, name)
            else:
                yield from _line_entries(file, name)

    def _name(self, file: Path) -> str:
        return file.name if file == self.path else file.relative_to(self.path).as_posix()


def _ending(path: Path) -> str:
    """Return which of the endings a file has, in lower case, or nothing."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), '')


def _text_of(file: Path) -> Iterator[str]:
    """Yield the lines of a file that may be compressed.

    :raises DatasetError: if it is damaged.
    """
    try:
        with contextlib.ExitStack() as stack:
            handle = stack.enter_context(file.open('rb'))
            content = stack.enter_context(gzip.GzipFile(fileobj=handle)) if file.suffix.lower() == '.gz' else handle
            yield from stack.enter_context(io.TextIOWrapper(content, encoding='utf-8-sig', newline=''))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DatasetError(f'{file} cannot be read ({one_sentence(error)}): the file is damaged or no text.') from error


def _line_entries(file: Path, name: str) -> Iterator[Entry]:
    for number, line in enumerate(_text_of(file), start=1):
        if line.strip():
            where = f'{name}:{number}'
            yield Entry(where, functools.partial(_read_json_line, line, where))


def _table_entries(file: Path, name: str) -> Iterator[Entry]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(_text_of(file))
    try:
        if 'cif' not in (reader.fieldnames or ()):
            raise DatasetError(f'{file} has no column cif: add one that holds a CIF file in every row.')
        for number, row in enumerate(reader, start=1):
            title = row.get('material_id') or f'{name}:{number}'
            yield Entry(title, functools.partial(_read_table_row, row, title))
    except csv.Error as error:
        raise DatasetError(f'{file} cannot be read as a table ({one_sentence(error)}): mend the file.') from error


def _read_json_line(line: str, where: str) -> Crystal:
    try:
        known = read_line(line, where)
    except DatasetError as error:
        reason = str(error).removeprefix(f'{where} ').removesuffix(': mend or remove this line.')
        raise UnusableError(reason) from error
    return primitive_crystal(
        known.to_structure(), known.material_id, known.formation_energy_per_atom, known.e_above_hull
    )


def _read_cif_file(file: Path, name: str) -> Crystal:
    try:
        text = file.read_text(encoding='utf-8', errors='replace')
    except OSError as error:
        raise UnusableError(f'the file cannot be read ({error.strerror})') from error
    return primitive_crystal(_structure_of(text), name.removesuffix(file.suffix))


def _read_table_row(row: dict[str, Any], title: str) -> Crystal:
    energies = (_number_of(row, key) for key in ('formation_energy_per_atom', 'e_above_hull'))
    return primitive_crystal(_structure_of(row['cif'] or ''), title, *energies)


def _structure_of(cif: str) -> Structure:
    """Return the first structure of the text of a CIF file.

    :raises UnusableError: if there is none.
    """
    from pymatgen.io.cif import CifParser

    try:
        structure: Structure = CifParser.from_str(cif).parse_structures(primitive=False)[0]
    except Exception as error:  # there is no end to what a damaged file can raise in the parser
        raise UnusableError(f'no CIF of a crystal ({one_sentence(error)[:80]})') from error
    return structure


def _number_of(row: dict[str, Any], key: str) -> float | None:
    """Return a number of a table, None where the cell is empty.

    :raises UnusableError: if the cell holds something else.
    """
    text = (row.get(key) or '').strip()
    if not text:
        return None
    try:
        number = finite_number(float(text))
    except ValueError:
        number = None
    if number is None:
        raise UnusableError(f'{key} is no number')
    return number
