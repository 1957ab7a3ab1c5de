"""A job that predicts many compounds, or reconstructs and relaxes what earlier stages have begun."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.engine import CalcJob

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import define_exit_codes
from aiida_alphacrystal.calcfunctions.inputs import define_model_inputs, define_seed
from aiida_alphacrystal.calcfunctions.parameters import ALGORITHM_VERSIONS, STAGES
from aiida_alphacrystal.data import DistancesData, ModelData, PotentialData
from aiida_alphacrystal.engine.settings import PredictionSettings

if TYPE_CHECKING:
    from aiida.common.folders import Folder

    from aiida_alphacrystal.engine.jobs import Compound

__all__ = ('DEVICES', 'PARSER', 'PredictCalculation', 'cores_of', 'job_parameters')

PARSER = 'alphacrystal.predict'
DEVICES = ('cpu', 'cuda', 'auto')

#: Share of the time limit of the scheduler, and seconds at most, that are left for writing the checkpoints.
_MARGIN = (0.1, 120.0)
_LABEL = re.compile(r'[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*')


def job_parameters(settings: PredictionSettings) -> dict[str, Any]:
    """Return the content of the parameters node of a job.

    :param settings: of every stage.
    """
    return {'algorithm_versions': {stage: ALGORITHM_VERSIONS[stage] for stage in STAGES}, **settings.to_dict()}


def validate_parameters(value: orm.Dict | None, _: Any) -> str | None:
    """Return what is wrong with the settings, or None.

    :param value: the input.
    """
    if value is None:
        return None
    settings = value.get_dict()
    settings.pop('algorithm_versions', None)
    try:
        PredictionSettings.from_dict(settings)
    except ValueError as error:
        return str(error)
    return None


def validate_device(value: orm.Str | None, _: Any) -> str | None:
    """Return what is wrong with the device, or None.

    :param value: the input.
    """
    if value is None or value.value in DEVICES:
        return None
    return f'The device is {value.value!r}: give one of {", ".join(DEVICES)}.'


def validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return what is wrong with the compounds and what is known of them, or None.

    :param inputs: inputs of the job.
    """
    compounds = set(inputs.get('compounds') or {})
    if not compounds:
        return 'There is no compound to predict: give at least one.'
    odd = sorted(label for label in compounds if not _LABEL.fullmatch(label))
    if odd:
        return f'The label {odd[0]!r} of a compound cannot name files: give letters, digits and single underscores.'
    cells, distances = set(inputs.get('cells') or {}), set(inputs.get('distances') or {})
    if cells != distances:
        return 'Cells and distances go together: give both of a compound, or neither.'
    return None if cells <= compounds else f'There is no compound {sorted(cells - compounds)[0]!r} for its cells.'


def cores_of(resources: Mapping[str, Any]) -> int:
    """Return how many cores a job asks for.

    :param resources: those of the options of a job.
    """
    per_machine = resources.get('num_mpiprocs_per_machine') or resources.get('tot_num_mpiprocs') or 1
    return int(per_machine) * int(resources.get('num_cores_per_mpiproc') or 1)


