"""Numbers as a database of AiiDA gives them back.

An attribute of a node keeps fewer digits than a number has. What is handed from stage to stage without a database is
rounded in the same way, so that the engine alone, a job and a work chain find the same to the last bit.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.rank_model import CandidateFacts
    from aiida_alphacrystal.engine.relax.state import Relaxation

__all__ = (
    'stored_cell',
    'stored_correction',
    'stored_facts',
    'stored_number',
    'stored_relaxation',
    'stored_structure',
    'structure_as_stored',
)

#: Significant digits of a number in an attribute of a node.
_DIGITS = 14


def stored_number(number: float) -> float:
    """Return a number as a database gives it back.

    :param number: any number.
    """
    return float(f'{number:.{_DIGITS}g}')


def stored_cell(cell: CellHypothesis) -> CellHypothesis:
    """Return a cell hypothesis as a database gives it back.

    :param cell: the hypothesis.
    """
    a, b, c, alpha, beta, gamma = (stored_number(number) for number in cell.lattice)
    return dataclasses.replace(
        cell,
        lattice=(a, b, c, alpha, beta, gamma),
        probability=stored_number(cell.probability),
        volume_uncertainty=_stored(cell.volume_uncertainty),
    )


def stored_facts(facts: CandidateFacts) -> CandidateFacts:
    """Return what was known of a candidate as a database gives it back.

    :param facts: before its relaxation.
    """
    return dataclasses.replace(
        facts,
        cost=stored_number(facts.cost),
        volume_per_atom=_stored(facts.volume_per_atom),
        cell_probability=_stored(facts.cell_probability),
        fitness=_stored(facts.fitness),
    )


def stored_correction(relaxation: Relaxation, scheme: str) -> float:
    """Return what is added to the energy of a relaxed crystal (eV/atom), from the structure that a database gives back.

    :param relaxation: the outcome; where it failed there is no energy to correct, and perhaps no sound structure.
    :param scheme: of the corrections.
    """
    from aiida_alphacrystal.engine.relax.corrections import energy_correction

    if relaxation.failed:
        return 0.0
    return stored_number(energy_correction(stored_structure(relaxation.structure), scheme))


def stored_structure(structure: Structure) -> Structure:
    """Return a structure as a database gives it back, which holds lattice vectors and Cartesian coordinates.

    :param structure: any ordered structure.
    """
    return structure_as_stored(structure.lattice.matrix, structure.species, structure.cart_coords)


def structure_as_stored(
    lattice: NDArray[np.float64], species: Sequence[Any], positions: NDArray[np.float64]
) -> Structure:
    """Return the structure that a database gives back for a lattice and positions.

    :param lattice: lattice vectors in A, (3, 3).
    :param species: element of each atom.
    :param positions: Cartesian coordinates in A, (atoms, 3).
    """
    matrix, coordinates = (
        np.array([[stored_number(number) for number in row] for row in rows]) for rows in (lattice, positions)
    )
    return Structure(matrix, species, coordinates, coords_are_cartesian=True)


def stored_relaxation(relaxation: Relaxation) -> Relaxation:
    """Return the outcome of a relaxation as far as a ranking sees it as a database gives it back.

    :param relaxation: the outcome.
    """
    return dataclasses.replace(
        relaxation,
        structure=stored_structure(relaxation.structure),
        energy=stored_number(relaxation.energy),
        initial_energy=_stored(relaxation.initial_energy),
    )


def _stored(number: float | None) -> float | None:
    return None if number is None else stored_number(number)
