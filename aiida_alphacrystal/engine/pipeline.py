"""The six stages in a row, in plain Python."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.cells import TemplateVotes, load_cell_model, predict_cells
from aiida_alphacrystal.engine.checkpoint import read_shipped
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.rank import rank_candidates
from aiida_alphacrystal.engine.rank_model import CandidateFacts, with_weights
from aiida_alphacrystal.engine.reconstruct import load_library, reconstruct
from aiida_alphacrystal.engine.relax import (
    elemental_references,
    relax_structures,
    relaxed_formation_energy,
)
from aiida_alphacrystal.engine.settings import check_seed
from aiida_alphacrystal.engine.stored import (
    stored_cell,
    stored_correction,
    stored_facts,
    stored_number,
    stored_relaxation,
    stored_structure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiida_alphacrystal.engine.cells import CellHypothesis, CellModel
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.network import DistanceModel
    from aiida_alphacrystal.engine.rank import RankedCandidate
    from aiida_alphacrystal.engine.reconstruct import Candidate, PrototypeLibrary, Reconstruction
    from aiida_alphacrystal.engine.relax import Potential, Relaxation
    from aiida_alphacrystal.engine.settings import PredictionSettings, RankSettings

__all__ = (
    'Models',
    'NoCandidateError',
    'Pool',
    'Prediction',
    'expectations',
    'generate',
    'hypotheses',
    'load_models',
    'predict',
    'rank_relaxed',
    'relax_and_rank',
)


class NoCandidateError(AlphaCrystalError):
    """No structure could be made, or none could be relaxed."""


@dataclasses.dataclass(frozen=True)
class Models:
    """Everything that was learnt.

    :param distances: the network of stage 2.
    :param cells: the predictor of stage 3.
    :param templates: the prototypes of stage 4.
    """

    distances: DistanceModel
    cells: CellModel
    templates: PrototypeLibrary

    @classmethod
    def of(cls, contents: Mapping[str, bytes]) -> Models:
        """Load weights out of their files.

        :param contents: the bytes of each by purpose; those of the package where one is left out.
        :raises ModelError: if one is damaged or made for something else.
        """
        return cls(
            distances=load_network(contents.get('distances')),
            cells=load_cell_model(contents.get('cells')),
            templates=load_library(contents.get('templates')),
        )

    @functools.cached_property
    def voters(self) -> TemplateVotes:
        """Return the prototypes as voters for cells."""
        return TemplateVotes(self.templates)


@dataclasses.dataclass(frozen=True)
class Pool:
    """What the first four stages gave.

    :param cells: cell hypotheses, most probable first.
    :param distances: distance predictions by formula units, for those cells.
    :param reconstruction: candidates before relaxation.
    """

    cells: tuple[CellHypothesis, ...]
    distances: Mapping[int, DistancePrediction]
    reconstruction: Reconstruction


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What every stage gave.

    :param formula: the compound.
    :param pool: cells, distances and candidates before relaxation.
    :param relaxations: relaxation of every candidate, in their order.
    :param references: elemental reference energies, eV/atom.
    :param ranking: distinct relaxed candidates, best first.
    """

    formula: Formula
    pool: Pool
    relaxations: tuple[Relaxation, ...]
    references: Mapping[str, float]
    ranking: tuple[RankedCandidate, ...]


def load_models(names: Mapping[str, str] | None = None) -> Models:
    """Load weights that the package carries.

    :param names: which ones in place of the usual ones by purpose, such as ``{'distances': 'distances-reference'}``.
    :raises ModelError: if the package has none of that name.
    """
    return Models.of({purpose: read_shipped(f'{name}.safetensors') for purpose, name in (names or {}).items()})


def hypotheses(formula: Formula, models: Models, settings: PredictionSettings) -> tuple[CellHypothesis, ...]:
    """Predict the cells of a compound, as a database gives them back.

    :param formula: the compound.
    :param models: trained weights.
    :param settings: of every stage.
    :raises UnsupportedElementError: if the model does not know an element.
    """
    cells = predict_cells(models.cells, formula, settings.cells, settings.max_atoms, models.voters)
    return tuple(stored_cell(cell) for cell in cells)


