"""Parse and check a chemical formula and fix the order of its atoms."""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Mapping, Sequence

from aiida_alphacrystal.engine.errors import FormulaError, TooManyAtomsError

__all__ = ('DEFAULT_MAX_ATOMS', 'Formula', 'formula_from_counts', 'parse_formula', 'reduced_counts')

#: Largest primitive cell of the default pipeline, the size of the MP-20 benchmark; the paper stops at 12.
DEFAULT_MAX_ATOMS = 20

_SUBSCRIPTS = str.maketrans('₀₁₂₃₄₅₆₇₈₉', '0123456789')
_AMOUNT = re.compile(r'[0-9]+')
_TOKEN = re.compile(r'(?P<element>[A-Z][a-z]?)|(?P<open>[(\[])|(?P<close>[)\]])|(?P<number>[0-9]+)')
_ISOTOPES = {'D': 'H', 'T': 'H'}


@dataclasses.dataclass(frozen=True)
class Formula:
    """A stoichiometric compound, with the number of formula units in its primitive cell when that is fixed.

    :param elements: symbols of the distinct elements, from the least to the most electronegative.
    :param counts: atoms of each element in one formula unit; they have no common divisor.
    :param formula_units: formula units in the primitive cell, or None where that is left to be predicted.
    """

    elements: tuple[str, ...]
    counts: tuple[int, ...]
    formula_units: int | None = None

    @property
    def reduced(self) -> str:
        """Return the reduced formula, such as ``SrTiO3``."""
        return _join(self.elements, self.counts)

    @property
    def label(self) -> str:
        """Return the formula of the whole cell where it is fixed, else the reduced one."""
        return self.cell_formula(self.formula_units or 1)

    @property
    def chemical_system(self) -> str:
        """Return the elements in alphabetical order with hyphens between them, such as ``O-Sr-Ti``."""
        return '-'.join(sorted(self.elements))

    @property
    def atoms_per_unit(self) -> int:
        """Return the number of atoms in one formula unit."""
        return sum(self.counts)

    def cell_formula(self, formula_units: int) -> str:
        """Return the formula of a cell of so many formula units, such as ``Al4O6``."""
        return _join(self.elements, tuple(count * formula_units for count in self.counts))

    def species(self, formula_units: int) -> tuple[str, ...]:
        """Return the element of every atom of a cell, equal elements side by side.

        :param formula_units: formula units in the cell.
        """
        pairs = zip(self.elements, self.counts, strict=True)
        return tuple(symbol for symbol, count in pairs for _ in range(count * formula_units))

    def allowed_formula_units(self, max_atoms: int) -> tuple[int, ...]:
        """Return the numbers of formula units that a cell of at most ``max_atoms`` atoms can hold."""
        if self.formula_units is not None:
            return (self.formula_units,)
        return tuple(range(1, max_atoms // self.atoms_per_unit + 1))


def _join(elements: tuple[str, ...], counts: tuple[int, ...]) -> str:
    return ''.join(symbol + (str(count) if count > 1 else '') for symbol, count in zip(elements, counts, strict=True))


def parse_formula(text: str, max_atoms: int = DEFAULT_MAX_ATOMS) -> Formula:
    """Read a chemical formula such as ``SrTiO3``, ``Ca(OH)2``, ``SrTiO₃`` or, for a whole cell, ``Al4O6``.

    A reduced formula leaves the number of formula units open; one whose counts share a divisor fixes the cell.

    :param text: the formula as the user wrote it.
    :param max_atoms: the largest number of atoms in the primitive cell.
    :raises FormulaError: if the text is no stoichiometric formula of real elements.
    :raises TooManyAtomsError: if it holds more than ``max_atoms`` atoms.
    """
    if not isinstance(text, str) or not text.strip():
        raise FormulaError('The formula is empty: give one such as SrTiO3.')
    counts = _read_groups(text.strip().translate(_SUBSCRIPTS), text.strip())
    return formula_from_counts(counts, max_atoms=max_atoms)


def formula_from_counts(
    counts: Mapping[str, int], max_atoms: int = DEFAULT_MAX_ATOMS, fix_cell: bool = False
) -> Formula:
    """Make a formula from the number of atoms of each element.

    :param counts: element symbol to number of atoms.
    :param max_atoms: the largest number of atoms in the primitive cell.
    :param fix_cell: whether the counts are the content of the cell even where they have no common divisor.
    :raises FormulaError: if an element does not exist or an amount is not a positive integer.
    :raises TooManyAtomsError: if there are more than ``max_atoms`` atoms.
    """
    if not counts:
        raise FormulaError('The composition is empty: give at least one element, such as {"Na": 1, "Cl": 1}.')
    for symbol, amount in counts.items():
        _check_element(symbol)
        _check_amount(symbol, amount)
    whole = {symbol: int(amount) for symbol, amount in counts.items()}
    natoms = sum(whole.values())
    if natoms > max_atoms:
        raise TooManyAtomsError(
            f'The formula {_join(tuple(whole), tuple(whole.values()))} holds {natoms} atoms, more than the limit of '
            f'{max_atoms} per cell: give a smaller formula unit or raise the limit as far as the network allows.'
        )
    divisor = math.gcd(*whole.values())
    elements = tuple(sorted(whole, key=_electronegativity_order))
    return Formula(
        elements=elements,
        counts=reduced_counts([whole[symbol] for symbol in elements]),
        formula_units=divisor if divisor > 1 or fix_cell else None,
    )


def reduced_counts(counts: Sequence[int]) -> tuple[int, ...]:
    """Return the atoms of each element in the smallest formula unit.

    :param counts: atoms of each element in some cell.
    """
    divisor = math.gcd(*counts)
    return tuple(count // divisor for count in counts)


def _read_groups(text: str, original: str) -> dict[str, int]:
    """Sum the atoms of a formula whose groups may be nested in parentheses."""
    stack: list[dict[str, int]] = [{}]
    openers: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup == 'number':
            raise FormulaError(_explain(text, position, original))
        amount_match = _AMOUNT.match(text, match.end()) if match.lastgroup != 'open' else None
        amount = int(amount_match.group()) if amount_match else 1
        end = amount_match.end() if amount_match else match.end()
        if text[end : end + 1] == '.':
            raise FormulaError(_explain(text, end, original))
        if match.lastgroup == 'element':
            _check_element(match.group())
            _check_amount(match.group(), amount)
            stack[-1][match.group()] = stack[-1].get(match.group(), 0) + amount
        elif match.lastgroup == 'open':
            openers.append(match.group())
            stack.append({})
        else:
            if not openers or openers.pop() != {')': '(', ']': '['}[match.group()] or not stack[-1]:
                raise FormulaError(f'The brackets in {original!r} do not pair up: write each group as in Ca(OH)2.')
            _check_amount(f'the group before {match.group()}', amount)
            for symbol, count in stack.pop().items():
                stack[-1][symbol] = stack[-1].get(symbol, 0) + count * amount
        position = end
    if openers:
        raise FormulaError(f'The brackets in {original!r} do not pair up: write each group as in Ca(OH)2.')
    return stack[0]


def _explain(text: str, position: int, original: str) -> str:
    """Say what is wrong with the character at a position of a formula."""
    character = text[position]
    where = f'at character {position + 1} of {original!r}'
    if character in '+-⁺⁻' or (character == '^'):
        return f'Charges and signs are not accepted ({character!r} {where}): give a neutral formula, positive counts.'
    if character == '.':
        return f'Fractional amounts are not accepted ({where}): multiply to whole numbers, such as Na2Cl2.'
    if character.islower():
        return (
            f'No element begins with the lower-case {character!r} ({where}): '
            'write element symbols as in the periodic table, such as NaCl.'
        )
    if character in '0123456789':
        return f'An amount must follow an element or a group ({where}): write SrTiO3, without prefixes or isotopes.'
    return f'{character!r} {where} is not part of a formula: use element symbols, whole numbers and parentheses.'


def _check_element(symbol: str) -> None:
    from pymatgen.core.periodic_table import Element

    if symbol in _ISOTOPES:
        raise FormulaError(f'{symbol} is an isotope: write {_ISOTOPES[symbol]} instead.')
    if not isinstance(symbol, str) or not Element.is_valid_symbol(symbol):
        raise FormulaError(f'{symbol!r} is not a chemical element: check the spelling and the case of the formula.')


def _check_amount(symbol: str, amount: object) -> None:
    whole = isinstance(amount, int | float) and not isinstance(amount, bool) and math.isfinite(amount)
    if not whole or int(amount) != amount:  # type: ignore[call-overload]
        raise FormulaError(f'The amount of {symbol} is {amount!r}: give a whole number.')
    if amount <= 0:  # type: ignore[operator]
        raise FormulaError(f'The amount of {symbol} is {amount}: give a positive number or leave it out.')


def _electronegativity_order(symbol: str) -> tuple[float, int]:
    """Return a key that sorts cations before anions; noble gases without a value come last."""
    from pymatgen.core.periodic_table import Element

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)
        element = Element(symbol)
        electronegativity = float(element.X)
    return (math.inf if math.isnan(electronegativity) else electronegativity, element.Z)
