"""The genetic algorithm over the free coordinates of many Wyckoff assignments.

This is the method of DMCrystal (Hu, Yang, Siriwardane, J. Phys. Chem. A 124, 10909, 2020,
https://doi.org/10.1021/acs.jpca.0c08775): given space group, lattice and content of the cell, choose Wyckoff positions
and let a genetic algorithm find the free coordinates whose interatomic distances agree best with the predicted ones.
The fitness is the likelihood under the predicted distributions instead of an overlap of contact maps, and children
climb a few steps along its gradient before they compete. Parents exchange whole orbits, since an orbit that sits well
in one of them sits well in the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aiida_alphacrystal.engine.reconstruct.descent import scan
from aiida_alphacrystal.engine.reconstruct.landscape import FIRST_STEP, Crystals

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida_alphacrystal.engine.reconstruct.landscape import Landscape
    from aiida_alphacrystal.engine.reconstruct.likelihood import DistanceLikelihood

__all__ = ('evolve',)

_POPULATION = 24
_POPULATIONS = 72
_FEWEST_POPULATIONS = 16
_NARROWING = 0.8
_TOURNAMENT = 3
_ELITE = 3
_FRESH = 1
_STEPS = 4
_MUTATION_SHARE = 0.3
_WIDEST_MUTATION = 0.1
_FINEST_MUTATION = 0.01
_COOLING = 0.9


def evolve(
    landscape: Landscape,
    likelihood: DistanceLikelihood,
    generator: torch.Generator,
    finished: Callable[[Crystals], bool],
) -> Crystals:
    """Evolve one population for each promising assignment, all of them in step.

    :param landscape: of the cell.
    :param likelihood: of the distances; a coarse one leads from far away.
    :param generator: draws everything that is random.
    :param finished: asked after every generation whether the crystals found so far are enough.
    :return: the crystals of the last generation, best first.
    """
    chosen = scan(landscape, likelihood, generator).best(_POPULATIONS, 1).assignments
    genes = landscape.draw((len(chosen), _POPULATION), generator)
    owners = chosen[:, None].expand(-1, _POPULATION).flatten()
    crystals = Crystals(owners, genes.flatten(0, 1), torch.zeros(len(owners), device=landscape.device))
    crystals = landscape.climb(likelihood, crystals, _STEPS)
    width = _WIDEST_MUTATION
    while not finished(crystals):
        crystals = _narrow(crystals)
        children = _children(landscape, crystals, width, generator)
        children = landscape.climb(likelihood, children, _STEPS, min(width, FIRST_STEP))
        crystals = _survivors(crystals, children)
        width = max(_FINEST_MUTATION, width * _COOLING)
    return crystals.best(len(crystals), len(crystals))


def _populations(values: torch.Tensor) -> torch.Tensor:
    """Return what belongs to crystals by population, shape (populations, members, ...)."""
    return values.reshape(-1, _POPULATION, *values.shape[1:])


def _narrow(crystals: Crystals) -> Crystals:
    """Keep the populations that hold the best crystals."""
    best = _populations(crystals.fitness).amax(dim=1)
    number = max(min(_FEWEST_POPULATIONS, len(best)), round(_NARROWING * len(best)))
    kept = torch.argsort(best, descending=True, stable=True)[:number].sort().values
    members = torch.arange(_POPULATION, device=kept.device)
    return crystals.take((kept[:, None] * _POPULATION + members).flatten())


def _children(landscape: Landscape, crystals: Crystals, width: float, generator: torch.Generator) -> Crystals:
    """Cross the winners of tournaments orbit by orbit and mutate what comes of them."""
    first, second = (crystals.genes[_parents(crystals.fitness, generator)] for _ in range(2))
    number = len(crystals)
    exchanged = torch.rand((number, landscape.freedom + 1), generator=generator).to(landscape.device) < 0.5
    sites = landscape.sites[crystals.assignments]
    by_orbit = torch.cat([exchanged.gather(1, sites.clamp(min=0)), exchanged[:, -1:]], dim=1)
    genes = torch.where(by_orbit, second, first)
    hit = torch.rand(genes.shape, generator=generator).to(landscape.device) < _MUTATION_SHARE
    step = width * torch.randn(genes.shape, generator=generator).to(landscape.device)
    genes = genes + torch.where(hit, step, 0.0)
    genes[:, -1].clamp_(-1.0, 1.0)
    fresh = landscape.draw((number // _POPULATION, _FRESH), generator)
    _populations(genes)[:, :_FRESH] = fresh
    return Crystals(crystals.assignments, genes, torch.zeros_like(crystals.fitness))


def _parents(fitness: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the winner of a tournament within its population for every crystal."""
    number = len(fitness)
    rivals = torch.randint(_POPULATION, (number, _TOURNAMENT), generator=generator).to(fitness.device)
    rivals = rivals + _POPULATION * (torch.arange(number, device=fitness.device) // _POPULATION)[:, None]
    return rivals.gather(1, fitness[rivals].argmax(dim=1, keepdim=True))[:, 0]


def _survivors(crystals: Crystals, children: Crystals) -> Crystals:
    """Let the best crystals of each population take the places of its worst children."""
    best = torch.argsort(_populations(crystals.fitness), dim=1, descending=True, stable=True)[:, :_ELITE]
    worst = torch.argsort(_populations(children.fitness), dim=1, stable=True)[:, :_ELITE]
    rows = torch.arange(len(best), device=best.device)[:, None]
    genes, fitness = children.genes.clone(), children.fitness.clone()
    _populations(genes)[rows, worst] = _populations(crystals.genes)[rows, best]
    _populations(fitness)[rows, worst] = _populations(crystals.fitness)[rows, best]
    return Crystals(children.assignments, genes, fitness)
