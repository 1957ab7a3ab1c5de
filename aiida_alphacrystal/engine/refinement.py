"""Compare what a prediction said about its structures with what density-functional theory makes of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.metrics import normalised_rms
from aiida_alphacrystal.engine.rank import same_structure
from aiida_alphacrystal.engine.symmetry import spacegroup_of, standard_primitive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

__all__ = ('Refined', 'RefinedPlace', 'order_agreement', 'rank_refined', 'symmetric_primitive')


@dataclasses.dataclass(frozen=True)
class Refined:
    """What a calculation left of one structure.

    :param structure: the relaxed structure.
    :param energy: energy of its cell, eV.
    :param max_force: largest force on an atom, eV/A, None where the calculation does not tell.
    """

    structure: Structure
    energy: float
    max_force: float | None = None

    @property
    def energy_per_atom(self) -> float:
        """Return the energy per atom, eV."""
        return self.energy / len(self.structure)


@dataclasses.dataclass(frozen=True)
class RefinedPlace:
    """One place of the new ranking.

    :param rank: place by the refined energy, from 1.
    :param label: which structure it is.
    :param energy_per_atom: refined energy, eV/atom.
    :param relative_energy: refined energy above that of the first place, eV/atom.
    :param volume_per_atom: after the refinement, cubic angstrom.
    :param volume_change: relative change of the volume per atom by the refinement.
    :param max_force: largest force on an atom, eV/A, None where it is not known.
    :param rms: normalised displacement between the predicted and the refined structure, None where they do not match.
    :param spacegroup: international number of the refined structure.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param same_as: the better placed structure that it has become equal to, None where there is none.
    """

    rank: int
    label: str
    energy_per_atom: float
    relative_energy: float
    volume_per_atom: float
    volume_change: float
    max_force: float | None
    rms: float | None
    spacegroup: int
    spacegroup_symbol: str
    same_as: str | None


def symmetric_primitive(structure: Structure, tolerance: float) -> Structure:
    """Return the primitive cell of a crystal, its symmetry made exact.

    A cell of the size and symmetry that the crystal really has costs a calculation far fewer electrons and k-points.

    :param structure: the crystal.
    :param tolerance: how far atoms may be from where the symmetry puts them, A.
    :return: the crystal itself where spglib finds no cell.
    """
    reduced = standard_primitive(structure, tolerance)
    return structure if reduced is None else reduced.get_sorted_structure(key=lambda site: site.specie.Z)


def rank_refined(predicted: Mapping[str, Structure], refined: Mapping[str, Refined]) -> tuple[RefinedPlace, ...]:
    """Rank structures of one composition by their refined energy per atom, the lowest first.

    :param predicted: the structures as they were predicted, by label.
    :param refined: what became of them; a label whose calculation failed is left out.
    """
    order = sorted(refined, key=lambda label: (refined[label].energy_per_atom, label))
    places: list[RefinedPlace] = []
    for rank, label in enumerate(order, start=1):
        after, before = refined[label].structure, predicted[label]
        number, symbol = spacegroup_of(after)
        volume = after.volume / len(after)
        places.append(
            RefinedPlace(
                rank=rank,
                label=label,
                energy_per_atom=refined[label].energy_per_atom,
                relative_energy=refined[label].energy_per_atom - refined[order[0]].energy_per_atom,
                volume_per_atom=volume,
                volume_change=volume / (before.volume / len(before)) - 1,
                max_force=refined[label].max_force,
                rms=normalised_rms(after, before),
                spacegroup=number,
                spacegroup_symbol=symbol,
                same_as=_twin(label, order[: rank - 1], refined),
            )
        )
    return tuple(places)


def order_agreement(before: Sequence[str], after: Sequence[str]) -> float | None:
    """Return how far two rankings agree: Kendall's tau, 1 for the same order and -1 for the reverse.

    The statistic is that of M. G. Kendall, Biometrika 30, 81, 1938, https://doi.org/10.1093/biomet/30.1-2.81.

    :param before: labels in their first order; those that the second one lacks are not looked at.
    :param after: labels in their second order.
    :return: None where fewer than two labels are in both.
    """
    from scipy.stats import kendalltau

    common = [label for label in before if label in after]
    if len(common) < 2:
        return None
    return float(kendalltau(range(len(common)), [after.index(label) for label in common]).statistic)


def _twin(label: str, better: Sequence[str], refined: Mapping[str, Refined]) -> str | None:
    """Return the first of the better placed structures that is the same."""
    own = refined[label]
    return next(
        (
            other
            for other in better
            if same_structure(
                own.structure, own.energy_per_atom, refined[other].structure, refined[other].energy_per_atom
            )
        ),
        None,
    )
