"""Known compounds that a potential must describe before it is used.

The criteria hold for every potential trained on semilocal density functional theory, wherever it puts its zero of
energy: formation energies against the elements, computed with the same potential at fixed known lattices, lie in
broad ranges around experiment; the pressure at the known lattice is small; forces that symmetry forbids vanish; an
atom that is pushed off its site is pulled back. An M3GNet whose messages run in the wrong direction misses the
formation energies of ionic compounds by 0.6 to 9 eV/atom and their pressures by 10 to 1000 GPa.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from aiida_alphacrystal.engine.relax.base import EV_PER_CUBIC_ANGSTROM_IN_GPA, AtomArrays, Potential

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ('MINIMUM_COMPOUNDS', 'SelfTest', 'run_self_test')

#: A potential that knows the elements of fewer compounds than this cannot be tested.
MINIMUM_COMPOUNDS = 3
#: Largest magnitude of the pressure at the known lattice, in GPa.
MAX_PRESSURE = 6.0
#: Largest force component where symmetry forbids any, in eV/A.
MAX_FORBIDDEN_FORCE = 5e-3
#: How far the pushed atom is moved, in A.
_PUSH = 0.1


@dataclasses.dataclass(frozen=True)
class SelfTest:
    """The outcome.

    :param formation_energies: of the compounds that the potential knows, in eV/atom.
    :param failures: one phrase per criterion that is not met.
    """

    formation_energies: Mapping[str, float]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Return whether enough compounds could be tested and all criteria are met."""
        return len(self.formation_energies) >= MINIMUM_COMPOUNDS and not self.failures


@dataclasses.dataclass(frozen=True)
class _Compound:
    """A compound and the range that its formation energy in eV/atom must lie in."""

    structure: Structure
    low: float
    high: float


#: Primitive vectors of the cubic lattices, in units of the cubic edge.
_PRIMITIVE = {
    'P': ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    'I': ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5)),
    'F': ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)),
}


def _cubic(centring: str, a: float, *sites: tuple[str, float | tuple[float, float, float]]) -> Structure:
    """Return the primitive cell of a cubic crystal.

    :param centring: ``P``, ``I`` or ``F``.
    :param a: edge of the cubic cell, in A.
    :param sites: element and point of every atom of the primitive cell, in units of the edge; a single number stands
        for a point on the diagonal.
    """
    points = [point if isinstance(point, tuple) else (point, point, point) for _, point in sites]
    lattice = a * np.array(_PRIMITIVE[centring])
    return Structure(lattice, [symbol for symbol, _ in sites], a * np.array(points), coords_are_cartesian=True)


def _hexagonal_close_packed(symbol: str, a: float, c: float) -> Structure:
    return Structure(Lattice.hexagonal(a, c), [symbol, symbol], [(1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)])


def _molecules(symbol: str, length: float, a: float) -> Structure:
    """Return diatomic molecules on a cubic lattice."""
    return Structure(Lattice.cubic(a), [symbol, symbol], [(0, 0, 0), (0, 0, length / a)])


@functools.cache
def _elements() -> dict[str, Structure]:
    """Return the elements near their experimental or PBE lattices."""
    return {
        'Na': _cubic('I', 4.19, ('Na', 0.0)),
        'Cs': _cubic('I', 6.16, ('Cs', 0.0)),
        'Li': _cubic('I', 3.44, ('Li', 0.0)),
        'Ca': _cubic('F', 5.53, ('Ca', 0.0)),
        'Sr': _cubic('F', 6.02, ('Sr', 0.0)),
        'Al': _cubic('F', 4.04, ('Al', 0.0)),
        'Ni': _cubic('F', 3.52, ('Ni', 0.0)),
        'Si': _cubic('F', 5.47, ('Si', 0.0), ('Si', 0.25)),
        'C': _cubic('F', 3.57, ('C', 0.0), ('C', 0.25)),
        'Mg': _hexagonal_close_packed('Mg', 3.19, 5.19),
        'Ti': _hexagonal_close_packed('Ti', 2.94, 4.64),
        'Zn': _hexagonal_close_packed('Zn', 2.66, 4.95),
        'O': _molecules('O', 1.22, 3.4),
        'F': _molecules('F', 1.42, 3.3),
        'Cl': _molecules('Cl', 2.0, 4.6),
        'N': _molecules('N', 1.11, 3.4),
    }


