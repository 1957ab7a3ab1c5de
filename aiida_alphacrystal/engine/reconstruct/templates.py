"""The template source of stage 4: put the elements of a formula on the sites of known prototypes.

This follows the template-based predictors CSPML (M. Kusaba et al., Comput. Mater. Sci. 211, 111496, 2022,
https://doi.org/10.1016/j.commatsci.2022.111496) and TCSP (L. Wei et al., Inorg. Chem. 61, 8431, 2022,
https://doi.org/10.1021/acs.inorgchem.1c03879): find known compounds with similar elements, substitute, and scale the
volume. Here the known compounds vote, and the candidates are chosen to be right together as often as possible.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.core.periodic_table import Element

from aiida_alphacrystal.engine.reconstruct import calibration
from aiida_alphacrystal.engine.reconstruct.arrangements import Wanted, substitutions
from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
from aiida_alphacrystal.engine.reconstruct.prototypes import radial_distributions, unit_vector
from aiida_alphacrystal.engine.reconstruct.selection import KINDS, Proposal, rank_proposals
from aiida_alphacrystal.engine.symmetry import primitive_cell, spacegroup_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.settings import TemplateSettings

__all__ = (
    'build_candidate',
    'distinct_candidates',
    'is_new',
    'order_of_atoms',
    'origin_of',
    'probability_of',
    'propose',
    'same_stoichiometry',
)

#: Candidates closer than this are the same structure; tight, since relaxation may still separate them.
_MATCHER = StructureMatcher(ltol=0.1, stol=0.15, angle_tol=3)

#: Substitutions whose radial distributions have a cosine above this are the same structure.
_SAME = 0.98

#: Decorations are less certain: above this they only repeat what is there.
_REPEATED = 0.9

#: One in so many candidates is chosen by the votes for its own type, whether or not another one matches it.
_ONE_OF_ITS_TYPE = 5

#: How many more proposals are made than candidates are wanted, since some turn out to be the same structure.
_SPARE = 10

#: Probabilities below this cost the same.
_LEAST = 1e-6


def propose(
    library: PrototypeLibrary, formula: Formula, settings: TemplateSettings, max_atoms: int
) -> tuple[Candidate, ...]:
    """Propose distinct structures for a formula, most probable first.

    :param library: the prototypes.
    :param formula: what to place; with its formula units where they are fixed.
    :param settings: how many candidates to return.
    :param max_atoms: the largest primitive cell.
    :return: candidates; the probability of each is that of being right where none before it is. Empty if no prototype
        fits.
    """
    return tuple(candidate for candidate, _ in distinct_candidates(library, formula, settings, max_atoms))


def distinct_candidates(
    library: PrototypeLibrary,
    formula: Formula,
    settings: TemplateSettings,
    max_atoms: int,
    excluded: npt.NDArray[np.bool_] | None = None,
) -> list[tuple[Candidate, Proposal]]:
    """Return candidates with the proposals that they were built from, those that add most first.

    :param library: the prototypes.
    :param formula: what to place; with its formula units where they are fixed.
    :param settings: how many candidates to return.
    :param max_atoms: the largest primitive cell.
    :param excluded: known compounds that may not vote, shape (members,); none by default.
    """
    most = settings.max_candidates
    if most == 0:
        return []
    types = most // _ONE_OF_ITS_TYPE
    proposals = rank_proposals(
        library, formula, max_atoms, most - types + _SPARE, excluded, settings.decorations, types + _SPARE
    )
    distinct = _distinct(library, formula, proposals)
    chosen = list(itertools.islice(distinct, most - types))
    chosen += sorted(distinct, key=lambda proposal: -proposal.own_share)[: most - len(chosen)]
    chosen.sort(key=lambda proposal: -proposal.share)
    return [(build_candidate(library, formula, proposal), proposal) for proposal in chosen]


def _distinct(library: PrototypeLibrary, formula: Formula, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Yield the proposals that are not the same structure as one before them."""
    prints: list[tuple[npt.NDArray[np.float64], str]] = []
    for proposal in proposals:
        fingerprint = _fingerprint(library, formula, proposal)
        limit = _SAME if proposal.kind == KINDS[0] else _REPEATED
        rivals = [other for other, kind in prints if proposal.overlaps or kind != KINDS[0]]
        if all(float(fingerprint @ other) <= limit for other in rivals):
            prints.append((fingerprint, proposal.kind))
            yield proposal


