"""What the nearest templates say about the distances inside one cell."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.features import atomic_numbers
from aiida_alphacrystal.engine.reconstruct.correction import Evidence
from aiida_alphacrystal.engine.reconstruct.selection import rank_proposals
from aiida_alphacrystal.engine.reconstruct.templates import build_candidate, order_of_atoms, probability_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.reconstruct.selection import Proposal

__all__ = ('TemplateDistances', 'gather_evidence', 'template_distances')

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TemplateDistances:
    """The distances that one template gives.

    :param distances: atoms in the order of the formula, shape (atoms, atoms), A.
    :param probability: that the template is right where none before it is.
    :param proposal: what it is.
    """

    distances: FloatArray
    probability: float
    proposal: Proposal


def template_distances(
    library: PrototypeLibrary,
    formula: Formula,
    formula_units: int,
    most: int,
    excluded: npt.NDArray[np.bool_] | None = None,
    negligible: float = 0.0,
) -> tuple[TemplateDistances, ...]:
    """Return the distances of the most probable templates of one cell: decorations only where there is nothing else.

    :param library: the prototypes.
    :param formula: what to place.
    :param formula_units: formula units in the cell.
    :param most: how many to return.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    :param negligible: templates behind the first that are less probable than this are left out.
    """
    fixed = dataclasses.replace(formula, formula_units=formula_units)
    natoms = fixed.atoms_per_unit * formula_units
    proposals = rank_proposals(library, fixed, natoms, most, excluded, decorate=False)
    proposals = proposals or rank_proposals(library, fixed, natoms, most, excluded)
    found = [
        (proposal, probability)
        for place, proposal in enumerate(proposals)
        if (probability := probability_of(library, proposal)) >= negligible or place == 0
    ]
    distances = _distances(library, fixed, [proposal for proposal, _ in found])
    return tuple(
        TemplateDistances(matrix, probability, proposal)
        for matrix, (proposal, probability) in zip(distances, found, strict=True)
    )


def gather_evidence(library: PrototypeLibrary, formula: Formula, proposal: Proposal) -> Evidence:
    """Return what the known compounds behind a proposal say about its distances, atoms in the order of the formula.

    :param library: the prototypes.
    :param formula: the compound.
    :param proposal: a prototype as it is.
    """
    order = order_of_atoms(formula, proposal.elements)
    numbers = atomic_numbers()
    members = [voter.member for voter in proposal.voters]
    slots = library.prototype(proposal.prototype).slots[order]
    return Evidence(
        numbers=np.array([numbers[proposal.elements[site]] for site in order]),
        known_numbers=library.member_elements[members][:, slots],
        known_distances=library.distances_of(members)[:, order][:, :, order],
        known_volumes=library.member_volumes[members],
        volumes=np.array([voter.volume_per_atom for voter in proposal.voters]),
        weights=np.array([voter.weight for voter in proposal.voters]),
        share=proposal.share,
        support=proposal.support,
    )


def _distances(library: PrototypeLibrary, formula: Formula, proposals: Sequence[Proposal]) -> list[FloatArray]:
    """Return the distances of each proposal: those of its prototype where no known compound speaks for it."""
    known = [gather_evidence(library, formula, proposal) for proposal in proposals if proposal.voters]
    corrected = iter(library.corrector.corrected(known, library.atomic_volumes) if known else ())
    return [next(corrected) if proposal.voters else _built(library, formula, proposal) for proposal in proposals]


def _built(library: PrototypeLibrary, formula: Formula, proposal: Proposal) -> FloatArray:
    structure = build_candidate(library, formula, proposal).structure
    return minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
