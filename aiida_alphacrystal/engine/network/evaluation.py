"""How well distances are predicted for crystals that nothing was learnt from."""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.atom_matching import in_order_of
from aiida_alphacrystal.engine.datasets import DatasetError
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.network.inference import predict_many
from aiida_alphacrystal.engine.network.informed import predict_informed
from aiida_alphacrystal.engine.network.scoring import score_distances
from aiida_alphacrystal.engine.reconstruct.templates import same_stoichiometry
from aiida_alphacrystal.engine.workers import run_all, shared, team

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.network.base import DistanceModel
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('GROUPS', 'evaluate_distances', 'true_distances')

FloatArray = npt.NDArray[np.float64]

#: The groups of Table 5 of the paper: all crystals, and some of them by symmetry and number of elements.
GROUPS = ('all', 'cubic', 'binary', 'ternary')

_FIRST_CUBIC = 195
_INTERVALS = (0.5, 0.9)
_CHUNK = 25


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What is said of one cell, each array of shape (atoms, atoms), A.

    :param ours: distances that belong together.
    :param intervals: lower and upper limit of each of :data:`_INTERVALS`, in the order of the atoms of ours.
    """

    ours: FloatArray
    intervals: tuple[tuple[FloatArray, FloatArray], ...]


def evaluate_distances(
    network: DistanceModel,
    reference: DistanceModel,
    library: PrototypeLibrary,
    crystals: Sequence[Crystal],
    jobs: int = 1,
) -> dict[str, Any]:
    """Score the distances of network and templates together, and those of simpler predictors beside them.

    Scores are those of :func:`~aiida_alphacrystal.engine.network.scoring.score_distances`. The result holds:

    - ``ours``: network and templates together; ``network``: the network alone; ``reference``: that of the paper, for
      the crystals that it takes; ``nearest_template``: the known compound of the same stoichiometry with the most
      similar elements, as it is; ``chance``: the mean distance of all crystals for every pair.
    - ``file_order``, ``with_diagonal``: scores of ours, the network and the reference with the atoms of an element in
      the order of the file, and with the distance of each atom to its own nearest image.
    - ``groups``: ours and the reference for each of :data:`GROUPS`.
    - ``coverage_50``, ``coverage_90``: share of the distances inside the intervals that should hold so many.
    - ``seconds_per_1000``: time of ours, on ``jobs`` processes that had been started before.

    :param network: ours.
    :param reference: that of the paper.
    :param library: known compounds.
    :param crystals: known crystals, none of which should be in the library; those of one atom are left out.
    :param jobs: how many processes share the work.
    :raises DatasetError: if there is no crystal of two atoms or more.
    :raises SettingsError: if there is no process to work.
    """
    if jobs < 1:
        raise SettingsError(f'The number of processes is {jobs}: give at least 1.')
    known = [crystal for crystal in crystals if crystal.natoms > 1]
    if not known:
        raise DatasetError('There is no crystal of two atoms or more to score distances on: give at least one.')
    cells = [_cell(crystal) for crystal in known]
    chunks = [cells[start : start + _CHUNK] for start in range(0, len(cells), _CHUNK)]
    with team((network, reference, library), min(jobs, len(chunks))) as executor:
        started = time.perf_counter()
        answers = [answer for chunk in run_all(executor, _ours, chunks, 'ours') for answer in chunk]
        seconds = time.perf_counter() - started
        others = [other for chunk in run_all(executor, _others, chunks, 'others') for other in chunk]
    predicted: dict[str, list[FloatArray | None]] = {
        'ours': [answer.ours for answer in answers],
        **{name: [other[name] for other in others] for name in ('network', 'reference', 'nearest_template')},
    }
    true = [true_distances(crystal) for crystal in known]
    species = [formula.species(units) for formula, units in cells]
    return {
        **_tables(known, species, true, predicted),
        **_coverage(species, true, answers),
        'seconds_per_1000': 1000 * seconds / len(known),
        'jobs': min(jobs, len(chunks)),
    }


def true_distances(crystal: Crystal) -> FloatArray:
    """Return the distances of a crystal, its elements in the order of the formula, shape (atoms, atoms), A.

    :param crystal: the crystal; atoms of one element stay in their order.
    """
    places = collections.defaultdict(list)
    for place, symbol in enumerate(crystal.species):
        places[symbol].append(place)
    order = [place for symbol in crystal.formula.elements for place in places[symbol]]
    return minimum_image_distances(crystal.lattice, crystal.frac_coords)[np.ix_(order, order)]


def _cell(crystal: Crystal) -> tuple[Formula, int]:
    formula = crystal.formula
    return formula, formula.formula_units or 1


def _ours(cells: Sequence[tuple[Formula, int]]) -> list[_Answer]:
    network, _, library = shared()
    return [
        _Answer(found.estimate, tuple(found.distribution.interval(share) for share in _INTERVALS))
        for found in predict_informed(network, library, cells)
    ]


def _others(cells: Sequence[tuple[Formula, int]]) -> list[dict[str, FloatArray | None]]:
    network, reference, library = shared()
    rows = [
        (featurize(formula, units, formula.atoms_per_unit * units), formula.species(units)) for formula, units in cells
    ]
    fitting = [row for row in rows if len(row[1]) <= (reference.max_atoms or len(row[1]))]
    known = iter(predict_many(reference, fitting))
    return [
        {
            'network': prediction.expectation,
            'reference': next(known).expectation if len(species) <= (reference.max_atoms or len(species)) else None,
            'nearest_template': _nearest(library, formula, units),
        }
        for (formula, units), (_, species), prediction in zip(cells, rows, predict_many(network, rows), strict=True)
    ]


def _nearest(library: PrototypeLibrary, formula: Formula, units: int) -> FloatArray | None:
    fixed = dataclasses.replace(formula, formula_units=units)
    structure = next(same_stoichiometry(library, fixed, fixed.atoms_per_unit * units), None)
    if structure is None:
        return None
    return minimum_image_distances(structure.lattice.matrix, structure.frac_coords)


def _tables(
    crystals: Sequence[Crystal],
    species: Sequence[tuple[str, ...]],
    true: Sequence[FloatArray],
    predicted: dict[str, list[FloatArray | None]],
) -> dict[str, Any]:
    """Return the scores of all predictors."""
    mean = _mean_distance(true)
    everything: dict[str, list[FloatArray | None]] = {**predicted, 'chance': [np.full_like(one, mean) for one in true]}
    # where no known compound has the stoichiometry, the nearest template can do no better than chance
    everything['nearest_template'] = [
        chance if one is None else one
        for one, chance in zip(everything['nearest_template'], everything['chance'], strict=True)
    ]

    def score(name: str, *, in_order: bool = False, diagonal: bool = False, group: str = 'all') -> dict[str, float]:
        chosen = [
            (guess, truth, list(range(len(symbols))) if in_order else symbols)
            for guess, truth, symbols, crystal in zip(everything[name], true, species, crystals, strict=True)
            if guess is not None and _belongs(crystal, group)
        ]
        if not chosen:
            return {'n': 0}
        return score_distances(*zip(*chosen, strict=True), diagonal=diagonal)

    shown = ('ours', 'network', 'reference')
    return {
        'n': len(crystals),
        **{name: score(name) for name in ('ours', 'network', 'reference', 'nearest_template', 'chance')},
        'file_order': {name: score(name, in_order=True) for name in shown},
        'with_diagonal': {name: score(name, diagonal=True) for name in shown},
        'groups': {group: {name: score(name, group=group) for name in ('ours', 'reference')} for group in GROUPS},
    }


def _belongs(crystal: Crystal, group: str) -> bool:
    if group == 'cubic':
        return crystal.spacegroup is not None and crystal.spacegroup >= _FIRST_CUBIC
    elements = {'binary': 2, 'ternary': 3}.get(group)
    return elements is None or len(set(crystal.species)) == elements


def _mean_distance(matrices: Sequence[FloatArray]) -> float:
    total = sum(float(matrix.sum() - np.trace(matrix)) for matrix in matrices)
    return total / sum(len(matrix) * (len(matrix) - 1) for matrix in matrices)


def _coverage(
    species: Sequence[tuple[str, ...]], true: Sequence[FloatArray], answers: Sequence[_Answer]
) -> dict[str, float]:
    """Return the share of the distances of different atoms inside each interval, atoms matched to our estimate."""
    inside: list[list[float]] = [[] for _ in _INTERVALS]
    for symbols, truth, answer in zip(species, true, answers, strict=True):
        pairs = np.triu_indices(len(truth), 1)
        values = in_order_of(answer.ours, truth, symbols)[pairs]
        for hits, (low, high) in zip(inside, answer.intervals, strict=True):
            hits.extend(((low[pairs] <= values) & (values <= high[pairs])).tolist())
    return {
        f'coverage_{round(100 * share)}': float(np.mean(hits)) for share, hits in zip(_INTERVALS, inside, strict=True)
    }
