"""How well the cells of known crystals are predicted."""

from __future__ import annotations

import collections
import dataclasses
import math
import time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.cells.descriptors import (
    centring_factor,
    lattice_from_shape,
    shape_of_lattice,
)
from aiida_alphacrystal.engine.cells.prediction import predict_cells
from aiida_alphacrystal.engine.cells.votes import TemplateVotes, shape_of_crystal
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.metrics.calibration import expected_calibration_error
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.settings import CRYSTAL_SYSTEMS, CellSettings
from aiida_alphacrystal.engine.symmetry import crystal_system

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.cells.model import CellModel
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('cell_class', 'open_formula', 'score_cells')

FloatArray = npt.NDArray[np.float64]

TOPS = (1, 5, 10)

#: Lattice lengths that each crystal system leaves free.
_LENGTHS = {
    'triclinic': 'abc',
    'monoclinic': 'abc',
    'orthorhombic': 'abc',
    'tetragonal': 'ac',
    'trigonal': 'ac',
    'hexagonal': 'ac',
    'cubic': 'a',
}

#: All classes that there can be.
_EVERYTHING = CellSettings(max_hypotheses=200)


def score_cells(model: CellModel, crystals: Sequence[Crystal], library: PrototypeLibrary) -> dict[str, Any]:
    """Score a cell predictor on known crystals.

    All rates are fractions. The space group is asked for with the content of the primitive cell given, the number of
    formula units with the reduced formula given. The result holds:

    - ``spacegroup``: known space group among the first 1, 5 and 10; ``crystal_system`` the same of the first.
    - ``z``: known number of formula units among the first 1 and 3.
    - ``volume_mare``: mean absolute relative error of the volume per atom in the right space group;
      ``volume_within`` the share of those errors that are below the stated uncertainty.
    - ``lattice_r2``: coefficient of determination of the free lattice lengths in the right space group.
    - ``ece``: expected calibration error of the first hypothesis.
    - ``without_templates``: space group, crystal system and volume by the networks alone; ``nearest_template``: by the
      known crystals of the stoichiometry in the order of their votes; ``chance``: by how often each space group occurs
      among the known crystals, and with the mean volume.
    - ``seconds_per_1000``: time for 1000 compositions.

    :param model: the predictor.
    :param crystals: known crystals with space groups, which nothing was learnt from.
    :param library: the known crystals that vote.
    """
    voters = TemplateVotes(library)
    begin = time.perf_counter()
    full = [_hypotheses(model, crystal, voters, row, len(crystals)) for row, crystal in enumerate(crystals)]
    seconds = time.perf_counter() - begin
    alone = [_hypotheses(model, crystal, None) for crystal in crystals]
    given = _spacegroup_scores(crystals, full)
    lattices = [_lattice_pairs(model, crystal, voters) for crystal in crystals]
    return {
        'n': len(crystals),
        **given,
        **_volume_scores(lattices),
        'z': _formula_units_scores(model, crystals, voters),
        'ece': _calibration(crystals, full),
        'lattice_r2': _determination(crystals, lattices),
        'without_templates': {
            **_spacegroup_scores(crystals, alone),
            **_volume_scores([_lattice_pairs(model, crystal, None) for crystal in crystals]),
        },
        'nearest_template': _spacegroup_ranks(crystals, [_nearest(voters, crystal) for crystal in crystals]),
        'chance': _chance(crystals, library),
        'seconds_per_1000': 1000 * seconds / len(crystals),
    }


def cell_class(crystal: Crystal) -> tuple[int, int]:
    """Return the space group and the number of formula units of the primitive cell of a crystal.

    :param crystal: with a space group.
    """
    return cast('int', crystal.spacegroup), cast('int', crystal.formula.formula_units)


def open_formula(crystal: Crystal) -> Formula:
    """Return the formula of a crystal with its formula units left open.

    :param crystal: the crystal.
    """
    return dataclasses.replace(crystal.formula, formula_units=None)


def _hypotheses(
    model: CellModel, crystal: Crystal, voters: TemplateVotes | None, row: int | None = None, total: int = 0
) -> tuple[CellHypothesis, ...]:
    """Return all hypotheses about a crystal whose content is given."""
    found = predict_cells(model, crystal.formula, CellSettings(max_hypotheses=TOPS[-1]), crystal.natoms, voters)
    if row is not None:
        report('cells', row + 1, total)
    return found


def _spacegroup_scores(crystals: Sequence[Crystal], found: Sequence[Sequence[CellHypothesis]]) -> dict[str, Any]:
    return _spacegroup_ranks(crystals, [[cell.spacegroup for cell in cells] for cells in found])


