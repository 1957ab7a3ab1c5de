"""The template source of stage 4: put the elements of a formula on the sites of known prototypes.

This follows the template-based predictors CSPML (M. Kusaba et al., Comput. Mater. Sci. 211, 111496, 2022,
https://doi.org/10.1016/j.commatsci.2022.111496) and TCSP (L. Wei et al., Inorg. Chem. 61, 8431, 2022,
https://doi.org/10.1021/acs.inorgchem.1c03879): find known compounds of the same stoichiometry with similar elements,
substitute, and scale the volume.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.core.periodic_table import Element

from aiida_alphacrystal.engine.reconstruct.candidates import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.settings import TemplateSettings

__all__ = ('is_new', 'substitute')

#: How sharply a compound counts more the more similar its elements are; chosen on ``val``.
_TEMPERATURE = 0.02

#: Candidates closer than this are the same structure; tight, since relaxation may still separate them.
_MATCHER = StructureMatcher(ltol=0.1, stol=0.15, angle_tol=3)


@dataclasses.dataclass(frozen=True)
class _Proposal:
    """One way to put the elements on the slots of one prototype."""

    prototype: int
    elements: tuple[str, ...]
    cost: float
    volume_per_atom: float
    model: str


def substitute(
    library: PrototypeLibrary, formula: Formula, settings: TemplateSettings, max_atoms: int
) -> tuple[Candidate, ...]:
    """Propose distinct structures for a formula from prototypes of the same stoichiometry.

    The cost of a prototype is the softened minimum, over the known compounds that have it, of the mean cost of
    replacing their elements by those of the formula.

    :param library: the prototypes.
    :param formula: what to place; with its formula units where they are fixed.
    :param settings: how many candidates to return.
    :param max_atoms: the largest primitive cell.
    :return: candidates by increasing cost; empty if no prototype has this stoichiometry.
    """
    if settings.max_candidates == 0:
        return ()
    units = _fitting_units(library, formula, max_atoms)
    proposals = sorted(_proposals(library, formula, units), key=lambda proposal: (proposal.cost, proposal.prototype))
    chosen: list[Candidate] = []
    for proposal in proposals:
        candidate = _build(library, formula, proposal, int(units[proposal.prototype]))
        if is_new(candidate, chosen):
            chosen.append(candidate)
        if len(chosen) == settings.max_candidates:
            break
    return tuple(chosen)


def _fitting_units(library: PrototypeLibrary, formula: Formula, max_atoms: int) -> npt.NDArray[np.int64]:
    """Return the formula units that each prototype holds, 0 where its stoichiometry or size does not fit."""
    units = np.zeros(len(library.spacegroups), dtype=np.int64)
    sizes = np.diff(library.offsets)
    allowed = formula.allowed_formula_units(max_atoms)
    wanted = sorted(formula.counts, reverse=True)
    for prototype in np.flatnonzero(np.isin(sizes, [formula.atoms_per_unit * number for number in allowed])):
        counts = library.slot_counts(int(prototype))
        divisor = reduce(math.gcd, counts.tolist())
        if sorted((counts // divisor).tolist(), reverse=True) == wanted:
            units[prototype] = divisor
    return units


def _proposals(library: PrototypeLibrary, formula: Formula, units: npt.NDArray[np.int64]) -> Iterator[_Proposal]:
    """Yield every prototype with every order of the elements that its slots take."""
    members = np.flatnonzero(units[library.member_prototypes] > 0)
    if len(members) == 0:
        return
    prototypes = library.member_prototypes[members]
    weights = np.array(sorted(formula.counts, reverse=True)) / formula.atoms_per_unit
    present = library.member_elements[members, : len(weights)]
    for order in _orders(formula):
        numbers = np.array([Element(symbol).Z for symbol in order])
        costs = library.substitution_costs[present, numbers[None, :]] @ weights
        scales = (library.atomic_volumes[numbers] @ weights) / (library.atomic_volumes[present] @ weights)
        volumes = library.member_volumes[members] * scales
        for prototype in np.unique(prototypes):
            rows = np.flatnonzero(prototypes == prototype)
            yield _propose(int(prototype), order, costs[rows], volumes[rows], present[rows])


def _propose(
    prototype: int,
    order: tuple[str, ...],
    costs: npt.NDArray[np.float64],
    volumes: npt.NDArray[np.float64],
    present: npt.NDArray[np.int64],
) -> _Proposal:
    """Combine the compounds that have a prototype into one proposal."""
    nearest = int(costs.argmin())
    votes = np.exp(-(costs - costs[nearest]) / _TEMPERATURE)
    return _Proposal(
        prototype=prototype,
        elements=order,
        cost=max(0.0, float(costs[nearest] - _TEMPERATURE * np.log(votes.sum()))),
        volume_per_atom=float((votes @ volumes) / votes.sum()),
        model='-'.join(Element.from_Z(int(number)).symbol for number in present[nearest] if number),
    )


def _orders(formula: Formula) -> Iterator[tuple[str, ...]]:
    """Yield the elements in every order that keeps their counts decreasing, as the slots of a prototype do."""
    pairs = sorted(zip(formula.counts, formula.elements, strict=True), key=lambda pair: (-pair[0], pair[1]))
    blocks = [[symbol for _, symbol in block] for _, block in itertools.groupby(pairs, key=lambda pair: pair[0])]
    for choice in itertools.product(*(itertools.permutations(block) for block in blocks)):
        yield tuple(itertools.chain.from_iterable(choice))


def _build(library: PrototypeLibrary, formula: Formula, proposal: _Proposal, formula_units: int) -> Candidate:
    """Build the crystal of a proposal, its atoms in the order of the formula."""
    sites = slice(library.offsets[proposal.prototype], library.offsets[proposal.prototype + 1])
    species = [proposal.elements[slot] for slot in library.slots[sites]]
    order = sorted(range(len(species)), key=lambda site: (formula.elements.index(species[site]), site))
    lattice = library.lattices[proposal.prototype] * proposal.volume_per_atom ** (1 / 3)
    structure = Structure(lattice, [species[site] for site in order], library.frac_coords[sites][order])
    return Candidate(
        structure=structure,
        source='template',
        origin=f'prototype {proposal.prototype}, as in the compound of {proposal.model}',
        spacegroup=int(library.spacegroups[proposal.prototype]),
        formula_units=formula_units,
        cost=proposal.cost,
    )


def is_new(candidate: Candidate, known: list[Candidate]) -> bool:
    """Return whether no known candidate is the same structure.

    :param candidate: the candidate.
    :param known: candidates that are already in.
    """
    return not any(
        other.spacegroup == candidate.spacegroup and _MATCHER.fit(candidate.structure, other.structure)
        for other in known
    )
