"""Gradient search on the crystals of many Wyckoff assignments at once.

Random crystals of every assignment are judged, the best ones climb a few steps, and in every further round the field is
narrowed and each crystal tries to do better with one of its orbits put somewhere else: to the best of a few random
places, from which all climb again. Most wrong maxima have one or two orbits in the wrong place, so moving one orbit at
a time leaves them where beginning anew rarely would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aiida_alphacrystal.engine.reconstruct.landscape import Crystals
from aiida_alphacrystal.engine.reconstruct.relocation import relocate

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida_alphacrystal.engine.reconstruct.landscape import Landscape
    from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood

__all__ = ('descend', 'scan')

_SCANNED = 16384
_MOST_SCANNED = 256
_FEWEST_SCANNED = 8
_KEPT = 16
_LOT = 64
_STEPS = 6
_FIRST_FIELD = 2048
_NARROWING = 0.7
_NARROWEST = 192
_PER_ASSIGNMENT = 16
_USUAL_PAIRS = 66
_MOST_EFFORT = 4.0


def scan(landscape: Landscape, likelihood: DistanceLikelihood, generator: torch.Generator) -> Crystals:
    """Draw random crystals of every assignment and keep the best of each.

    :param landscape: of the cell.
    :param likelihood: of the distances.
    :param generator: draws the crystals.
    """
    assignments = len(landscape.freedoms)
    drawn = min(_MOST_SCANNED, max(_FEWEST_SCANNED, round(_effort(landscape) * _SCANNED) // assignments))
    kept = min(_KEPT, drawn)
    parts = []
    for start in range(0, assignments, _LOT):
        lot = torch.arange(start, min(assignments, start + _LOT), device=landscape.device)
        genes = landscape.draw((len(lot), drawn), generator)
        fitness, chosen = landscape.evaluate(likelihood, lot, genes).topk(kept, dim=1)
        # An assignment without freedom holds one crystal, and volumes alone need no more than one beginning.
        needed = (landscape.freedoms[lot] > 0)[:, None] | (torch.arange(kept, device=landscape.device) == 0)
        picked = genes.gather(1, chosen[..., None].expand(-1, -1, genes.shape[-1]))
        parts.append(Crystals(lot[:, None].expand(-1, kept)[needed], picked[needed], fitness[needed]))
    return Crystals.together(parts)


def descend(
    landscape: Landscape,
    likelihood: DistanceLikelihood,
    generator: torch.Generator,
    finished: Callable[[Crystals], bool],
) -> Crystals:
    """Search the crystals of all assignments.

    :param landscape: of the cell.
    :param likelihood: of the distances; a coarse one leads from far away.
    :param generator: draws everything that is random.
    :param finished: asked after every round whether the crystals found so far are enough.
    :return: the crystals of the last round, best first.
    """
    effort = _effort(landscape)
    number = round(effort * _FIRST_FIELD)
    field = scan(landscape, likelihood, generator).best(number, _PER_ASSIGNMENT)
    field = landscape.climb(likelihood, field, _STEPS)
    while not finished(field):
        number = max(round(effort * _NARROWEST), round(number * _NARROWING))
        field = field.best(number, _PER_ASSIGNMENT)
        moved = relocate(landscape, likelihood, field, generator)
        field = field.better_of(landscape.climb(likelihood, moved, _STEPS))
    return field.best(len(field), len(field))


def _effort(landscape: Landscape) -> float:
    """Return how many times what is tried in a cell of twelve atoms can be tried in about the same time."""
    return min(_MOST_EFFORT, _USUAL_PAIRS / max(1, landscape.pairs))
