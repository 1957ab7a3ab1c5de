"""Read the crystals that the models are trained and scored on."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.composition import Formula, formula_from_counts
from aiida_alphacrystal.engine.errors import AlphaCrystalError, FormulaError

__all__ = ('Crystal', 'DatasetError', 'file_sha256', 'iterate_crystals', 'read_crystals', 'with_spacegroup')

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
    """Read all crystals of a file.

    :param path: a JSONL file, one crystal a line, compressed if its name ends in ``.gz``.
    :param max_atoms: leave larger cells out.
    :raises DatasetError: if the file or one of its lines cannot be read.
    """
    crystals = tuple(crystal for crystal in iterate_crystals(path) if max_atoms is None or crystal.natoms <= max_atoms)
    if not crystals:
        raise DatasetError(f'The file {path} holds no crystal that can be used: give one JSON object a line.')
    return crystals


def iterate_crystals(path: Path) -> Iterator[Crystal]:
    """Yield the crystals of a file one after the other; empty lines are skipped.

    :param path: a JSONL file, one crystal a line, compressed if its name ends in ``.gz``.
    :raises DatasetError: if the file or one of its lines cannot be read.
    """
    opener = gzip.open if path.suffix == '.gz' else open
    number = 0
    try:
        with opener(path, 'rt', encoding='utf-8') as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    yield _read_line(line, f'{path}:{number}')
    except FileNotFoundError as error:
        raise DatasetError(f'There is no file {path}: give the path of a JSONL file of crystals.') from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DatasetError(f'{path}:{number + 1} cannot be read ({error}): the file is damaged or no JSONL.') from error


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


def _read_line(line: str, where: str) -> Crystal:
    """Read one crystal.

    :param where: file and line, for the message.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f'{where} is not a JSON object ({error.msg}): mend or remove this line.') from error
    if not isinstance(row, dict):
        raise DatasetError(f'{where} is not a JSON object: mend or remove this line.')
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
