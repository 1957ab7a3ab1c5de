"""Whether the forces and the stress of a potential are the derivatives of its energy.

This is asked of a potential that need not be like density functional theory, such as one for a single system.
One small crystal, whose atoms and cell are distorted, is moved and strained along random directions; five energies
along each give the derivative to fourth order (the five-point formula).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.relax.base import AtomArrays, Potential

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ('derivative_failures',)

#: Elements to test with where the potential knows them; else the first ones in the alphabet.
_USUAL = ('Cu', 'Al', 'Si', 'O')
#: Shortest distance of the two atoms before they are displaced, in A.
_SHORTEST = 1.8
#: How far atoms are displaced, in A, and the cell is strained.
_DISPLACEMENT = 0.1
_STRAIN = 0.03
#: Directions to try, and steps along them: A, and strain.
_DIRECTIONS = 2
_ATOM_STEP = 0.02
_CELL_STEP = 0.005
#: What may be missed: share of the derivative, eV/A along the positions, and eV along the strain.
_SHARE = 0.05
_ATOM_TOLERANCE = 2e-3
_CELL_TOLERANCE = 1e-2
#: Places along a direction, in steps, and their weights in the derivative.
_PLACES = np.array([-2.0, -1.0, 1.0, 2.0])
_WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12


def derivative_failures(potential: Potential) -> tuple[str, ...]:
    """Return one phrase per direction along which force or stress is not what the energy says, the same every time.

    :param potential: any potential.
    """
    rng = np.random.default_rng(0)
    crystal = _distorted(potential.elements, rng)
    evaluation = potential.evaluate_crystals([crystal])
    forces, stress = evaluation.forces[0], evaluation.stresses[0]
    if not (np.isfinite(evaluation.energies).all() and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return ('energy, forces or stress are not numbers',)
    volume = abs(float(np.linalg.det(crystal.lattice)))
    failures = []
    for _ in range(_DIRECTIONS):
        direction = rng.normal(size=forces.shape)
        direction /= np.linalg.norm(direction)
        moved = [_moved(crystal, place * _ATOM_STEP * direction) for place in _PLACES]
        found, given = _derivative(potential, moved, _ATOM_STEP), -float((forces * direction).sum())
        if not abs(found - given) <= _ATOM_TOLERANCE + _SHARE * abs(found):
            failures.append(f'the energy changes by {found:.3f} eV/A where the forces say {given:.3f}')
        strain = rng.normal(size=(3, 3))
        strain += strain.T
        strain /= np.linalg.norm(strain)
        strained = [_strained(crystal, place * _CELL_STEP * strain) for place in _PLACES]
        found, given = _derivative(potential, strained, _CELL_STEP), volume * float((stress * strain).sum())
        if not abs(found - given) <= _CELL_TOLERANCE + _SHARE * abs(found):
            failures.append(f'the energy changes by {found:.3f} eV per strain where the stress says {given:.3f}')
    return tuple(failures)


def _derivative(potential: Potential, crystals: Sequence[AtomArrays], step: float) -> float:
    return float(_WEIGHTS @ potential.evaluate_crystals(crystals).energies) / step


def _distorted(elements: frozenset[str], rng: np.random.Generator) -> AtomArrays:
    """Return a distorted crystal of the caesium chloride type, with one or two of the elements."""
    from ase.data import atomic_numbers, covalent_radii

    usual = [symbol for symbol in _USUAL if symbol in elements]
    symbols = (usual + sorted(elements - set(usual)))[:2]
    numbers = np.array([atomic_numbers[symbols[0]], atomic_numbers[symbols[-1]]])
    edge = max(float(covalent_radii[numbers].sum()), _SHORTEST) * 2 / 3**0.5
    positions = np.array([[0.0, 0.0, 0.0], [edge / 2, edge / 2, edge / 2]])
    positions += rng.uniform(-_DISPLACEMENT, _DISPLACEMENT, (2, 3))
    strain = rng.uniform(-_STRAIN, _STRAIN, (3, 3))
    return _strained(AtomArrays(numbers, edge * np.eye(3), positions), strain + strain.T)


def _moved(crystal: AtomArrays, shift: NDArray[np.float64]) -> AtomArrays:
    return AtomArrays(crystal.numbers, crystal.lattice, crystal.positions + shift)


def _strained(crystal: AtomArrays, strain: NDArray[np.float64]) -> AtomArrays:
    deformation = np.eye(3) + strain
    return AtomArrays(crystal.numbers, crystal.lattice @ deformation, crystal.positions @ deformation)
