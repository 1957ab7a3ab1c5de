"""Learn from known compounds with each other how far the distances that templates give are off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aiida_alphacrystal.engine.atom_matching import in_order_of
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct.correction import DistanceCorrection
from aiida_alphacrystal.engine.reconstruct.selection import rank_proposals
from aiida_alphacrystal.engine.reconstruct.template_distances import gather_evidence
from aiida_alphacrystal.engine.threads import one_thread
from aiida_alphacrystal.engine.workers import run_all, shared, team

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.correction import Evidence
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary

__all__ = ('Lesson', 'fit_correction', 'gather_lessons', 'learn_correction')

FloatArray = npt.NDArray[np.float64]

#: From fewer compounds nothing is learnt.
_FEWEST = 500

_CHUNK = 50
_EPOCHS = 16
_RATE = 3e-3
_WEIGHT_DECAY = 0.02
_BATCH = 4096

#: A template is another arrangement, and teaches nothing, where its distances differ from the true ones in shape by
#: more than this, or in size by more than that; differences of logarithms, medians.
_OTHER_SHAPE, _OTHER_SIZE = 0.05, 0.12

#: Errors of logarithms far below this count squared, those above it as they are.
_SHARP = 0.003

#: Deviations of inputs below this are as good as none.
_SMALLEST = 1e-3


class Lesson(NamedTuple):
    """What templates say of a known compound, and what is true.

    :param inputs: shape (pairs, inputs).
    :param expected: distances that the templates give, shape (pairs,), A.
    :param true: shape (pairs,), A.
    """

    inputs: FloatArray
    expected: FloatArray
    true: FloatArray

    @property
    def is_right(self) -> bool:
        """Return whether the template is the arrangement of the compound."""
        off = np.log(self.true / self.expected)
        size = float(np.median(off))
        return bool(abs(size) < _OTHER_SIZE and np.median(np.abs(off - size)) < _OTHER_SHAPE)


def learn_correction(
    library: PrototypeLibrary,
    formulas: Sequence[Formula],
    labels: npt.NDArray[np.int64],
    learning: npt.NDArray[np.bool_],
    seed: int,
) -> tuple[DistanceCorrection, dict[str, float]]:
    """Learn the correction, and tell how large the errors of formulas that were kept back are with and without it.

    Each compound in turn is asked for; compounds of its own reduced formula have no vote.

    :param library: prototypes and compounds, with its costs learnt.
    :param formulas: of each compound, with its formula units.
    :param labels: of the reduced formula of each compound, shape (members,).
    :param learning: compounds that may be learnt from, shape (members,).
    :param seed: of the initial parameters and the order of the pairs.
    :return: the correction, and median errors over the compounds kept back, A; none where there are too few to learn.
    """
    if int(learning.sum()) < _FEWEST:
        return _begin(seed).eval(), {}
    lessons = gather_lessons(library, formulas, labels)
    known = [lesson for lesson, useful in zip(lessons, learning, strict=True) if useful and lesson is not None]
    correction = fit_correction([lesson for lesson in known if lesson.is_right], seed)
    kept = [lesson for lesson, useful in zip(lessons, learning, strict=True) if not useful and lesson is not None]
    return correction, _errors(correction, kept)


def gather_lessons(
    library: PrototypeLibrary, formulas: Sequence[Formula], labels: npt.NDArray[np.int64]
) -> list[Lesson | None]:
    """Ask for every known compound without its reduced formula.

    :param library: prototypes and compounds.
    :param formulas: of each compound, with its formula units.
    :param labels: of the reduced formula of each compound, shape (members,).
    :return: None for compounds that no other has the stoichiometry of, or of one atom.
    """
    chunks = [range(start, min(start + _CHUNK, len(formulas))) for start in range(0, len(formulas), _CHUNK)]
    with team((library, formulas, labels), min(os.cpu_count() or 1, len(chunks))) as executor:
        return [lesson for chunk in run_all(executor, _ask, chunks, 'distances') for lesson in chunk]


def _ask(members: Sequence[int]) -> list[Lesson | None]:
    library, formulas, labels = shared()
    return [_lesson(library, formulas[member], member, labels == labels[member]) for member in members]


def _lesson(library: PrototypeLibrary, formula: Formula, member: int, excluded: npt.NDArray[np.bool_]) -> Lesson | None:
    natoms = formula.atoms_per_unit * (formula.formula_units or 1)
    found = rank_proposals(library, formula, natoms, 1, excluded, decorate=False) if natoms > 1 else []
    if not found:
        return None
    evidence = gather_evidence(library, formula, found[0])
    expected = evidence.distances
    true = in_order_of(expected, _true_distances(library, evidence, member), evidence.numbers.tolist())
    pairs = np.triu_indices(natoms)
    return Lesson(evidence.inputs(library.atomic_volumes).astype(np.float32), expected[pairs], true[pairs])


def _true_distances(library: PrototypeLibrary, evidence: Evidence, member: int) -> FloatArray:
    """Return the distances of a known compound, equal elements side by side, shape (atoms, atoms), A."""
    slots = library.prototype(int(library.member_prototypes[member])).slots
    elements = library.member_elements[member][slots]
    order = np.concatenate([np.flatnonzero(elements == number) for number in dict.fromkeys(evidence.numbers.tolist())])
    distances = library.distances_of([member])[0][np.ix_(order, order)]
    return np.asarray(distances * library.member_volumes[member] ** (1 / 3))


def fit_correction(lessons: Sequence[Lesson], seed: int) -> DistanceCorrection:
    """Fit the correction so that the logarithms of the distances are off by little; every compound counts as much.

    :param lessons: at least one.
    :param seed: of the initial parameters and the order of the pairs.
    """
    inputs = torch.from_numpy(np.concatenate([lesson.inputs for lesson in lessons]).astype(np.float32))
    off = np.concatenate([np.log(lesson.true / lesson.expected) for lesson in lessons])
    pairs = np.array([len(lesson.true) for lesson in lessons])
    weights = np.repeat(pairs.mean() / pairs, pairs)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        correction = _begin(seed)
        correction.mean.copy_(inputs.mean(dim=0))
        correction.deviation.copy_(inputs.std(dim=0, correction=0) + _SMALLEST)
        _descend(correction, inputs, torch.from_numpy(off).float(), torch.from_numpy(weights).float())
    return correction.eval()


def _begin(seed: int) -> DistanceCorrection:
    """Return a correction that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DistanceCorrection()


