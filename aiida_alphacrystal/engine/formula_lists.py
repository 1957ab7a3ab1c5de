"""Lists of compounds: read from a file, or enumerated from a chemical system."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS, Formula, formula_from_counts, parse_formula
from aiida_alphacrystal.engine.errors import AlphaCrystalError, FormulaError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = (
    'DEFAULT_SYSTEM_ATOMS',
    'MAX_FORMULAS',
    'ChemicalSystem',
    'FormulaList',
    'charges_can_balance',
    'is_chemical_system',
    'parse_chemical_system',
    'read_formula_file',
    'read_formula_lines',
)

#: Longest list of compounds that is screened at once.
MAX_FORMULAS = 10_000

#: Largest formula unit of an enumerated composition where nothing is said; larger ones are rare among known crystals.
DEFAULT_SYSTEM_ATOMS = 12

#: Most compositions that are looked at in an enumeration; six elements with up to twenty atoms are 38,760.
_MAX_LOOKED_AT = 1_000_000

#: Columns of a table in which formulas are looked for, the first one that is there.
_COLUMNS = ('formula', 'reduced_formula', 'formula_pretty', 'pretty_formula', 'composition')

#: Bad lines that are told one by one.
_TOLD = 20

_TERM = re.compile(r'([A-Z][a-z]?)(?::([0-9]+)(?:-([0-9]+))?)?')


@dataclasses.dataclass(frozen=True)
class FormulaList:
    """Distinct compounds in the order in which they were named.

    :param formulas: the compounds.
    :param repeated: how many lines named a compound again.
    """

    formulas: tuple[Formula, ...]
    repeated: int = 0


@dataclasses.dataclass(frozen=True)
class ChemicalSystem:
    """Elements that occur together, with the smallest and largest number of atoms of each in a formula unit.

    :param amounts: element to the two numbers; the second one is None where it is open.
    """

    amounts: dict[str, tuple[int, int | None]]

    def compounds(self, max_atoms: int = DEFAULT_SYSTEM_ATOMS, *, balanced: bool = True) -> tuple[Formula, ...]:
        """Return every reduced composition that holds all elements, the smallest first.

        :param max_atoms: the largest number of atoms in a formula unit.
        :param balanced: leave out those whose charges cannot balance.
        :raises FormulaError: if there are none, or more than ``MAX_FORMULAS``.
        """
        if max_atoms > DEFAULT_MAX_ATOMS:
            raise FormulaError(f'Formula units of {max_atoms} atoms are too large: give at most {DEFAULT_MAX_ATOMS}.')
        if math.comb(max_atoms, len(self.amounts)) > _MAX_LOOKED_AT:
            raise FormulaError(f'The system {self} has too many compositions: name fewer elements or fewer atoms.')
        found = [
            counts
            for counts in self._counts(max_atoms)
            if math.gcd(*counts) == 1 and (not balanced or charges_can_balance(tuple(self.amounts), counts))
        ]
        if not found:
            which = ' whose charges can balance' if balanced else ''
            raise FormulaError(
                f'The system {self} has no composition of at most {max_atoms} atoms{which}: '
                f'allow more atoms{", wider ranges or compositions of any charge" if balanced else " or wider ranges"}.'
            )
        if len(found) > MAX_FORMULAS:
            raise FormulaError(
                f'The system {self} has {len(found):,} compositions of at most {max_atoms} atoms, more than '
                f'{MAX_FORMULAS:,}: allow fewer atoms or narrower ranges.'
            )
        found.sort(key=lambda counts: (sum(counts), counts))
        return tuple(formula_from_counts(dict(zip(self.amounts, counts, strict=True))) for counts in found)

    def _counts(self, max_atoms: int) -> Iterator[tuple[int, ...]]:
        """Yield the numbers of atoms within the ranges, no more in all than ``max_atoms``."""
        ranges = list(self.amounts.values())

        def extend(chosen: tuple[int, ...], left: int) -> Iterator[tuple[int, ...]]:
            if len(chosen) == len(ranges):
                yield chosen
                return
            needed = sum(low for low, _ in ranges[len(chosen) + 1 :])
            low, high = ranges[len(chosen)]
            for count in range(low, min(left - needed, left if high is None else high) + 1):
                yield from extend((*chosen, count), left - count)

        return extend((), max_atoms)

    def __str__(self) -> str:
        def term(symbol: str, low: int, high: int | None) -> str:
            if (low, high) == (1, None):
                return symbol
            return f'{symbol}:{low}' if low == high else f'{symbol}:{low}-{"" if high is None else high}'

        return '-'.join(term(symbol, low, high) for symbol, (low, high) in self.amounts.items())


def is_chemical_system(text: str) -> bool:
    """Return whether a text is written like a chemical system: at least two terms with hyphens between them.

    :param text: such as ``Li-Fe-P-O``.
    """
    return re.fullmatch(rf'{_TERM.pattern}(-{_TERM.pattern})+', text.strip()) is not None


def parse_chemical_system(text: str) -> ChemicalSystem:
    """Read a chemical system such as ``Li-Fe-P-O`` or, with the numbers of atoms, ``Li:1-3-Fe-P:1-O:2-8``.

    :param text: elements with hyphens between them, each with a number or a range of numbers after a colon.
    :raises FormulaError: if it is no chemical system.
    """
    if not is_chemical_system(text):
        raise FormulaError(f'{text!r} is no chemical system: write one such as Li-Fe-P-O or Li:1-3-Fe-P:1-O:2-8.')
    amounts: dict[str, tuple[int, int | None]] = {}
    for match in _TERM.finditer(text.strip()):
        symbol, low, high = match.groups()
        if symbol in amounts:
            raise FormulaError(f'The system {text} names {symbol} twice: name each element once.')
        smallest = 1 if low is None else int(low)
        largest = None if low is None else int(high or low)
        if smallest < 1 or (largest is not None and largest < smallest):
            raise FormulaError(
                f'The system {text} wants {match.group()}: give a range from 1 up, such as {symbol}:1-3.'
            )
        formula_from_counts({symbol: 1})  # refuses what is no element
        amounts[symbol] = (smallest, largest)
    return ChemicalSystem(amounts)


def charges_can_balance(elements: Sequence[str], counts: Sequence[int]) -> bool:
    """Return whether common oxidation states of the elements can add up to zero, or all elements are metals.

    The oxidation states are those that pymatgen calls common. All atoms of a nonmetal have the same one; those of a
    metal may differ, so that their average lies anywhere between the lowest and the highest, as in Fe3O4 and LiMnO2.

    :param elements: symbols of the elements.
    :param counts: atoms of each.
    """
    from pymatgen.core import Element

    amounts = [(Element(symbol), count) for symbol, count in zip(elements, counts, strict=True)]
    metals = [pair for pair in amounts if pair[0].is_metal]
    if len(metals) == len(amounts):
        return True
    lowest = sum(count * min(metal.common_oxidation_states, default=0) for metal, count in metals)
    highest = sum(count * max(metal.common_oxidation_states, default=0) for metal, count in metals)
    others = [
        [count * state for state in element.common_oxidation_states]
        for element, count in amounts
        if not element.is_metal
    ]
    return any(lowest <= -sum(charges) <= highest for charges in itertools.product(*others))


def read_formula_file(path: Path, check: Callable[[Formula], object] | None = None) -> FormulaList:
    """Read a list of compounds from a text file or a table.

    :param path: one formula a line, or a CSV file; see :func:`read_formula_lines`.
    :param check: raises an error of the engine for a compound that cannot be used.
    :raises FormulaError: if the file cannot be read, or some of its lines cannot be used; the message names each line.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise FormulaError(f'The file {str(path)!r} is no text in UTF-8: save it as plain text or CSV.') from error
    except OSError as error:
        raise FormulaError(f'The file {str(path)!r} cannot be read ({error.strerror}): check its name.') from error
    return read_formula_lines(text.splitlines(), path.name, check)


