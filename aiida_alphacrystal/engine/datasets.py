"""Read the crystals that the models are trained and scored on."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.composition import Formula, formula_from_counts
from aiida_alphacrystal.engine.errors import AlphaCrystalError, FormulaError, one_sentence

__all__ = (
    'Crystal',
    'DatasetError',
    'draw_crystals',
    'file_sha256',
    'iterate_crystals',
    'iterate_lines',
    'near_hull',
    'read_cif',
    'read_crystals',
    'read_line',
    'with_spacegroup',
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

FloatArray = npt.NDArray[np.float64]


class DatasetError(AlphaCrystalError):
    """A file of crystals cannot be read."""


@dataclasses.dataclass(frozen=True)
class Crystal:
    """One known crystal in a primitive cell.

    :param material_id: name of the entry in the database that it comes from.
    :param lattice: lattice vectors as rows, shape (3, 3), A.
    :param species: element symbol of every atom.
    :param frac_coords: fractional coordinates, shape (atoms, 3).
    :param spacegroup: number of the space group, from 1 to 230, or None where it is not known.
    :param formation_energy_per_atom: eV/atom, or None where it is not known.
    :param e_above_hull: energy above the convex hull, eV/atom, or None where it is not known.
    """

    material_id: str
    lattice: FloatArray
    species: tuple[str, ...]
    frac_coords: FloatArray
    spacegroup: int | None = None
    formation_energy_per_atom: float | None = None
    e_above_hull: float | None = None

    @property
    def natoms(self) -> int:
        """Return the number of atoms in the cell."""
        return len(self.species)

    @property
    def volume(self) -> float:
        """Return the volume of the cell, cubic angstrom."""
        return abs(float(np.linalg.det(self.lattice)))

    def to_structure(self) -> Structure:
        """Return the crystal as a pymatgen structure, its atoms in the same order."""
        from pymatgen.core import Structure

        return Structure(self.lattice, list(self.species), self.frac_coords)

    @property
    def formula(self) -> Formula:
        """Return the formula with the number of formula units of this cell."""
        return formula_from_counts(Counter(self.species), max_atoms=self.natoms, fix_cell=True)


def read_crystals(path: Path, max_atoms: int | None = None) -> tuple[Crystal, ...]:
    """Read all crystals of a file or a directory.

    :param path: a JSONL file, one crystal a line, compressed if its name ends in ``.gz``; or a directory of CIF files.
    :param max_atoms: leave larger cells out.
    :raises DatasetError: if the file or one of its lines cannot be read.
    """
    crystals = tuple(crystal for crystal in iterate_crystals(path) if max_atoms is None or crystal.natoms <= max_atoms)
    if not crystals:
        small = '' if max_atoms is None else f' of at most {max_atoms} atoms'
        raise DatasetError(f'{path} holds no crystal{small}: give one JSON object a line, or a directory of CIF files.')
    return crystals


def iterate_crystals(path: Path) -> Iterator[Crystal]:
    """Yield the crystals of a file or a directory one after the other.

    :param path: a JSONL file, one crystal a line, compressed if its name ends in ``.gz``; or a directory of CIF files.
    :raises DatasetError: if the file or one of its lines cannot be read.
    """
    if path.is_dir():
        yield from (read_cif(file) for file in sorted(path.glob('*.cif')))
        return
    try:
        with path.open('rb') as handle:
            yield from iterate_lines(handle, str(path), compressed=path.suffix == '.gz')
    except FileNotFoundError as error:
        raise DatasetError(f'There is no file {path}: give the path of a JSONL file of crystals.') from error


def iterate_lines(handle: BinaryIO, name: str, compressed: bool = False) -> Iterator[Crystal]:
    """Yield the crystals of an open JSONL file one after the other; empty lines are skipped.

    :param handle: the file, one crystal a line.
    :param name: what it is called in messages.
    :param compressed: whether it is compressed by gzip.
    :raises DatasetError: if one of its lines cannot be read.
    """
    number = 0
    try:
        with contextlib.ExitStack() as stack:
            content = stack.enter_context(gzip.GzipFile(fileobj=handle)) if compressed else handle
            for number, line in enumerate(stack.enter_context(io.TextIOWrapper(content, encoding='utf-8')), start=1):
                if line.strip():
                    yield read_line(line, f'{name}:{number}')
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DatasetError(f'{name}:{number + 1} cannot be read ({error}): the file is damaged or no JSONL.') from error


def read_cif(path: Path) -> Crystal:
    """Read the primitive cell of a crystal from a CIF file; its name without the ending names the crystal.

    :param path: the file.
    :raises DatasetError: if it holds no crystal, or one with sites that are partly occupied.
    """
    from pymatgen.io.cif import CifParser

    try:
        structure = CifParser(path).parse_structures(primitive=True)[0]
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise DatasetError(f'{path} is no CIF file of a crystal ({one_sentence(error)}): mend or remove it.') from error
    if not structure.is_ordered:
        raise DatasetError(f'{path} has sites that are partly occupied: give a crystal in which every site is full.')
    row = {
        'material_id': path.stem,
        'species': [site.specie.symbol for site in structure],
        'lattice': structure.lattice.matrix.tolist(),
        'frac_coords': structure.frac_coords.tolist(),
    }
    return _read_row(row, str(path))


def draw_crystals(crystals: tuple[Crystal, ...], limit: int | None, seed: int) -> tuple[Crystal, ...]:
    """Return so many crystals drawn at random, in the order in which they were given.

    :param crystals: all crystals.
    :param limit: how many to draw; all of them where it is None or there are not more.
    :param seed: of the draw.
    """
    if limit is None or limit >= len(crystals):
        return crystals
    chosen = np.random.default_rng(seed).choice(len(crystals), size=limit, replace=False)
    return tuple(crystals[place] for place in sorted(chosen))


def near_hull(crystals: tuple[Crystal, ...], max_above_hull: float | None) -> tuple[Crystal, ...]:
    """Return the crystals that are known to be stable, or nearly so.

    :param crystals: crystals of a file.
    :param max_above_hull: highest energy above the hull, eV/atom; all crystals where it is None.
    :raises DatasetError: if there is none.
    """
    if max_above_hull is None:
        return crystals
    near = tuple(one for one in crystals if one.e_above_hull is not None and one.e_above_hull <= max_above_hull)
    if not near:
        raise DatasetError(
            f'No crystal of the file states an e_above_hull of at most {max_above_hull:g} eV/atom: add that field, or '
            'allow more.'
        )
    return near


def with_spacegroup(crystals: Sequence[Crystal]) -> tuple[Crystal, ...]:
    """Return the crystals whose space group is known.

    :param crystals: crystals of a file.
    :raises DatasetError: if there is none.
    """
    known = tuple(crystal for crystal in crystals if crystal.spacegroup is not None)
    if not known:
        raise DatasetError('No crystal of the file states its space group: add the field spacegroup, 1 to 230.')
    return known


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits.

    :param path: the file.
    """
    with path.open('rb') as handle:
        return hashlib.file_digest(handle, 'sha256').hexdigest()