def _descend(correction: DistanceCorrection, inputs: Tensor, off: Tensor, weights: Tensor) -> None:
    """Go through the pairs and follow the gradient."""
    steps = -(-len(inputs) // _BATCH)
    optimiser = torch.optim.AdamW(correction.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_EPOCHS * steps)
    correction.train()
    for epoch in range(_EPOCHS):
        for batch in torch.split(torch.randperm(len(inputs)), _BATCH):
            errors = torch.sqrt((correction(inputs[batch]) - off[batch]) ** 2 + _SHARP**2)
            optimiser.zero_grad()
            (errors * weights[batch]).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        report('correction', epoch + 1, _EPOCHS)


def _errors(correction: DistanceCorrection, lessons: Sequence[Lesson]) -> dict[str, float]:
    """Return median errors of the distances of compounds, A."""
    with torch.inference_mode(), one_thread():
        factors = [torch.exp(correction(torch.from_numpy(lesson.inputs).float())).numpy() for lesson in lessons]
    before = [_error(lesson.expected, lesson.true) for lesson in lessons]
    after = [_error(lesson.expected * factor, lesson.true) for lesson, factor in zip(lessons, factors, strict=True)]
    return {
        'n': len(lessons),
        'rmse_median_uncorrected': float(np.median(before)),
        'rmse_median': float(np.median(after)),
    }


def _error(guess: FloatArray, true: FloatArray) -> float:
    return float(np.sqrt(((guess - true) ** 2).mean()))
