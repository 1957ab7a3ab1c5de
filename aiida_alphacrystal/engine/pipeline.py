"""The six stages in a row, in plain Python."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine.cells import load_cell_model, predict_cells
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network import load_network, predict_distances
from aiida_alphacrystal.engine.rank import rank_candidates
from aiida_alphacrystal.engine.reconstruct import load_library, reconstruct
from aiida_alphacrystal.engine.relax import elemental_references, relax_structures
from aiida_alphacrystal.engine.settings import check_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiida_alphacrystal.engine.cells import CellHypothesis, CellModel
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.network import DistanceNetwork
    from aiida_alphacrystal.engine.rank import RankedCandidate
    from aiida_alphacrystal.engine.reconstruct import PrototypeLibrary, Reconstruction
    from aiida_alphacrystal.engine.relax import Potential, Relaxation
    from aiida_alphacrystal.engine.settings import PredictionSettings

__all__ = ('Models', 'NoCandidateError', 'Prediction', 'load_models', 'predict')


class NoCandidateError(AlphaCrystalError):
    """No structure could be made, or none could be relaxed."""


@dataclasses.dataclass(frozen=True)
class Models:
    """Everything that was learnt.

    :param distances: the network of stage 2.
    :param cells: the predictor of stage 3.
    :param templates: the prototypes of stage 4.
    """

    distances: DistanceNetwork
    cells: CellModel
    templates: PrototypeLibrary


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What every stage gave.

    :param formula: the compound.
    :param cells: cell hypotheses, most probable first.
    :param distances: distance predictions by formula units.
    :param reconstruction: candidates before relaxation.
    :param relaxations: relaxation of every candidate, in their order.
    :param references: elemental reference energies, eV/atom.
    :param ranking: distinct relaxed candidates, best first.
    """

    formula: Formula
    cells: tuple[CellHypothesis, ...]
    distances: Mapping[int, DistancePrediction]
    reconstruction: Reconstruction
    relaxations: tuple[Relaxation, ...]
    references: Mapping[str, float]
    ranking: tuple[RankedCandidate, ...]


def load_models() -> Models:
    """Load the weights that the package carries."""
    return Models(distances=load_network(), cells=load_cell_model(), templates=load_library())


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
    check_seed(seed)
    potential.check_elements(frozenset(formula.elements))
    cells = predict_cells(models.cells, formula, settings.cells, settings.max_atoms)
    distances = {
        units: predict_distances(
            models.distances, featurize(formula, units, settings.max_atoms), formula.species(units)
        )
        for units in dict.fromkeys(cell.formula_units for cell in cells)
    }
    reconstruction = reconstruct(formula, cells, distances, models.templates, settings, seed)
    if not reconstruction.candidates:
        raise NoCandidateError(f'No candidate for {formula.label}: {" ".join(reconstruction.reasons)}')
    structures = [candidate.structure for candidate in reconstruction.candidates]
    relaxations = relax_structures(structures, potential, settings.relax)
    references = elemental_references(formula.elements, potential)
    costs = [candidate.cost for candidate in reconstruction.candidates]
    ranking = rank_candidates(costs, relaxations, references, settings.rank)
    if not ranking:
        reasons = sorted({str(relaxation.reason) for relaxation in relaxations})
        raise NoCandidateError(f'No candidate for {formula.label} could be relaxed: {" ".join(reasons)}')
    return Prediction(formula, cells, distances, reconstruction, relaxations, references, ranking)
