"""How far compounds are above the convex hull of what competes with them."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymatgen.analysis.phase_diagram import PhaseDiagram

__all__ = ('HullPoint', 'energies_above_hull', 'hull_point')

#: A formula, and the formation energy in eV/atom.
Compound = tuple[str, float]


@dataclasses.dataclass(frozen=True)
class HullPoint:
    """The convex hull at one composition.

    :param energy: formation energy on the hull, eV/atom.
    :param phases: reduced formula of what is stable there, with its share of the atoms; the most comes first.
    """

    energy: float
    phases: tuple[tuple[str, float], ...]


def hull_point(formula: str, competing: Iterable[Compound]) -> HullPoint:
    """Return the hull at the composition of a compound, and what the compound would fall apart into.

    :param formula: the compound.
    :param competing: what the hull is made of, besides the elements; may hold the compound itself.
    """
    from pymatgen.core import Composition

    lowest = _lowest(_reduced(competing))
    diagram = _diagram(_elements(formula), _by_system(lowest), lowest)
    composition = Composition(formula)
    shares = diagram.get_decomposition(composition)
    phases = sorted(
        ((entry.composition.reduced_formula, float(share)) for entry, share in shares.items()),
        key=lambda phase: (-phase[1], phase[0]),
    )
    return HullPoint(float(diagram.get_hull_energy_per_atom(composition)), tuple(phases))


def energies_above_hull(compounds: Sequence[Compound], competing: Iterable[Compound] = ()) -> list[float]:
    """Return how far each compound is above the convex hull, in eV/atom; 0 on it.

    The hull is that of all compounds given and of the elements, whose formation energy is zero (Ong et al., Chem.
    Mater. 20, 1798, 2008, DOI 10.1021/cm702327g).

    :param compounds: formula and formation energy (eV/atom) of each; formation energies must come from one method.
    :param competing: other compounds that may be more stable, from the same method.
    """
    own = _reduced(compounds)
    reduced = [formula for formula, _ in own]
    lowest = _lowest([*own, *_reduced(competing)])
    systems = _by_system(lowest)
    diagrams = {system: _diagram(system, systems, lowest) for system in {_elements(formula) for formula in reduced}}
    hull = {formula: _hull_energy(diagrams[_elements(formula)], formula) for formula in set(reduced)}
    return [max(0.0, energy - hull[formula]) for formula, (_, energy) in zip(reduced, compounds, strict=True)]


def _reduced(compounds: Iterable[Compound]) -> list[Compound]:
    """Return compounds under their reduced formulas."""
    from pymatgen.core import Composition

    return [(Composition(formula).reduced_formula, energy) for formula, energy in compounds]


def _lowest(compounds: Iterable[Compound]) -> dict[str, float]:
    """Return the lowest energy of each formula."""
    lowest: dict[str, float] = {}
    for formula, energy in compounds:
        lowest[formula] = min(energy, lowest.get(formula, energy))
    return lowest


def _by_system(formulas: Iterable[str]) -> dict[frozenset[str], list[str]]:
    systems: dict[frozenset[str], list[str]] = defaultdict(list)
    for formula in formulas:
        systems[_elements(formula)].append(formula)
    return systems


def _elements(formula: str) -> frozenset[str]:
    from pymatgen.core import Composition

    return frozenset(element.symbol for element in Composition(formula).elements)


def _diagram(
    system: frozenset[str], systems: dict[frozenset[str], list[str]], energies: dict[str, float]
) -> PhaseDiagram:
    """Return the phase diagram of a chemical system with all compounds of its sub-systems."""
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    subsets = (
        frozenset(subset) for size in range(2, len(system) + 1) for subset in itertools.combinations(system, size)
    )
    formulas = [formula for subset in subsets for formula in systems.get(subset, ())]
    entries = [PDEntry(Composition(symbol), 0.0) for symbol in sorted(system)]
    for formula in formulas:
        composition = Composition(formula)
        entries.append(PDEntry(composition, energies[formula] * composition.num_atoms))
    return PhaseDiagram(entries)


def _hull_energy(diagram: PhaseDiagram, formula: str) -> float:
    from pymatgen.core import Composition

    return float(diagram.get_hull_energy_per_atom(Composition(formula)))
