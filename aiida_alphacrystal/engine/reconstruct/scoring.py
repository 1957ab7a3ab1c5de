"""How well the templates answer for crystals that they have not seen.

Every crystal is asked for by the content of its cell alone; the crystal itself is read only to score the answer.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.datasets import Crystal, DatasetError
from aiida_alphacrystal.engine.errors import AlphaCrystalError, SettingsError
from aiida_alphacrystal.engine.metrics import STRICT_RMS, expected_calibration_error, first_match, normalised_rms
from aiida_alphacrystal.engine.reconstruct.templates import propose, same_stoichiometry
from aiida_alphacrystal.engine.workers import run_all, shared, team

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary
    from aiida_alphacrystal.engine.settings import TemplateSettings

__all__ = ('score_templates',)

TOPS = (1, 5, 20)

#: The limit of the paper.
_SMALL = 12


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What was generated for one formula, in arrays, since structures of pymatgen are slow to send.

    :param candidates: most probable first.
    :param probabilities: of each candidate; None where the library was not calibrated.
    :param reason: why there is no candidate.
    """

    candidates: tuple[Crystal, ...]
    probabilities: tuple[float | None, ...]
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class _Score:
    """How the answer for one crystal compares with it.

    :param natoms: atoms in the cell.
    :param distances: normalised displacement of every candidate, None where it does not match.
    :param nearest: rank of the first plain template that matches.
    """

    natoms: int
    distances: tuple[float | None, ...]
    nearest: int | None

    @property
    def match(self) -> int | None:
        """Return the rank of the first candidate that matches."""
        return next((rank for rank, rms in enumerate(self.distances, start=1) if rms is not None), None)

    @property
    def strict_match(self) -> int | None:
        """Return the rank of the first candidate that matches strictly."""
        near = (rank for rank, rms in enumerate(self.distances, start=1) if rms is not None and rms < STRICT_RMS)
        return next(near, None)

    def best(self, top: int) -> float | None:
        """Return the smallest displacement among the first candidates, None where none of them matches."""
        return min((rms for rms in self.distances[:top] if rms is not None), default=None)


def score_templates(
    library: PrototypeLibrary, crystals: Sequence[Crystal], settings: TemplateSettings, jobs: int = 1
) -> dict[str, Any]:
    """Measure how often the templates find known crystals, how well they know it, and how long they take.

    All rates are fractions, None where there is no entry; an entry without a candidate is a miss. The result holds:

    - ``le12``, ``le20``: number of entries of at most so many atoms, and how many of them have a match among the first
      1, 5 and 20 candidates; under ``strict`` the same with a displacement below ``STRICT_RMS``, and under
      ``nearest_template`` with the nearest templates of the same stoichiometry as they are.
    - ``new_prototypes``: the same of the entries that no template of their stoichiometry matches, and their share.
    - ``rmse``: mean over the entries with a match of the smallest displacement among the first 1, 5 and 20 candidates.
    - ``ece``, ``ece_all``: expected calibration error of the first candidates, and of all; the probability of each is
      that of being the first that matches.
    - ``seconds_per_1000``: time to generate the candidates of 1000 compositions, on ``jobs`` processes that were
      started and given the library before, which took ``seconds_to_start``; ``jobs`` says how many there were.
    - ``failures``: entries without a candidate and why.

    Everything but the times is the same for every number of processes.

    :param library: the prototypes.
    :param crystals: known crystals of at most 20 atoms, none of which should be in the library.
    :param settings: how many candidates are asked for.
    :param jobs: how many processes share the work; with one, no process is started.
    :raises DatasetError: if there is no crystal, or one is too large.
    :raises SettingsError: if there is no process to work.
    """
    _check(crystals, jobs)
    processes = min(jobs, len(crystals))
    begin = time.perf_counter()
    with team((library, settings), processes) as executor:
        started = time.perf_counter()
        answers = run_all(executor, _generate, [crystal.formula for crystal in crystals], 'generate')
        generated = time.perf_counter()
        scores = run_all(executor, _compare, list(zip(crystals, answers, strict=True)), 'score')
    return {
        **_summarise(scores),
        **_calibrate(answers, scores),
        'seconds_per_1000': 1000 * (generated - started) / len(crystals),
        'seconds_to_start': started - begin,
        'jobs': processes,
        'failures': [
            {'material_id': crystal.material_id, 'reason': answer.reason}
            for crystal, answer in zip(crystals, answers, strict=True)
            if answer.reason is not None
        ],
    }