class PredictCalculation(CalcJob):
    """Predict compounds with ``aiida-alphacrystal-engine`` on any computer.

    Each compound takes all six stages; one whose cells and distances are given is reconstructed and relaxed only.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the inputs, the outputs and the exit codes.

        :param spec: the process specification.
        """
        super().define(spec)
        spec.input_namespace(
            'compounds',
            valid_type=(orm.Str, orm.Dict, orm.ArrayData),
            dynamic=True,
            help='By label: a formula, the atoms of each element in the cell, or what `featurize` returns.',
        )
        spec.input_namespace(
            'cells', valid_type=orm.Dict, dynamic=True, required=False, help='By label: what `predict_cells` returns.'
        )
        spec.input_namespace(
            'distances',
            valid_type=DistancesData,
            dynamic=True,
            required=False,
            help='By label: what `predict_distances` returns.',
        )
        define_model_inputs(spec)
        define_seed(spec)
        spec.input('potential', valid_type=PotentialData, help='Potential that relaxes and ranks every candidate.')
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Dict(job_parameters(PredictionSettings())),
            validator=validate_parameters,
            help='Settings of every stage, and the versions of the algorithms.',
        )
        spec.input(
            'device',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Str('cpu'),
            validator=validate_device,
            help='Where the potential is evaluated: cpu, cuda, or auto for a GPU where there is one.',
        )
        spec.input(
            'parent_folder',
            valid_type=orm.RemoteData,
            required=False,
            help='Directory of a job that was cut, to go on from its checkpoints.',
        )
        spec.input(
            'processes',
            valid_type=int,
            non_db=True,
            required=False,
            help='How many compounds at once; by default one for every core that the job asks for.',
        )
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = PARSER
        options['resources'].default = lambda: {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False
        spec.inputs.validator = validate_inputs

        spec.output('report', valid_type=orm.Dict, help='One row per compound: what has become of it.')
        spec.output_namespace(
            'predictions',
            dynamic=True,
            help='By label: cells, distances, candidates, structures, relaxations, ranking and ranked.',
        )

        define_exit_codes(spec)
        spec.exit_code(303, 'ERROR_OUTPUT_FILES', message='{reason}')
        spec.exit_code(410, 'ERROR_NO_PREDICTION', message='{reason}')
        for status, label in (
            (440, 'ERROR_OUT_OF_WALLTIME'),
            (441, 'ERROR_OUT_OF_MEMORY'),
            (442, 'ERROR_NO_GPU'),
            (443, 'ERROR_INTERRUPTED'),
        ):
            spec.exit_code(status, label, message='{reason}', invalidates_cache=True)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the task and say which files to copy and to retrieve.

        :param folder: where the files of the job are prepared.
        """
        from aiida_alphacrystal.engine.jobs import CHECKPOINTS, RESULTS, SUMMARY_FILE, Task, write_task

        parameters = self.inputs.parameters.get_dict()
        versions = parameters.pop('algorithm_versions', {})
        task = Task(
            compounds=tuple(self._compound(label) for label in convert.in_order(self.inputs.compounds)),
            settings=parameters,
            seed=self.inputs.seed.value,
            versions=versions,
            potential={'name': self.inputs.potential.name, 'kind': self.inputs.potential.kind},
            device=self.inputs.device.value,
            processes=self._processes(),
            max_seconds=self._max_seconds(),
        )
        self._write_distances(folder)
        write_task(Path(folder.abspath), task)
        folder.get_subfolder(RESULTS, create=True)
        if 'parent_folder' not in self.inputs:  # else it is copied, to a place where nothing may be
            folder.get_subfolder(CHECKPOINTS, create=True)

        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = ['.']
        code.stdout_name = 'engine.out'
        code.stderr_name = 'engine.err'
        info = CalcInfo()
        info.codes_info = [code]
        info.local_copy_list = self._copies()
        info.remote_copy_list = []
        if 'parent_folder' in self.inputs:
            parent = self.inputs.parent_folder
            source = PurePosixPath(parent.get_remote_path()) / CHECKPOINTS
            info.remote_copy_list.append((parent.computer.uuid, str(source), CHECKPOINTS))
        info.retrieve_list = ['engine.out', 'engine.err', SUMMARY_FILE, (f'{RESULTS}/*.npz', '.', 2)]
        return info

    def _compound(self, label: str) -> Compound:
        """Return a compound of the task; a formula that cannot be read is refused by the job, in its row."""
        from aiida_alphacrystal.engine.jobs import Compound

        node = self.inputs.compounds[label]
        cells = self.inputs.cells[label]['rows'] if label in self.inputs.get('cells', {}) else None
        rows = None if cells is None else tuple(cells)
        if isinstance(node, orm.Str):
            return Compound(label, formula=node.value, cells=rows)
        if isinstance(node, orm.Dict):
            return Compound(label, counts=node.get_dict(), cells=rows)
        formula = convert.formula_of(node)
        parsed = {
            'elements': list(formula.elements),
            'counts': list(formula.counts),
            'formula_units': formula.formula_units,
        }
        return Compound(label, parsed=parsed, cells=rows)

    def _write_distances(self, folder: Folder) -> None:
        from aiida_alphacrystal.engine.jobs import write_distances

        for label, distances in self.inputs.get('distances', {}).items():
            write_distances(Path(folder.get_abs_path(f'{label}_distances.npz')), distances.to_predictions())

    def _copies(self) -> list[tuple[str, str, str]]:
        """Return the files of weights and of the potential with the places they go to."""
        copies = []
        for purpose in ModelData.PURPOSES:
            model = self.inputs.models[purpose]
            copies.append((model.uuid, model.filename, f'models/{purpose}.safetensors'))
        potential = self.inputs.potential
        copies += [(potential.uuid, name, f'potential/{name}') for name in sorted(potential.to_files().files)]
        return copies

    def _processes(self) -> int:
        """Return how many compounds are predicted at once."""
        given = self.inputs.get('processes')
        if given is not None:
            return int(given)
        return cores_of(self.inputs.metadata.options.resources)

    def _max_seconds(self) -> float | None:
        """Return after how many seconds the job stops by itself, a little before the scheduler would stop it."""
        limit = self.inputs.metadata.options.get('max_wallclock_seconds')
        return None if limit is None else limit - min(_MARGIN[0] * limit, _MARGIN[1])