def same_stoichiometry(library: PrototypeLibrary, formula: Formula, max_atoms: int) -> Iterator[Structure]:
    """Yield every substitution into a prototype with the stoichiometry of the formula, the nearest first.

    Nothing is left out and nothing is decorated: this is what the templates alone can reach.

    :param library: the prototypes.
    :param formula: what to place; with its formula units where they are fixed.
    :param max_atoms: the largest primitive cell.
    """
    entries: list[tuple[float, int, int, Proposal]] = []
    for units in formula.allowed_formula_units(max_atoms):
        wanted = Wanted.of(library, formula, units)
        found = substitutions(library, wanted)
        if found is None:
            continue
        for row, column in np.argwhere(np.isfinite(found.votes)).tolist():
            prototype = int(found.prototypes[row])
            symbols = [wanted.symbols[element] for element in found.assignments[column]]
            proposal = Proposal(
                kind=KINDS[0],
                prototype=prototype,
                elements=tuple(symbols[slot] for slot in library.prototype(prototype).slots),
                formula_units=units,
                volume_per_atom=float(found.volumes[row, column]),
                nearest=int(found.nearest[row, column]),
            )
            entries.append((-float(found.votes[row, column]), prototype, column, proposal))
    for _, _, _, proposal in sorted(entries, key=lambda entry: entry[:3]):
        yield build_candidate(library, formula, proposal).structure


def is_new(candidate: Candidate, known: Sequence[Candidate]) -> bool:
    """Return whether no known candidate is the same structure.

    :param candidate: the candidate.
    :param known: candidates that are already in.
    """
    return not any(
        other.spacegroup == candidate.spacegroup and _MATCHER.fit(candidate.structure, other.structure)
        for other in known
    )


def _fingerprint(library: PrototypeLibrary, formula: Formula, proposal: Proposal) -> npt.NDArray[np.float64]:
    """Return the radial distributions of every two elements in a proposal as one vector."""
    prototype = library.prototype(proposal.prototype)
    labels = np.array([formula.elements.index(symbol) for symbol in proposal.elements])
    return unit_vector(radial_distributions(prototype.lattice, labels, prototype.frac_coords))


def build_candidate(library: PrototypeLibrary, formula: Formula, proposal: Proposal) -> Candidate:
    """Build the crystal of a proposal, its atoms in the order of the formula.

    A decoration can be more symmetric than its prototype, as two elements may have become one: where the formula leaves
    the cell open, its primitive cell is built.

    :param library: the prototypes.
    :param formula: the compound.
    :param proposal: what has been chosen.
    """
    prototype = library.prototype(proposal.prototype)
    order = order_of_atoms(formula, proposal.elements)
    lattice = prototype.lattice * proposal.volume_per_atom ** (1 / 3)
    structure = Structure(lattice, [proposal.elements[site] for site in order], prototype.frac_coords[order])
    decorated = proposal.kind != KINDS[0]
    if decorated and formula.formula_units is None:
        structure = primitive_cell(structure)
    probability = probability_of(library, proposal)
    return Candidate(
        structure=structure,
        source='template',
        origin=origin_of(library, proposal),
        spacegroup=spacegroup_of(structure)[0] if decorated else prototype.spacegroup,
        formula_units=len(structure) // formula.atoms_per_unit,
        cost=-math.log(max(probability, _LEAST)),
        probability=probability,
    )


def order_of_atoms(formula: Formula, elements: Sequence[str]) -> list[int]:
    """Return the sites of a proposal in the order of the atoms of the formula.

    :param formula: the compound.
    :param elements: symbol on each site.
    """
    return sorted(range(len(elements)), key=lambda site: (formula.elements.index(elements[site]), site))


def probability_of(library: PrototypeLibrary, proposal: Proposal) -> float:
    """Return the probability that a proposal is right where none before it is.

    :param library: whose calibration is used.
    :param proposal: what has been chosen.
    """
    values = calibration.features(proposal.share, proposal.support, proposal.kind)
    return calibration.probability(library.calibration, values)


def origin_of(library: PrototypeLibrary, proposal: Proposal) -> str:
    """Say which prototype and which known compound a proposal comes from.

    :param library: the prototypes.
    :param proposal: what has been chosen.
    """
    numbers = library.member_elements[proposal.nearest]
    model = '-'.join(Element.from_Z(int(number)).symbol for number in numbers if number)
    how = {'merge': ', with sites merged', 'split': ', with sites split'}.get(proposal.kind, '')
    return f'prototype {proposal.prototype}, as in the compound of {model}{how}'
