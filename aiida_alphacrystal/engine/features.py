"""Stage 1: describe every atom of a cell by eleven numbers of its element (Table 1 of the paper).

The table ``elements.csv`` beside this module names the unit and the source of every column. J. Song et al.,
AlphaCrystal-II, 2024, doi:10.48550/arXiv.2404.04810.
"""

from __future__ import annotations

import csv
import functools
from importlib import resources

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS, Formula
from aiida_alphacrystal.engine.errors import TooManyAtomsError, UnsupportedElementError

__all__ = (
    'ELEMENT_COLUMNS',
    'MAX_Z',
    'atomic_numbers',
    'element_features',
    'element_table',
    'featurize',
    'site_features',
    'standardised_table',
    'supported_elements',
)

FloatArray = npt.NDArray[np.float64]

#: Above every atomic number in the table; the length of arrays by atomic number.
MAX_Z = 100

#: The descriptors of Table 1, in the order of the columns of every feature matrix.
ELEMENT_COLUMNS = (
    'mendeleev_number',
    'unpaired_electrons',
    'ionization_energy',
    'covalent_radius',
    'heat_of_formation',
    'dipole_polarizability',
    'average_ionic_radius',
    'group',
    'row',
    'electronegativity',
    'atomic_number',
)


def element_table() -> dict[str, FloatArray]:
    """Return the raw descriptors of every supported element, symbol to array of shape (11,).

    Units are those of ``elements.csv``: eV, pm, kJ/mol, atomic units, A and Pauling units where they have one.
    """
    return dict(_read_table())


@functools.cache
def _read_table() -> dict[str, FloatArray]:
    text = resources.files('aiida_alphacrystal.engine').joinpath('elements.csv').read_text(encoding='utf-8')
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith('#'))
    table = {}
    for row in rows:
        values = np.array([float(row[name]) for name in ELEMENT_COLUMNS], dtype=np.float64)
        values.flags.writeable = False
        table[row['symbol']] = values
    return table


def atomic_numbers() -> dict[str, int]:
    """Return the atomic number of every supported element by its symbol."""
    return dict(_atomic_numbers())


@functools.cache
def _atomic_numbers() -> dict[str, int]:
    return {symbol: int(row[ELEMENT_COLUMNS.index('atomic_number')]) for symbol, row in _read_table().items()}


def supported_elements() -> frozenset[str]:
    """Return the symbols of the elements that have all descriptors."""
    return frozenset(_read_table())


@functools.cache
def standardised_table() -> FloatArray:
    """Return the descriptors by atomic number, each with mean 0 and deviation 1, shape (MAX_Z, 11).

    Elements without descriptors have zeros.
    """
    numbers = atomic_numbers()
    values = np.array(list(_read_table().values()))
    table = np.zeros((MAX_Z, values.shape[1]))
    table[[numbers[symbol] for symbol in _read_table()]] = (values - values.mean(axis=0)) / values.std(axis=0)
    table.flags.writeable = False
    return table


def element_features(formula: Formula) -> FloatArray:
    """Return the descriptors of each distinct element of a formula, shape (elements, 11).

    :param formula: the compound; rows follow ``formula.elements``.
    :raises UnsupportedElementError: if an element has no descriptors.
    """
    table = _read_table()
    for symbol in formula.elements:
        if symbol not in table:
            raise UnsupportedElementError(
                f'The element {symbol} of {formula.label} has no complete set of descriptors, so the distance network '
                'does not know it: use the elements from H to Pu except Po, At and Fr.'
            )
    return np.stack([table[symbol] for symbol in formula.elements])


def site_features(
    element_rows: npt.ArrayLike, formula: Formula, formula_units: int, max_sites: int = DEFAULT_MAX_ATOMS
) -> FloatArray:
    """Repeat the descriptors of each element for all of its atoms and pad with zeros.

    :param element_rows: descriptors of each distinct element, shape (elements, 11).
    :param formula: the compound.
    :param formula_units: formula units in the cell.
    :param max_sites: rows of the result.
    :return: one row for every atom in the order of ``formula.species``, then zeros, shape (max_sites, 11).
    :raises TooManyAtomsError: if the cell holds more than ``max_sites`` atoms.
    """
    natoms = formula.atoms_per_unit * formula_units
    if natoms > max_sites:
        raise TooManyAtomsError(
            f'A cell {formula.cell_formula(formula_units)} holds {natoms} atoms, more than the limit of {max_sites} '
            'per cell: give a smaller cell or raise the limit.'
        )
    features = np.zeros((max_sites, len(ELEMENT_COLUMNS)), dtype=np.float64)
    repeats = np.array(formula.counts) * formula_units
    features[:natoms] = np.repeat(np.asarray(element_rows, dtype=np.float64), repeats, axis=0)
    return features


def featurize(formula: Formula, formula_units: int, max_sites: int = DEFAULT_MAX_ATOMS) -> FloatArray:
    """Return the zero-padded feature matrix of a cell, shape (max_sites, 11).

    :param formula: the compound.
    :param formula_units: formula units in the cell.
    :param max_sites: rows of the result; the paper uses 12.
    :raises UnsupportedElementError: if an element has no descriptors.
    :raises TooManyAtomsError: if the cell holds more than ``max_sites`` atoms.
    """
    return site_features(element_features(formula), formula, formula_units, max_sites)