@functools.cache
def _compounds() -> dict[str, _Compound]:
    """Return compounds near their experimental or PBE lattices."""
    return {
        'NaCl': _Compound(_cubic('F', 5.69, ('Na', 0.0), ('Cl', 0.5)), -2.6, -1.4),
        'MgO': _Compound(_cubic('F', 4.25, ('Mg', 0.0), ('O', 0.5)), -3.8, -2.1),
        'LiF': _Compound(_cubic('F', 4.06, ('Li', 0.0), ('F', 0.5)), -3.8, -2.3),
        'CaO': _Compound(_cubic('F', 4.84, ('Ca', 0.0), ('O', 0.5)), -4.0, -2.4),
        'CsCl': _Compound(_cubic('P', 4.20, ('Cs', 0.0), ('Cl', 0.5)), -2.8, -1.5),
        'SrTiO3': _Compound(
            _cubic(
                'P',
                3.94,
                ('Sr', 0.0),
                ('Ti', 0.5),
                ('O', (0.5, 0.5, 0.0)),
                ('O', (0.5, 0.0, 0.5)),
                ('O', (0.0, 0.5, 0.5)),
            ),
            -4.3,
            -2.5,
        ),
        'ZnO': _Compound(_cubic('F', 4.63, ('Zn', 0.0), ('O', 0.25)), -2.5, -0.9),
        'AlN': _Compound(_cubic('F', 4.40, ('Al', 0.0), ('N', 0.25)), -2.2, -1.0),
        'SiC': _Compound(_cubic('F', 4.38, ('Si', 0.0), ('C', 0.25)), -0.9, 0.1),
        'NiAl': _Compound(_cubic('P', 2.89, ('Ni', 0.0), ('Al', 0.5)), -1.1, -0.4),
    }


def run_self_test(potential: Potential) -> SelfTest:
    """Compute the known compounds and elements with a potential and judge them.

    :param potential: any potential; compounds with an element that it does not know are left out.
    """
    compounds = {
        name: compound
        for name, compound in _compounds().items()
        if {element.symbol for element in compound.structure.composition} <= potential.elements
    }
    if not compounds:
        return SelfTest({}, ())
    elements = {
        symbol: structure
        for symbol, structure in _elements().items()
        if any(symbol in compound.structure.composition for compound in compounds.values())
    }
    crystals = [AtomArrays.from_structure(structure) for structure in elements.values()]
    crystals += [AtomArrays.from_structure(compound.structure) for compound in compounds.values()]
    crystals += [_pushed(AtomArrays.from_structure(compound.structure)) for compound in compounds.values()]
    evaluation = potential.evaluate_crystals(crystals)
    per_atom = evaluation.energies / [len(crystal.numbers) for crystal in crystals]
    references = dict(zip(elements, per_atom, strict=False))
    energies: dict[str, float] = {}
    failures: list[str] = []
    for row, (name, compound) in enumerate(compounds.items(), start=len(elements)):
        fractions = compound.structure.composition.fractional_composition.get_el_amt_dict()
        energies[name] = float(per_atom[row] - sum(references[symbol] * share for symbol, share in fractions.items()))
        pressure = -np.trace(evaluation.stresses[row]) / 3 * EV_PER_CUBIC_ANGSTROM_IN_GPA
        forbidden = np.abs(evaluation.forces[row]).max()
        pull = evaluation.forces[row + len(compounds)][0, 0]
        failures += _judge(name, compound, energies[name], float(pressure), float(forbidden), float(pull))
    return SelfTest(energies, tuple(failures))


def _pushed(crystal: AtomArrays) -> AtomArrays:
    """Move the first atom along x."""
    positions = crystal.positions.copy()
    positions[0, 0] += _PUSH
    return dataclasses.replace(crystal, positions=positions)


def _judge(name: str, compound: _Compound, energy: float, pressure: float, forbidden: float, pull: float) -> list[str]:
    """Return one phrase per criterion that a compound misses; a value that is not a number misses it."""
    failures = []
    if not compound.low <= energy <= compound.high:
        failures.append(f'formation energy of {name} {energy:.2f} eV/atom instead of {compound.low} to {compound.high}')
    if not abs(pressure) <= MAX_PRESSURE:
        failures.append(f'pressure of {name} {pressure:.1f} GPa')
    if not forbidden <= MAX_FORBIDDEN_FORCE:
        failures.append(f'force of {forbidden:.3f} eV/A in {name} where symmetry allows none')
    if not pull < 0:
        failures.append(f'no restoring force in {name}')
    return failures
