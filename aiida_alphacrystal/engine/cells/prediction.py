"""From a composition to ranked joint hypotheses of space group, formula units and lattice."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine.cells.descriptors import (
    LATTICE_SIZE,
    centring_factor,
    composition_vector,
    lattice_from_shape,
    obeys_crystal_system,
)
from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.cells.networks import ranker_inputs
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.symmetry import crystal_system
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.cells.model import CellModel
    from aiida_alphacrystal.engine.cells.votes import CellVotes, LatticeVote, TemplateVotes
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.settings import CellSettings

__all__ = ('predict_cells',)

FloatArray = npt.NDArray[np.float64]
Lattice = tuple[float, float, float, float, float, float]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class _Ranked:
    """Cells with their probabilities, in no order.

    :param spacegroups: shape (cells,).
    :param formula_units: shape (cells,).
    :param probabilities: shape (cells,).
    """

    spacegroups: IntArray
    formula_units: IntArray
    probabilities: FloatArray

    def restricted(self, kept: npt.NDArray[np.bool_]) -> _Ranked:
        """Return some of the cells, their probabilities scaled so that they add up to one."""
        chosen = self.probabilities[kept]
        return _Ranked(self.spacegroups[kept], self.formula_units[kept], chosen / max(float(chosen.sum()), 1e-300))


def predict_cells(
    model: CellModel,
    formula: Formula,
    settings: CellSettings,
    max_atoms: int,
    templates: TemplateVotes | None = None,
) -> tuple[CellHypothesis, ...]:
    """Return the most probable hypotheses about the primitive cell of a compound.

    :param model: the cell predictor.
    :param formula: the compound; with its formula units where they are fixed.
    :param settings: how many hypotheses to keep, whether known crystals vote, and what the user knows already.
    :param max_atoms: the largest primitive cell.
    :param templates: the known crystals that may vote; None leaves the networks alone.
    :return: hypotheses by decreasing probability.
    :raises SettingsError: if no cell is as the user wants it.
    """
    if not settings.votes:
        templates = None
    composition = torch.from_numpy(_scaled_composition(model, formula))
    votes = None if templates is None else templates.vote(formula, max_atoms)
    with torch.no_grad(), one_thread():
        ranked = _pin(_rank(model, formula, composition, max_atoms, votes), settings)
        order = np.lexsort((ranked.formula_units, ranked.spacegroups, -ranked.probabilities))
        best = order[: settings.max_hypotheses]
        spacegroups, units = ranked.spacegroups[best], ranked.formula_units[best]
        lattices, errors = _lattices(model, formula, composition, spacegroups, units, votes, templates)
    if settings.lattice:
        lattices = [cast('Lattice', settings.lattice)] * len(best)
    return tuple(
        CellHypothesis(int(spacegroup), int(count), lattice, float(probability), error)
        for spacegroup, count, lattice, probability, error in zip(
            spacegroups, units, lattices, ranked.probabilities[best], errors, strict=True
        )
    )


def _rank(
    model: CellModel, formula: Formula, composition: torch.Tensor, max_atoms: int, votes: CellVotes | None
) -> _Ranked:
    """Return all cells of a compound with their probabilities."""
    logits = torch.stack([network(composition[None])[0] for network in model.networks]).double()
    averaged = torch.softmax(logits / model.temperatures[0], dim=1).mean(dim=0).log()
    allowed = np.isin(model.formula_units, formula.allowed_formula_units(max_atoms))
    if not allowed.any():
        return _spread_over_spacegroups(model, formula, torch.exp(averaged).numpy())
    nothing = np.full(len(model.spacegroups), -np.inf)
    classes_of = (model.spacegroups, model.formula_units)
    every, strongest = (nothing, nothing) if votes is None else votes.by_class(*classes_of)
    classes, sample = ranker_inputs(
        averaged[None].float(),
        torch.from_numpy(every[None]).float(),
        torch.from_numpy(strongest[None]).float(),
        torch.from_numpy(allowed[None]),
        torch.from_numpy(model.prior).float(),
        torch.tensor([[math.log(formula.atoms_per_unit), len(formula.elements), formula.formula_units is not None]]),
    )
    scores = model.ranker(classes, sample)[0].double() / model.temperatures[1]
    probabilities = torch.softmax(scores[torch.from_numpy(allowed)], dim=0).numpy()
    return _Ranked(model.spacegroups[allowed], model.formula_units[allowed], probabilities)


def _spread_over_spacegroups(model: CellModel, formula: Formula, probabilities: FloatArray) -> _Ranked:
    """Return what is known of the space groups where no known crystal has so many formula units."""
    spacegroups, inverse = np.unique(model.spacegroups, return_inverse=True)
    merged = np.bincount(inverse, weights=probabilities)
    units = np.full(len(spacegroups), formula.formula_units)
    return _Ranked(spacegroups, units, merged / merged.sum())


def _pin(ranked: _Ranked, settings: CellSettings) -> _Ranked:
    """Keep the cells that are as the user wants them."""
    kept = np.ones(len(ranked.spacegroups), dtype=bool)
    if settings.spacegroup:
        kept &= ranked.spacegroups == settings.spacegroup
    if settings.crystal_system:
        kept &= np.array([crystal_system(int(one)) == settings.crystal_system for one in ranked.spacegroups])
    if settings.lattice:
        kept &= np.array([obeys_crystal_system(settings.lattice, int(one)) for one in ranked.spacegroups])
    if kept.any():
        return ranked.restricted(kept)
    if settings.spacegroup and not settings.crystal_system:
        # never seen with this composition: the user knows better
        units = np.unique(ranked.formula_units)
        weights = np.array([ranked.probabilities[ranked.formula_units == one].sum() for one in units])
        alone = _Ranked(np.full(len(units), settings.spacegroup), units, weights)
        if not settings.lattice or obeys_crystal_system(settings.lattice, settings.spacegroup):
            return alone.restricted(np.ones(len(units), dtype=bool))
    raise SettingsError(
        'No cell has the space group, the crystal system and the lattice that the settings cells.spacegroup, '
        'cells.crystal_system and cells.lattice ask for: leave one of them out.'
    )


def _scaled_composition(model: CellModel, formula: Formula) -> npt.NDArray[np.float32]:
    vector = (composition_vector(formula) - model.scales['x_mean']) / model.scales['x_std']
    return vector.astype(np.float32)


def _lattices(
    model: CellModel,
    formula: Formula,
    composition: torch.Tensor,
    spacegroups: IntArray,
    units: IntArray,
    votes: CellVotes | None,
    templates: TemplateVotes | None,
) -> tuple[list[Lattice], list[float]]:
    """Return the conventional lattice of every cell and the relative uncertainty of its volume."""
    factors = np.array([centring_factor(int(number)) for number in spacegroups])
    atoms = units * formula.atoms_per_unit * factors
    voted = [_voted(votes, templates, *cell) for cell in zip(spacegroups.tolist(), units.tolist(), strict=True)]
    nothing = np.full(LATTICE_SIZE, np.nan)
    shapes = np.array([nothing if vote is None else vote.shape for vote in voted])
    spreads = np.array([nothing if vote is None else vote.spread for vote in voted])
    mean, deviation = model.scales['y_mean'], model.scales['y_std']
    scaled, errors = model.lattice(
        composition.expand(len(units), -1),
        torch.from_numpy(spacegroups),
        torch.from_numpy(np.log(atoms)).float(),
        torch.from_numpy((shapes - mean) / deviation).float(),
        torch.from_numpy(spreads / deviation).float(),
    )
    found = scaled.double().numpy() * deviation + mean
    widths = np.exp(errors.double().numpy()) * deviation[0] * model.volume_factor
    lattices = [
        lattice_from_shape(shape, int(spacegroup), int(count))
        for shape, spacegroup, count in zip(found, spacegroups, atoms, strict=True)
    ]
    return lattices, np.expm1(widths).tolist()


def _voted(votes: CellVotes | None, templates: TemplateVotes | None, spacegroup: int, units: int) -> LatticeVote | None:
    """Return the lattice that the known crystals have in one cell, None where there is none."""
    if votes is None or templates is None:
        return None
    places: Sequence[int] = np.flatnonzero((votes.spacegroups == spacegroup) & (votes.formula_units == units)).tolist()
    return templates.lattice(votes, places[0]) if places else None
