"""The files of a job: what is to be done, and what has become of it."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.composition import Formula, formula_from_counts, parse_formula
from aiida_alphacrystal.engine.distances import DistancePrediction
from aiida_alphacrystal.engine.errors import ModelError, SettingsError
from aiida_alphacrystal.engine.jobs.bundle import BundleError, read_bundle, to_plain, write_bundle
from aiida_alphacrystal.engine.jobs.results import Result
from aiida_alphacrystal.engine.relax.base import PotentialFiles

__all__ = (
    'CHECKPOINTS',
    'MODELS',
    'POTENTIAL',
    'RESULTS',
    'SUMMARY_FILE',
    'TASK_FILE',
    'Compound',
    'Outcome',
    'Summary',
    'Task',
    'read_distances',
    'read_model',
    'read_potential',
    'read_result',
    'read_summary',
    'read_task',
    'result_file',
    'write_distances',
    'write_summary',
    'write_task',
)

TASK_FILE = 'task.json'
SUMMARY_FILE = 'summary.json'
#: Directories of a job: what has been finished, where unfinished work has come to, weights and the potential.
RESULTS = 'results'
CHECKPOINTS = 'checkpoints'
MODELS = 'models'
POTENTIAL = 'potential'

#: Version of all these files; raise it whenever their meaning changes.
FORMAT = 1

DEVICES = ('cpu', 'cuda', 'auto')


class Outcome(enum.StrEnum):
    """How a job has ended."""

    FINISHED = 'finished'
    RUNNING = 'running'
    OUT_OF_TIME = 'out_of_time'
    OUT_OF_MEMORY = 'out_of_memory'
    NO_GPU = 'no_gpu'
    REFUSED = 'refused'
    FAILED = 'failed'


@dataclasses.dataclass(frozen=True)
class Compound:
    """One compound of a job.

    :param label: names its files.
    :param formula: as the user wrote it, or
    :param counts: the number of atoms of each element in the cell, or
    :param parsed: elements, counts and formula units, as an earlier stage has read them.
    :param cells: rows of cell hypotheses, where stage 3 has been done already; then its distances are in a file.
    """

    label: str
    formula: str | None = None
    counts: Mapping[str, int] | None = None
    parsed: Mapping[str, Any] | None = None
    cells: tuple[Mapping[str, Any], ...] | None = None

    def read(self, max_atoms: int) -> Formula:
        """Return the compound.

        :param max_atoms: the largest number of atoms in the primitive cell.
        :raises FormulaError: if it is no stoichiometric compound or has too many atoms.
        """
        if self.parsed is not None:
            elements, counts = tuple(self.parsed['elements']), tuple(self.parsed['counts'])
            return Formula(elements=elements, counts=counts, formula_units=self.parsed['formula_units'])
        if self.counts is not None:
            return formula_from_counts(self.counts, max_atoms=max_atoms, fix_cell=True)
        return parse_formula(self.formula or '', max_atoms=max_atoms)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a job is to do.

    :param compounds: all compounds.
    :param settings: of every stage.
    :param seed: every random draw follows from it.
    :param versions: versions of the algorithms, for which results are valid.
    :param potential: name and kind of the potential.
    :param device: where the potential is evaluated: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
    :param processes: how many compounds at once.
    :param max_seconds: after which the job stops and leaves its checkpoints; None for no limit.
    """

    compounds: tuple[Compound, ...]
    settings: Mapping[str, Any]
    seed: int
    versions: Mapping[str, int]
    potential: Mapping[str, str]
    device: str = 'cpu'
    processes: int = 1
    max_seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Summary:
    """What has become of a job.

    :param outcome: how it has ended.
    :param reason: one sentence, empty where it has finished.
    :param kind: class of the error that made it refuse its input.
    :param facts: versions, device and time.
    """

    outcome: Outcome
    reason: str = ''
    kind: str = ''
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write_task(directory: Path, task: Task) -> None:
    """Write what a job is to do.

    :param directory: of the job.
    :param task: the task.
    """
    _write_json(directory / TASK_FILE, {'format': FORMAT, **dataclasses.asdict(task)})


