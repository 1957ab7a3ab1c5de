"""What stage 3 hands on: ranked hypotheses about the unit cell."""

from __future__ import annotations

import dataclasses

__all__ = ('CellHypothesis',)


@dataclasses.dataclass(frozen=True)
class CellHypothesis:
    """One guess of space group, cell content and lattice.

    :param spacegroup: international number.
    :param formula_units: formula units in the primitive cell.
    :param lattice: conventional a, b, c (A) and alpha, beta, gamma (degrees) in the standard setting of the group
        (hexagonal axes, unique axis b, origin choice as in pyxtal).
    :param probability: probability of the hypothesis; those of one formula sum to at most one.
    :param volume_uncertainty: relative error of the volume that two thirds of such hypotheses stay below, None where
        it is not known.
    """

    spacegroup: int
    formula_units: int
    lattice: tuple[float, float, float, float, float, float]
    probability: float
    volume_uncertainty: float | None = None