def read_formula_lines(
    lines: Iterable[str], name: str, check: Callable[[Formula], object] | None = None
) -> FormulaList:
    """Read a list of compounds.

    Each line holds one formula; what follows a ``#`` and empty lines are left out. In a table with commas, semicolons
    or tabs the formulas stand in the column ``formula``, or in the first column where no header names one.

    :param lines: the lines.
    :param name: what the lines are called in a message.
    :param check: raises an error of the engine for a compound that cannot be used.
    :raises FormulaError: if some of the lines cannot be used, which the message names, or there is no formula at all.
    """
    formulas: dict[Formula, None] = {}
    bad: list[str] = []
    named = 0
    for number, text in _cells(lines):
        named += 1
        try:
            formula = parse_formula(text)
            if check is not None:
                check(formula)
        except AlphaCrystalError as error:
            bad.append(f'line {number}: {error}')
            continue
        formulas[formula] = None
    if bad:
        raise FormulaError(_describe(bad, name))
    if not formulas:
        raise FormulaError(f'{name} holds no formula: write one on each line, such as SrTiO3.')
    if len(formulas) > MAX_FORMULAS:
        raise FormulaError(
            f'{name} holds {len(formulas):,} formulas: split it, {MAX_FORMULAS:,} can be screened at once.'
        )
    return FormulaList(tuple(formulas), named - len(formulas))


def _cells(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the number of each line that is not empty and the text where its formula stands."""
    column: int | None = None
    for number, line in enumerate(lines, start=1):
        content = line.split('#', 1)[0].strip()
        if not content:
            continue
        delimiter = next((character for character in ',;\t' if character in content), ',')
        cells = [cell.strip() for cell in next(csv.reader([content], delimiter=delimiter))]
        if column is None:
            names = [cell.lower() for cell in cells]
            header = next((names.index(known) for known in _COLUMNS if known in names), None)
            column = header or 0
            if header is not None:
                continue
        yield number, cells[column] if column < len(cells) else ''


def _describe(bad: Sequence[str], name: str) -> str:
    """Say which lines cannot be used."""
    if len(bad) == 1:
        return f'{name}, {bad[0]}'
    more = f'\n  and {len(bad) - _TOLD} more' if len(bad) > _TOLD else ''
    told = ''.join(f'\n  {line}' for line in bad[:_TOLD])
    return f'{len(bad)} lines of {name} cannot be used:{told}{more}'
