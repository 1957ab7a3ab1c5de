"""Orbits put somewhere else: most wrong maxima have one or two of them in the wrong place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aiida_alphacrystal.engine.reconstruct.landscape import Crystals

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.reconstruct.landscape import Landscape
    from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood

__all__ = ('relocate', 'relocate_each')

_PLACES = 16
_PLACES_MATCHED = 64


def relocate(
    landscape: Landscape, likelihood: DistanceLikelihood, crystals: Crystals, generator: torch.Generator
) -> Crystals:
    """Put one orbit of each crystal to the best of a few random places.

    :param landscape: of the cell.
    :param likelihood: of the distances.
    :param crystals: they stay as they are.
    :param generator: draws orbits and places.
    """
    drawn = torch.rand(len(crystals), generator=generator).to(landscape.device)
    orbits = (drawn * landscape.site_counts[crystals.assignments]).long()
    return _to_best_places(landscape, likelihood, crystals, orbits, landscape.draw((len(crystals), _PLACES), generator))


def relocate_each(
    landscape: Landscape,
    likelihood: DistanceLikelihood,
    crystals: Crystals,
    order: torch.Tensor,
    generator: torch.Generator,
) -> tuple[Crystals, torch.Tensor]:
    """Put each orbit of each crystal in turn to the best of many random places, the atoms matched.

    An orbit whose atoms are matched with the rows of the prediction has far fewer places that suit it than one of
    which only sorted distances are known, and stands out where the others sit well.

    :param landscape: of the cell.
    :param likelihood: of the distances.
    :param crystals: they stay as they are.
    :param order: the atom that stands in each row of the prediction, shape (crystals, atoms).
    :param generator: draws the places.
    :return: one crystal for each orbit with freedom, and the order of its atoms.
    """
    counts = landscape.site_counts[crystals.assignments]
    owners = torch.repeat_interleave(counts)
    orbits = torch.arange(len(owners), device=landscape.device) - (counts.cumsum(0) - counts)[owners]
    places = landscape.draw((len(owners), _PLACES_MATCHED), generator)
    moved = _to_best_places(landscape, likelihood, crystals.take(owners), orbits, places, order[owners])
    return moved, order[owners]


def _to_best_places(
    landscape: Landscape,
    likelihood: DistanceLikelihood,
    crystals: Crystals,
    orbits: torch.Tensor,
    places: torch.Tensor,
    order: torch.Tensor | None = None,
) -> Crystals:
    """Put an orbit of each crystal, given by its number, to the best of some places."""
    moving = landscape.sites[crystals.assignments] == orbits[:, None]
    moving = torch.cat([moving, torch.zeros_like(moving[:, :1])], dim=1)
    genes = torch.where(moving[:, None], places, crystals.genes[:, None])
    fitness, chosen = landscape.evaluate(likelihood, crystals.assignments, genes, order).max(dim=1)
    rows = torch.arange(len(crystals), device=landscape.device)
    return Crystals(crystals.assignments, genes[rows, chosen], fitness)
