"""Read the energies of all candidates of a prediction from its nodes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiida.orm import WorkChainNode

__all__ = ('CandidateEnergies', 'CandidateEnergy', 'read_energies')


@dataclasses.dataclass(frozen=True)
class CandidateEnergy:
    """One candidate before and after its relaxation.

    :param label: of the candidate, such as ``c_001``.
    :param source: ``template``, ``descent``, ``genetic`` or ``free``.
    :param before: formation energy as it was made, eV/atom; None where it could not be evaluated or was not kept.
    :param after: formation energy after the relaxation, eV/atom; None where that failed.
    :param reason: why it failed, None where it did not.
    :param rank: its place in the ranking, None where it has none or another one stands for the same structure.
    """

    label: str
    source: str
    before: float | None
    after: float | None
    reason: str | None
    rank: int | None


@dataclasses.dataclass(frozen=True)
class CandidateEnergies:
    """The candidates of a prediction.

    :param formula: the compound.
    :param potential: name of what relaxed them.
    :param rows: one for each candidate, in the order of their labels.
    """

    formula: str
    potential: str
    rows: tuple[CandidateEnergy, ...]

    @property
    def knows_before(self) -> bool:
        """Return whether any energy before a relaxation was kept, as earlier versions did not."""
        return any(row.before is not None for row in self.rows)


def read_energies(node: WorkChainNode) -> CandidateEnergies:
    """Return the formation energies of all candidates of a prediction.

    :param node: the prediction.
    """
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.engine.relax.references import formation_energy

    table, relaxations = node.outputs.candidates, node.outputs.relaxations.base.attributes
    references = relaxations.get('elemental_references')
    formula = parse_formula(table['formula'], max_atoms=10**6)
    content = dict(zip(formula.elements, formula.counts, strict=True))

    def formed(label: str, name: str) -> float | None:
        energy = outcomes[label].get(name)
        correction = outcomes[label].get('correction_per_atom', 0.0)
        return None if energy is None else formation_energy(energy + correction, content, references)

    ranking = node.outputs.ranking['rows'] if 'ranking' in node.outputs else ()
    ranks = {place['label']: place['rank'] for place in ranking}
    outcomes = {row['label']: row for row in relaxations.get('rows')}
    rows = tuple(
        CandidateEnergy(
            label=row['label'],
            source=row['source'],
            before=formed(row['label'], 'initial_energy_per_atom'),
            after=formed(row['label'], 'energy_per_atom'),
            reason=outcomes[row['label']]['reason'],
            rank=ranks.get(row['label']),
        )
        for row in table['rows']
        if row['label'] in outcomes
    )
    return CandidateEnergies(formula.label, str(relaxations.get('potential')['name']), rows)
