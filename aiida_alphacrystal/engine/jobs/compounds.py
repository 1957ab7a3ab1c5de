"""Take one compound of a job through the stages, with a checkpoint behind each and within the longest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.errors import AlphaCrystalError, one_sentence
from aiida_alphacrystal.engine.features import featurize
from aiida_alphacrystal.engine.jobs.bundle import BundleError, read_bundle, write_bundle
from aiida_alphacrystal.engine.jobs.files import (
    CHECKPOINTS,
    Compound,
    Task,
    read_distances,
    read_model,
    read_potential,
    result_file,
)
from aiida_alphacrystal.engine.jobs.results import Failure, Result, pack_state, unpack_state
from aiida_alphacrystal.engine.pipeline import Models, NoCandidateError, expectations, hypotheses, rank_relaxed
from aiida_alphacrystal.engine.reconstruct import reconstruct
from aiida_alphacrystal.engine.relax import elemental_references, load_potential, relax_structures
from aiida_alphacrystal.engine.settings import PredictionSettings, check_seed
from aiida_alphacrystal.engine.stored import stored_structure

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.relax import Potential
    from aiida_alphacrystal.engine.relax.state import RelaxationState

__all__ = ('Tools', 'load_tools', 'predict_compound')

#: Seconds of work that may be lost when a job is killed without a warning.
_KEEP_EVERY = 5.0


@dataclasses.dataclass(frozen=True)
class Tools:
    """What the compounds of a job share.

    :param directory: of the job.
    :param task: what is to be done.
    :param settings: of every stage.
    :param models: trained weights; those of stages that have been done before are the ones of the package.
    :param potential: ready for use.
    :param identity: hash of all that a result depends on but the compound.
    """

    directory: Path
    task: Task
    settings: PredictionSettings
    models: Models
    potential: Potential
    identity: str


def load_tools(directory: Path, task: Task, device: str) -> Tools:
    """Load the weights and the potential of a job.

    :param directory: of the job.
    :param task: what is to be done.
    :param device: where the potential is evaluated, ``cpu`` or ``cuda``.
    :raises AlphaCrystalError: if a setting, the weights or the potential cannot be used.
    """
    settings = PredictionSettings.from_dict(task.settings)
    check_seed(task.seed)
    contents = {purpose: read_model(directory, purpose) for purpose in ('distances', 'cells', 'templates')}
    files = read_potential(directory, task)
    identity = {
        'settings': {**settings.to_dict(), 'relax': {**settings.to_dict()['relax'], 'batch_size': None}},
        'seed': task.seed,
        'versions': dict(task.versions),
        'models': {purpose: hashlib.sha256(content).hexdigest() for purpose, content in contents.items()},
        'potential': files.sha256,
    }
    models = Models.of(contents)
    return Tools(directory, task, settings, models, load_potential(files, device=device), _digest(identity))


def predict_compound(tools: Tools, compound: Compound) -> None:
    """Take a compound through the stages and write its result; whatever goes wrong with it is part of the result.

    :param tools: what the compounds share.
    :param compound: the compound.
    :raises MemoryError: if the memory does not suffice.
    """
    work = _Work(tools, compound)
    path = tools.directory / result_file(compound.label)
    try:
        result = work.run()
    except MemoryError:
        raise
    except AlphaCrystalError as error:
        result = work.failed(type(error).__name__, str(error))
    except Exception as error:  # a bug shall not end the compounds that follow
        traceback.print_exc()
        result = work.failed(type(error).__name__, f'{type(error).__name__}: {one_sentence(error)}')
    write_bundle(path, *result.pack())


class _Work:
    """A compound on its way."""

    def __init__(self, tools: Tools, compound: Compound) -> None:
        self._tools = tools
        self._compound = compound
        self._directory = tools.directory / CHECKPOINTS / compound.label
        self._identity = _digest({'tools': tools.identity, 'compound': dataclasses.asdict(compound)})
        self._stage = 'featurize'
        self._result = Result()

    def failed(self, kind: str, reason: str) -> Result:
        """Return what is known, with the reason why there is no more."""
        return dataclasses.replace(self._result, failure=Failure(kind, self._stage, reason))

    def run(self) -> Result:
        """Take the stages that are left."""
        formula = self._compound.read(self._tools.settings.max_atoms)
        self._result = self._recall(formula) or self._generate(formula)
        if not self._result.candidates:
            self._stage = 'reconstruct'
            raise NoCandidateError(f'No candidate for {formula.label}: {" ".join(self._result.reasons)}'.strip())
        self._relax(formula)
        if self._compound.cells is None:
            self._rank()
        return self._result

    def _generate(self, formula: Formula) -> Result:
        """Take the stages up to the candidates."""
        tools, settings = self._tools, self._tools.settings
        self._result = Result(formula=formula)
        featurize(formula, formula.formula_units or 1, settings.max_atoms)  # refuses elements that it does not know
        tools.potential.check_elements(frozenset(formula.elements))
        if self._compound.cells is None:
            self._stage = 'predict_cells'
            cells = hypotheses(formula, tools.models, settings)
            self._result = dataclasses.replace(self._result, cells=cells)
            self._stage = 'predict_distances'
            distances = expectations(formula, cells, tools.models, settings)
            self._result = dataclasses.replace(self._result, distances=distances)
        else:
            cells = tuple(_cell(row) for row in self._compound.cells)
            distances = read_distances(tools.directory / f'{self._compound.label}_distances.npz')
        self._stage = 'reconstruct'
        pool = reconstruct(formula, cells, distances, tools.models.templates, settings, tools.task.seed)
        result = dataclasses.replace(self._result, candidates=pool.candidates, reasons=pool.reasons)
        self._keep('pool', *result.pack())
        return result

    def _recall(self, formula: Formula) -> Result | None:
        """Return the candidates that an earlier job has made, None where there are none."""
        kept = self._kept('pool')
        if kept is None:
            return None
        result = Result.unpack(*kept)
        return result if result.formula == formula else None

    def _relax(self, formula: Formula) -> None:
        """Relax the candidates, from where an earlier job has come to."""
        self._stage = 'relax'
        tools = self._tools
        kept = self._kept('relaxation')
        structures = [stored_structure(candidate.structure) for candidate in self._result.candidates or ()]
        with _Keeper(self._keep_relaxation) as keeper:
            relaxations = relax_structures(
                structures,
                tools.potential,
                tools.settings.relax,
                state=None if kept is None else unpack_state(*kept),
                keep=keeper,
            )
        references = elemental_references(formula.elements, tools.potential)
        self._result = dataclasses.replace(
            self._result, relaxations=relaxations, references=references, potential=tools.potential.facts
        )
        if all(relaxation.failed for relaxation in relaxations):
            raise NoCandidateError(
                f'All {len(relaxations)} candidates failed to relax; the first one: {relaxations[0].reason}'
            )

    def _rank(self) -> None:
        """Put the relaxed candidates in order."""
        self._stage = 'rank'
        result = self._result
        ranking = rank_relaxed(
            result.candidates or (),
            result.relaxations or (),
            result.references or {},
            self._tools.settings.rank,
            self._tools.potential.facts,
        )
        self._result = dataclasses.replace(result, ranking=ranking)

    def _keep_relaxation(self, state: RelaxationState) -> None:
        self._keep('relaxation', *pack_state(state))

    def _keep(self, name: str, document: dict[str, Any], arrays: dict[str, Any]) -> None:
        write_bundle(self._directory / f'{name}.npz', {'identity': self._identity, 'content': document}, arrays)

    def _kept(self, name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return what an earlier job has left, None where that is nothing, damaged, or the job had another task."""
        path = self._directory / f'{name}.npz'
        try:
            document, arrays = read_bundle(path.read_bytes(), str(path))
        except (OSError, BundleError):
            return None
        return (document['content'], arrays) if document.get('identity') == self._identity else None


class _Keeper:
    """Writes the last state every few seconds, and when it is left by an interruption."""

    def __init__(self, write: Callable[[RelaxationState], None]) -> None:
        self._write = write
        self._last: RelaxationState | None = None
        self._written = time.monotonic()

    def __enter__(self) -> _Keeper:
        return self

    def __call__(self, state: RelaxationState) -> None:
        self._last = state
        if time.monotonic() - self._written >= _KEEP_EVERY:
            self._write(state)
            self._written = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._last is not None:
            self._write(self._last)


def _cell(row: Any) -> CellHypothesis:
    return CellHypothesis(**{**row, 'lattice': tuple(row['lattice'])})


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=list).encode()).hexdigest()
