"""Build a prototype library from known crystals and learn from them what a substitution costs and changes."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.datasets import DatasetError
from aiida_alphacrystal.engine.features import MAX_Z, supported_elements
from aiida_alphacrystal.engine.metrics import expected_calibration_error, first_match
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct import calibration
from aiida_alphacrystal.engine.reconstruct.correction_training import learn_correction
from aiida_alphacrystal.engine.reconstruct.library import (
    MAX_SLOTS,
    PrototypeLibrary,
    element_rows,
    pack_library,
    site_arrays,
)
from aiida_alphacrystal.engine.reconstruct.likeness import find_likenesses
from aiida_alphacrystal.engine.reconstruct.neighbourhood import learn_costs
from aiida_alphacrystal.engine.reconstruct.prototypes import sort_crystals
from aiida_alphacrystal.engine.reconstruct.shapes import flatten, scaled_distances
from aiida_alphacrystal.engine.reconstruct.substitution import SubstitutionCost
from aiida_alphacrystal.engine.reconstruct.templates import distinct_candidates
from aiida_alphacrystal.engine.settings import TemplateSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aiida_alphacrystal.engine.datasets import Crystal
    from aiida_alphacrystal.engine.reconstruct.prototypes import SortedCrystals

__all__ = ('train_templates',)

#: Every so many formulas one is kept back from learning, for the calibration.
_HELD_BACK = 10
_MAX_CALIBRATION = 1500
_SETTINGS = TemplateSettings()
_TOPS = (1, 5, 20)


def train_templates(
    crystals: Sequence[Crystal],
    source: Mapping[str, Any],
    output_dir: Path,
    base: PrototypeLibrary | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Build a prototype library and write it with its card.

    With a base, its prototypes and compounds are kept and the crystals added; what it has learnt stays as it is.

    :param crystals: known crystals, with their space groups.
    :param source: where they come from, for the card.
    :param output_dir: where ``templates.safetensors`` and ``templates.json`` are written.
    :param base: a library to start from.
    :param seed: of the formulas that are kept back and of the order in which the compounds are learnt from.
    :return: the card.
    :raises DatasetError: if no crystal can be used.
    """
    usable = sorted(
        (crystal for crystal in crystals if _is_usable(crystal)),
        key=lambda crystal: (crystal.natoms, crystal.e_above_hull or 0.0),
    )
    if not usable:
        raise DatasetError(
            f'None of the {len(crystals)} crystals can be used: give some of at most {MAX_SLOTS} known elements.'
        )
    library = _collect(usable, base)
    card: dict[str, Any] = {
        'what': 'prototype library for the template source',
        'command': 'aiida-alphacrystal train templates',
        'data': dict(source),
        'seed': seed,
        'left_out': len(crystals) - len(usable),
        'prototypes': len(library.spacegroups),
        'members': len(library.member_prototypes),
        'pairs_alike': len(library.alike_first),
    }
    if base is None:
        library, card['held_back'], card['distances_held_back'] = _learn(library, usable, seed)
    checkpoint.write_atomically(output_dir / 'templates.safetensors', pack_library(library))
    (output_dir / 'templates.json').write_text(json.dumps(card, indent=2) + '\n')
    return card


def _is_usable(crystal: Crystal) -> bool:
    elements = set(crystal.species)
    return len(elements) <= MAX_SLOTS and elements <= supported_elements()


def _collect(crystals: Sequence[Crystal], base: PrototypeLibrary | None) -> PrototypeLibrary:
    """Sort crystals into prototypes, after those of the base, and find out which prototypes match."""
    known = () if base is None else base.prototypes()
    result = sort_crystals(crystals, known)
    jobs = os.cpu_count() or 1
    alike = find_likenesses(result.prototypes, None if base is None else base.likenesses, len(known), jobs)
    volumes = np.array([crystal.volume / crystal.natoms for crystal in crystals])
    hulls = np.array([crystal.e_above_hull or 0.0 for crystal in crystals])
    members, elements = np.array(result.members), element_rows(result.elements)
    distances = _measure(crystals, result)
    if base is not None:
        members = np.concatenate([base.member_prototypes, members])
        elements = np.concatenate([base.member_elements, elements])
        volumes = np.concatenate([base.member_volumes, volumes])
        hulls = np.concatenate([base.member_hulls, hulls])
        distances = np.concatenate([base.member_distances, distances])
    counts = np.zeros((len(result.prototypes), MAX_SLOTS), dtype=np.int64)
    for row, prototype in zip(counts, result.prototypes, strict=True):
        row[: len(prototype.counts)] = prototype.counts
    return PrototypeLibrary(
        **site_arrays(result.prototypes),
        member_prototypes=members,
        member_elements=elements,
        member_volumes=volumes,
        member_hulls=hulls,
        member_distances=distances,
        atomic_volumes=_fit_volumes(elements, counts[members], volumes) if base is None else base.atomic_volumes,
        alike_first=alike.first,
        alike_second=alike.second,
        alike_orders=alike.orders,
        substitution=SubstitutionCost().to_arrays() if base is None else base.substitution,
        calibration=calibration.fit([], []) if base is None else base.calibration,
        correction={} if base is None else base.correction,
    )


