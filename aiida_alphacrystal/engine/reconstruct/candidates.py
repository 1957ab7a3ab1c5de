"""What stage 4 hands on: one candidate structure and where it came from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('Candidate',)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One structure of the pool, before relaxation.

    :param structure: the primitive cell, equal elements side by side.
    :param source: ``template``, or how the search found it: ``descent``, ``genetic``, or ``free`` (without symmetry).
    :param origin: how it was made, for the reader: the template and its formula, or the cell hypothesis and the
        Wyckoff assignment.
    :param spacegroup: international number of the space group it was built in.
    :param formula_units: formula units in the primitive cell.
    :param cost: how unlikely the candidate is a priori: minus the logarithm of its probability for templates, a
        constant for the search. Lower is better.
    :param probability: that it is right where no candidate of its source before it is; None where it is not known.
    :param fitness: mean log-likelihood per atom pair of its distances under the network; None where the distances of
        its cell were not predicted.
    :param cell_probability: of its space group and formula units, added over the cell hypotheses; None where there are
        none.
    :param seed: seed that drew it, None where nothing was drawn.
    """

    structure: Structure
    source: str
    origin: str
    spacegroup: int
    formula_units: int
    cost: float
    probability: float | None = None
    fitness: float | None = None
    cell_probability: float | None = None
    seed: int | None = None