def _check(crystals: Sequence[Crystal], jobs: int) -> None:
    if jobs < 1:
        raise SettingsError(f'The number of processes is {jobs}: give at least 1.')
    if not crystals:
        raise DatasetError('There is no crystal to score the templates on: give at least one.')
    large = next((crystal for crystal in crystals if crystal.natoms > DEFAULT_MAX_ATOMS), None)
    if large is not None:
        raise DatasetError(
            f'The crystal {large.material_id} holds {large.natoms} atoms, more than the {DEFAULT_MAX_ATOMS} that '
            'templates are scored on: leave it out.'
        )


def _generate(formula: Formula) -> _Answer:
    """Generate the candidates of one formula from the library of this process."""
    library, settings = shared()
    try:
        candidates = propose(library, formula, settings, DEFAULT_MAX_ATOMS)
    except AlphaCrystalError as error:
        return _Answer((), (), str(error))
    if not candidates:
        return _Answer((), (), f'No template offers a structure for {formula.label}.')
    crystals = tuple(
        Crystal(
            material_id=candidate.origin,
            lattice=candidate.structure.lattice.matrix,
            species=tuple(site.specie.symbol for site in candidate.structure),
            frac_coords=candidate.structure.frac_coords,
        )
        for candidate in candidates
    )
    return _Answer(crystals, tuple(candidate.probability for candidate in candidates))


def _compare(pair: tuple[Crystal, _Answer]) -> _Score:
    """Compare the candidates for one crystal, and its plain templates, with it."""
    crystal, answer = pair
    library, _ = shared()
    truth = crystal.to_structure()
    try:
        nearest = first_match(same_stoichiometry(library, crystal.formula, DEFAULT_MAX_ATOMS), truth)
    except AlphaCrystalError:
        nearest = None
    distances = tuple(normalised_rms(candidate.to_structure(), truth) for candidate in answer.candidates)
    return _Score(crystal.natoms, distances, nearest)


def _summarise(scores: Sequence[_Score]) -> dict[str, Any]:
    """Return the rates of all groups of entries."""
    small = [score for score in scores if score.natoms <= _SMALL]
    groups = {f'le{_SMALL}': small, f'le{DEFAULT_MAX_ATOMS}': scores}
    new = [score for score in scores if score.nearest is None]
    return {
        **{name: _rates([score.match for score in group]) for name, group in groups.items()},
        'new_prototypes': {**_rates([score.match for score in new]), 'share': len(new) / len(scores)},
        'strict': {name: _rates([score.strict_match for score in group]) for name, group in groups.items()},
        'nearest_template': {name: _rates([score.nearest for score in group]) for name, group in groups.items()},
        'rmse': {str(top): _mean([best for score in scores if (best := score.best(top)) is not None]) for top in TOPS},
    }


def _rates(ranks: Sequence[int | None]) -> dict[str, Any]:
    """Return how many entries there are and the share of them whose rank is among the first."""
    within = {str(top): [float(rank is not None and rank <= top) for rank in ranks] for top in TOPS}
    return {'n': len(ranks), **{top: _mean(hits) for top, hits in within.items()}}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _calibrate(answers: Sequence[_Answer], scores: Sequence[_Score]) -> dict[str, float | None]:
    """Return the calibration error of the first candidates and of all, None where no probability is stated."""
    firsts, every = [], []
    for answer, score in zip(answers, scores, strict=True):
        ranked = enumerate(answer.probabilities, start=1)
        stated = [(chance, rank == score.match) for rank, chance in ranked if chance is not None]
        firsts += stated[:1]
        every += stated
    return {'ece': _calibration_error(firsts), 'ece_all': _calibration_error(every)}


def _calibration_error(stated: Sequence[tuple[float, bool]]) -> float | None:
    if not stated:
        return None
    return expected_calibration_error([chance for chance, _ in stated], [hit for _, hit in stated])