def _measure(crystals: Sequence[Crystal], result: SortedCrystals) -> npt.NDArray[np.float64]:
    """Return the distances between the sites of every crystal as a library holds them."""
    triangles = []
    for done, (crystal, member, symbols) in enumerate(
        zip(crystals, result.members, result.elements, strict=True), start=1
    ):
        triangles.append(flatten(scaled_distances(crystal, result.prototypes[member], symbols)))
        report('shapes', done, len(crystals))
    return np.concatenate(triangles)


def _fit_volumes(
    elements: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], volumes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Fit a positive volume to every element so that they add up to the volumes of the compounds."""
    from scipy.optimize import nnls

    totals = counts.sum(axis=1)
    design = np.zeros((len(elements), MAX_Z))
    for slot in range(MAX_SLOTS):
        design[np.arange(len(elements)), elements[:, slot]] += counts[:, slot] / totals
    design[:, 0] = 0.0
    # A weak pull towards the mean keeps elements that few compounds hold reasonable; relative errors are what counts.
    ridge = 0.3
    matrix = np.vstack([design / volumes[:, None], ridge * np.eye(MAX_Z) / volumes.mean()])
    target = np.concatenate([np.ones(len(volumes)), np.full(MAX_Z, ridge)])
    fitted, _ = nnls(matrix, target)
    return np.asarray(np.maximum(fitted, 1.0))


def _learn(
    library: PrototypeLibrary, crystals: Sequence[Crystal], seed: int
) -> tuple[PrototypeLibrary, dict[str, Any], dict[str, float]]:
    """Learn costs and correction from most formulas and the probabilities from those kept back, and score these."""
    formulas = np.array([crystal.formula.reduced for crystal in crystals])
    names, labels = np.unique(formulas, return_inverse=True)
    generator = np.random.default_rng(seed)
    kept = generator.permutation(names)[: len(names) // _HELD_BACK]
    learning = ~np.isin(formulas, kept)
    library = dataclasses.replace(library, substitution=learn_costs(library, labels, learning, seed).to_arrays())
    rows = generator.permutation(np.flatnonzero(~learning))[:_MAX_CALIBRATION]
    values, outcomes, ranks = [], [], []
    for done, row in enumerate(rows, start=1):
        found, rank = _answer(library, crystals[row], labels == labels[row])
        values += found
        outcomes += [place == rank for place in range(1, len(found) + 1)]
        ranks.append(rank)
        report('calibration', done, len(rows))
    coefficients = calibration.fit(values, outcomes)
    correction, errors = learn_correction(library, [crystal.formula for crystal in crystals], labels, learning, seed)
    library = dataclasses.replace(library, calibration=coefficients, correction=correction.to_arrays())
    return library, _scores(coefficients, values, outcomes, ranks), errors


def _answer(
    library: PrototypeLibrary, crystal: Crystal, excluded: npt.NDArray[np.bool_]
) -> tuple[list[npt.NDArray[np.float64]], int | None]:
    """Ask for a known crystal without its formula: the features of every candidate, and the rank of the right one."""
    found = distinct_candidates(library, crystal.formula, _SETTINGS, crystal.natoms, excluded)
    truth = crystal.to_structure()
    rank = first_match((candidate.structure for candidate, _ in found), truth)
    values = [calibration.features(proposal.share, proposal.support, proposal.kind) for _, proposal in found]
    return values, rank


def _scores(
    coefficients: npt.NDArray[np.float64],
    values: Sequence[npt.NDArray[np.float64]],
    outcomes: Sequence[bool],
    ranks: Sequence[int | None],
) -> dict[str, Any]:
    """Return how often the crystals kept back were found, and how far the probabilities of all candidates are off."""
    if not values:
        return {'n': len(ranks)}
    stated = [calibration.probability(coefficients, row) for row in values]
    scores: dict[str, Any] = {'n': len(ranks)}
    for top in _TOPS:
        scores[str(top)] = float(np.mean([rank is not None and rank <= top for rank in ranks]))
    return scores | {'ece_all': expected_calibration_error(stated, outcomes)}