def _spacegroup_ranks(crystals: Sequence[Crystal], ranked: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return how often the space group is among the first, and the crystal system that of the first."""
    truth = [cast('int', crystal.spacegroup) for crystal in crystals]
    hits = {
        str(top): _mean(
            [float(right in list(dict.fromkeys(groups))[:top]) for right, groups in zip(truth, ranked, strict=True)]
        )
        for top in TOPS
    }
    systems = [
        float(bool(groups) and crystal_system(groups[0]) == crystal_system(right))
        for right, groups in zip(truth, ranked, strict=True)
    ]
    return {'spacegroup': hits, 'crystal_system': {'1': _mean(systems)}}


def _formula_units_scores(model: CellModel, crystals: Sequence[Crystal], voters: TemplateVotes) -> dict[str, float]:
    """Return how often the number of formula units is among the first where only the reduced formula is given."""
    ranks = []
    for crystal in crystals:
        found = predict_cells(model, open_formula(crystal), _EVERYTHING, max(20, crystal.natoms), voters)
        weights: collections.Counter[int] = collections.Counter()
        for cell in found:
            weights[cell.formula_units] += cell.probability  # type: ignore[assignment]
        ordered = [units for units, _ in weights.most_common()]
        right = cell_class(crystal)[1]
        ranks.append(ordered.index(right) if right in ordered else math.inf)
    return {str(top): _mean([float(rank < top) for rank in ranks]) for top in (1, 3)}


def _lattice_pairs(
    model: CellModel, crystal: Crystal, voters: TemplateVotes | None
) -> tuple[FloatArray, FloatArray, float] | None:
    """Return the true and the predicted shape in the right space group, and the uncertainty of the volume.

    None where spglib does not find the stated space group.
    """
    spacegroup = cast('int', crystal.spacegroup)
    truth = shape_of_crystal(crystal)
    if truth is None:
        return None
    pinned = CellSettings(max_hypotheses=1, spacegroup=spacegroup)
    cell = predict_cells(model, crystal.formula, pinned, crystal.natoms, voters)[0]
    atoms = crystal.natoms * centring_factor(spacegroup)
    return truth, shape_of_lattice(cell.lattice, atoms), cell.volume_uncertainty or 0.0


def _volume_scores(pairs: Sequence[tuple[FloatArray, FloatArray, float] | None]) -> dict[str, float | None]:
    errors = [
        (abs(math.exp(found[0] - truth[0]) - 1), stated)
        for pair in pairs
        if pair is not None
        for truth, found, stated in [pair]
    ]
    if not errors:
        return {'volume_mare': None, 'volume_within': None}
    return {
        'volume_mare': _mean([error for error, _ in errors]),
        'volume_within': _mean([float(error <= stated) for error, stated in errors]),
    }


def _determination(
    crystals: Sequence[Crystal], pairs: Sequence[tuple[FloatArray, FloatArray, float] | None]
) -> dict[str, dict[str, float | None]]:
    """Return the coefficients of determination of the lattice lengths by crystal system."""
    lengths: dict[str, list[tuple[Any, Any]]] = {system: [] for system in CRYSTAL_SYSTEMS}
    for crystal, pair in zip(crystals, pairs, strict=True):
        if pair is None:
            continue
        spacegroup = cast('int', crystal.spacegroup)
        atoms = crystal.natoms * centring_factor(spacegroup)
        both = tuple(lattice_from_shape(shape, spacegroup, atoms)[:3] for shape in pair[:2])
        lengths[crystal_system(spacegroup)].append(cast('tuple[Any, Any]', both))
    return {
        system: {name: _r2(lengths[system], 'abc'.index(name)) for name in names} for system, names in _LENGTHS.items()
    }


def _r2(pairs: Sequence[tuple[Any, Any]], axis: int) -> float | None:
    if len(pairs) < 2:
        return None
    truth, found = (np.array([pair[side][axis] for pair in pairs]) for side in (0, 1))
    total = float(((truth - truth.mean()) ** 2).sum())
    return None if total == 0 else 1 - float(((truth - found) ** 2).sum()) / total


def _calibration(crystals: Sequence[Crystal], found: Sequence[Sequence[CellHypothesis]]) -> float:
    """Return the calibration error of the first hypothesis."""
    stated = [min(cells[0].probability, 1.0) for cells in found]
    right = [
        (cells[0].spacegroup, cells[0].formula_units) == cell_class(crystal)
        for crystal, cells in zip(crystals, found, strict=True)
    ]
    return expected_calibration_error(stated, right)


def _nearest(voters: TemplateVotes, crystal: Crystal) -> list[int]:
    """Return the space groups of the known crystals of the stoichiometry, the strongest single vote first."""
    try:
        votes = voters.vote(crystal.formula, crystal.natoms)
    except AlphaCrystalError:
        return []
    return [int(votes.spacegroups[place]) for place in np.argsort(-votes.strongest, kind='stable')]


def _chance(crystals: Sequence[Crystal], library: PrototypeLibrary) -> dict[str, Any]:
    """Return the scores of naming the most common space groups of the known crystals, and their mean volume."""
    counts = np.bincount(library.spacegroups[library.member_prototypes], minlength=231)
    common = np.argsort(-counts, kind='stable').tolist()
    mean = float(library.member_volumes.mean())
    errors = [abs(mean * crystal.natoms / crystal.volume - 1) for crystal in crystals]
    return {**_spacegroup_ranks(crystals, [common] * len(crystals)), 'volume_mare': _mean(errors)}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