def expectations(
    formula: Formula, cells: Sequence[CellHypothesis], models: Models, settings: PredictionSettings
) -> dict[int, DistancePrediction]:
    """Predict the distances in cells of every size that occurs, by formula units.

    :param formula: the compound.
    :param cells: hypotheses about the cell.
    :param models: trained weights.
    :param settings: of every stage.
    :raises UnsupportedElementError: if the model does not know an element.
    """
    return {
        units: predict_distances(
            models.distances, featurize(formula, units, settings.max_atoms), formula.species(units)
        )
        for units in sorted({cell.formula_units for cell in cells})
    }


def rank_relaxed(
    candidates: Sequence[Candidate],
    relaxations: Sequence[Relaxation],
    references: Mapping[str, float],
    settings: RankSettings,
    potential: Mapping[str, str],
) -> tuple[RankedCandidate, ...]:
    """Rank relaxed candidates by what a database gives back of them.

    :param candidates: before their relaxation.
    :param relaxations: one for each.
    :param references: energy of each element, eV/atom.
    :param settings: of the last stage.
    :param potential: the facts about the potential.
    """
    facts = [stored_facts(CandidateFacts.of(candidate)) for candidate in candidates]
    relaxed = [stored_relaxation(relaxation) for relaxation in relaxations]
    elements = {element: stored_number(energy) for element, energy in references.items()}
    scheme = potential['corrections']
    energies = [
        relaxed_formation_energy(one, stored_correction(relaxation, scheme), elements)
        for one, relaxation in zip(relaxed, relaxations, strict=True)
    ]
    return rank_candidates(
        facts,
        relaxed,
        energies,
        with_weights(settings, potential['sha256']),
    )


def generate(formula: Formula, models: Models, settings: PredictionSettings, seed: int = 0) -> Pool:
    """Make the candidates of a compound, without relaxing them.

    :param formula: the compound; with its formula units where the cell is fixed.
    :param models: trained weights.
    :param settings: of every stage.
    :param seed: of everything that is drawn; the same seed gives the same result.
    :raises UnsupportedElementError: if a model does not know an element.
    :raises NoCandidateError: if no structure could be made.
    """
    check_seed(seed)
    cells = hypotheses(formula, models, settings)
    distances = expectations(formula, cells, models, settings)
    reconstruction = reconstruct(formula, cells, distances, models.templates, settings, seed)
    if not reconstruction.candidates:
        raise NoCandidateError(f'No candidate for {formula.label}: {" ".join(reconstruction.reasons)}')
    return Pool(cells, distances, reconstruction)


def predict(
    formula: Formula, models: Models, potential: Potential, settings: PredictionSettings, seed: int = 0
) -> Prediction:
    """Predict the crystal structures of a compound.

    :param formula: the compound; with its formula units where the cell is fixed.
    :param models: trained weights.
    :param potential: relaxes the candidates and gives their energies.
    :param settings: of every stage.
    :param seed: of everything that is drawn; the same seed gives the same result.
    :raises UnsupportedElementError: if a model or the potential does not know an element.
    :raises NoCandidateError: if no structure could be made, or none could be relaxed.
    """
    potential.check_elements(frozenset(formula.elements))
    pool = generate(formula, models, settings, seed)
    relaxations, references, ranking = relax_and_rank(formula, pool.reconstruction.candidates, potential, settings)
    return Prediction(formula, pool, relaxations, references, ranking)


def relax_and_rank(
    formula: Formula, candidates: Sequence[Candidate], potential: Potential, settings: PredictionSettings
) -> tuple[tuple[Relaxation, ...], Mapping[str, float], tuple[RankedCandidate, ...]]:
    """Relax candidates of a compound, wherever they come from, and rank them.

    :param formula: the compound.
    :param candidates: at least one.
    :param potential: relaxes them and gives their energies.
    :param settings: of the last two stages.
    :return: the relaxation of every candidate, the energies of the elements, and the ranking.
    :raises UnsupportedElementError: if the potential does not know an element.
    :raises NoCandidateError: if none could be relaxed.
    """
    structures = [stored_structure(candidate.structure) for candidate in candidates]
    relaxed = relax_structures(structures, potential, settings.relax)
    relaxations = tuple(stored_relaxation(relaxation) for relaxation in relaxed)
    references = elemental_references(formula.elements, potential)
    ranking = rank_relaxed(candidates, relaxed, references, settings.rank, potential.facts)
    if not ranking:
        reasons = sorted({str(relaxation.reason) for relaxation in relaxations})
        raise NoCandidateError(f'No candidate for {formula.label} could be relaxed: {" ".join(reasons)}')
    return relaxations, references, ranking