def read_task(directory: Path) -> Task:
    """Return what a job is to do.

    :param directory: of the job.
    :raises SettingsError: if the file is missing, damaged or of another version of this package.
    """
    try:
        document = json.loads((directory / TASK_FILE).read_text(encoding='utf-8'))
        if document.pop('format') != FORMAT:
            raise SettingsError(
                f'The file {TASK_FILE} was written by another version of this package: '
                'install the same version on both machines.'
            )
        compounds = tuple(Compound(**entry) for entry in document.pop('compounds'))
        task = Task(compounds=compounds, **document)
    except OSError as error:
        raise SettingsError(f'There is no readable {TASK_FILE} in {directory}: give the directory of a job.') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f'The file {TASK_FILE} is damaged ({error}): prepare the job again.') from error
    if task.device not in DEVICES:
        raise SettingsError(f'The device is {task.device!r}: give one of {", ".join(DEVICES)}.')
    return task


def write_distances(path: Path, predictions: Mapping[int, DistancePrediction]) -> None:
    """Write the distances that stage 2 gave for one compound.

    :param path: the file.
    :param predictions: by formula units.
    """
    species = {str(units): list(prediction.species) for units, prediction in predictions.items()}
    arrays = {f'edges_{units}': prediction.bin_edges for units, prediction in predictions.items()}
    arrays |= {f'probabilities_{units}': prediction.probabilities for units, prediction in predictions.items()}
    write_bundle(path, {'species': species}, arrays)


def read_distances(path: Path) -> dict[int, DistancePrediction]:
    """Return the distances of one compound by formula units.

    :param path: the file.
    :raises BundleError: if it is missing or damaged.
    """
    document, arrays = read_bundle(_read(path), f'The file {path.name}')
    return {
        int(units): DistancePrediction(tuple(species), arrays[f'edges_{units}'], arrays[f'probabilities_{units}'])
        for units, species in document['species'].items()
    }


def read_potential(directory: Path, task: Task) -> PotentialFiles:
    """Return the files of the potential.

    :param directory: of the job.
    :param task: the task.
    """
    paths = sorted(path for path in (directory / POTENTIAL).rglob('*') if path.is_file())
    files = {str(path.relative_to(directory / POTENTIAL)): path.read_bytes() for path in paths}
    return PotentialFiles(name=task.potential['name'], kind=task.potential['kind'], files=files)


def read_model(directory: Path, purpose: str) -> bytes:
    """Return the weights of a stage.

    :param directory: of the job.
    :param purpose: the stage.
    :raises ModelError: if they cannot be read.
    """
    path = directory / MODELS / f'{purpose}.safetensors'
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f'The job lacks the weights {path.name} ({error.strerror}): prepare it again.') from error


def result_file(label: str) -> str:
    """Return the path of the result of a compound, relative to the directory of the job.

    :param label: of the compound.
    """
    return f'{RESULTS}/{label}.npz'


def read_result(content: bytes, label: str) -> Result:
    """Return what a job has found for a compound.

    :param content: bytes of its file.
    :param label: of the compound.
    :raises BundleError: if they are damaged.
    """
    where = f'The result of {label}'
    document, arrays = read_bundle(content, where)
    try:
        return Result.unpack(document, arrays)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BundleError(f'{where} is damaged ({error!r}): run the job again.') from error


def write_summary(directory: Path, summary: Summary) -> None:
    """Write what has become of a job.

    :param directory: of the job.
    :param summary: the summary.
    """
    _write_json(directory / SUMMARY_FILE, {'format': FORMAT, **dataclasses.asdict(summary)})


def read_summary(content: str) -> Summary:
    """Return what has become of a job.

    :param content: text of its summary.
    :raises BundleError: if it is damaged.
    """
    try:
        document = json.loads(content)
        document.pop('format')
        return Summary(**{**document, 'outcome': Outcome(document['outcome'])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f'The file {SUMMARY_FILE} is damaged ({error!r}): run the job again.') from error


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(document, indent=1, default=to_plain).encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f'The file {path.name} cannot be read ({error.strerror}): prepare the job again.') from error