def read_line(line: str, where: str) -> Crystal:
    """Read the crystal of one line.

    :param line: its text, a JSON object.
    :param where: file and line, for the message; the name of a crystal that has none.
    :raises DatasetError: if it cannot be read.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f'{where} is not a JSON object ({error.msg}): mend or remove this line.') from error
    if not isinstance(row, dict):
        raise DatasetError(f'{where} is not a JSON object: mend or remove this line.')
    return _read_row(row, where)


def _read_row(row: dict[str, Any], where: str) -> Crystal:
    """Check one crystal.

    :param where: where it comes from, for the message.
    """
    species = row.get('species')
    if not isinstance(species, list) or not species or not all(isinstance(symbol, str) for symbol in species):
        raise DatasetError(f'{where} needs species, a list of element symbols: mend or remove this line.')
    crystal = Crystal(
        material_id=str(row.get('material_id', where)),
        lattice=_read_array(row, 'lattice', (3, 3), where),
        species=tuple(species),
        frac_coords=_read_array(row, 'frac_coords', (len(species), 3), where),
        spacegroup=_read_spacegroup(row, where),
        formation_energy_per_atom=_read_number(row, 'formation_energy_per_atom', where),
        e_above_hull=_read_number(row, 'e_above_hull', where),
    )
    if abs(np.linalg.det(crystal.lattice)) < 1e-3:
        raise DatasetError(f'{where} has a lattice without volume: mend or remove this line.')
    try:
        _ = crystal.formula
    except FormulaError as error:
        raise DatasetError(f'{where} has species that cannot be used: {error}') from error
    return crystal


def _read_array(row: dict[str, Any], key: str, shape: tuple[int, int], where: str) -> FloatArray:
    try:
        array = np.array(row[key], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        raise DatasetError(f'{where} needs {key}, {shape[0]} rows of {shape[1]} numbers: mend or remove this line.')
    array.flags.writeable = False
    return array


def _read_spacegroup(row: dict[str, Any], where: str) -> int | None:
    value = row.get('spacegroup')
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 230:
        raise DatasetError(f'{where} has the space group {value!r}: give a number from 1 to 230 or leave it out.')
    return int(value)


def _read_number(row: dict[str, Any], key: str, where: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DatasetError(f'{where} has {key} = {value!r}: give a number in eV/atom or leave it out.')
    return float(value)
