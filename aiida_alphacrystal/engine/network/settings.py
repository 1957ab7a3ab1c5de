"""How a distance network is trained: the settings, and named sets of them."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.distances import equal_bins, fine_bins
from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.engine.network.kinds import ARCHITECTURES, kind_of
from aiida_alphacrystal.engine.network.model import Architecture
from aiida_alphacrystal.engine.network.reference import ReferenceArchitecture
from aiida_alphacrystal.engine.settings import read_dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

__all__ = ('SCHEDULES', 'TrainSettings', 'preset_names', 'read_train_settings')

SCHEDULES = ('cosine', 'constant')


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How the network is trained.

    :param architecture: the size of the network; its class says which network it is.
    :param bins: so many distance bins of equal width, as in the paper; 0 for the fine ones.
    :param one_hot: whether a distance counts for its bin alone, as in the paper, or for the two whose centres it lies
        between.
    :param crystals: so many crystals are drawn to learn from; 0 for all.
    :param epochs: passes over the training crystals.
    :param patience: stop early when the validation loss has not fallen for so many epochs.
    :param pairs_per_batch: pairs of atoms that a batch holds about.
    :param learning_rate: its highest value, after the warm-up.
    :param schedule: whether the learning rate falls to zero over the epochs as a ``cosine`` or stays ``constant``.
    :param warmup: share of all steps over which the learning rate rises.
    :param weight_decay: decoupled weight decay of AdamW, which is Adam without it.
    :param average: decay of the moving average of the weights, which is what is kept; 0 for no average.
    :param matching_rounds: in every step, so many swaps of two atoms of one element per crystal are made in its target
        where that raises the likelihood; 0 keeps the canonical order.
    :param max_atoms: larger crystals are left out.
    """

    architecture: Architecture | ReferenceArchitecture = dataclasses.field(default_factory=Architecture)
    bins: int = 0
    one_hot: bool = False
    crystals: int = 0
    epochs: int = 40
    patience: int = 10
    pairs_per_batch: int = 2400
    learning_rate: float = 3e-3
    schedule: str = 'cosine'
    warmup: float = 0.1
    weight_decay: float = 0.02
    average: float = 0.998
    matching_rounds: int = 2
    max_atoms: int = DEFAULT_MAX_ATOMS

    def __post_init__(self) -> None:
        """Check the ranges.

        :raises SettingsError: if a value is out of its range.
        """
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f'The training setting {name} is {value}: give a value from {low} to {high}.')
        if self.bins == 1:
            raise SettingsError('The training setting bins is 1: give at least 2, or 0 for the fine bins.')
        if self.schedule not in SCHEDULES:
            raise SettingsError(
                f'The training setting schedule is {self.schedule!r}: choose one of {", ".join(SCHEDULES)}.'
            )
        largest = getattr(self.architecture, 'sites', self.max_atoms)
        if self.max_atoms > largest:
            raise SettingsError(
                f'The training setting max_atoms is {self.max_atoms}, but architecture.sites is {largest}: make them '
                'equal.'
            )

    @property
    def bin_edges(self) -> npt.NDArray[np.float64]:
        """Return the edges of the distance bins, A."""
        return equal_bins(self.bins) if self.bins else fine_bins()

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain dictionaries, with the kind of the network."""
        return {'network': kind_of(self.architecture), **dataclasses.asdict(self)}


_RANGES: tuple[tuple[str, float, float], ...] = (
    ('bins', 0, 1_000),
    ('crystals', 0, 1_000_000_000),
    ('epochs', 1, 100_000),
    ('patience', 1, 100_000),
    ('pairs_per_batch', 1, 1_000_000),
    ('learning_rate', 1e-8, 1.0),
    ('warmup', 0.0, 1.0),
    ('weight_decay', 0.0, 1.0),
    ('average', 0.0, 0.999999),
    ('matching_rounds', 0, 100),
    ('max_atoms', 2, 63),
)


def preset_names() -> dict[str, str]:
    """Return the named sets of settings with a sentence about each."""
    return {name: preset['description'] for name, preset in _presets().items()}


def read_train_settings(
    preset: str = 'fine', config: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainSettings:
    """Return the settings of a preset, with those of a file and single ones in their places.

    :param preset: one of :func:`preset_names`.
    :param config: a YAML file of settings, nested as they are; ``network`` says which network ``architecture`` is of.
    :param overrides: settings that win over both.
    :raises SettingsError: if there is no such preset, the file cannot be read, or a setting is unknown or wrong.
    """
    presets = _presets()
    if preset not in presets:
        raise SettingsError(f'There is no preset {preset!r}: choose one of {", ".join(presets)}.')
    values = dict(presets[preset]['settings'])
    read = _read_config(config) if config else {}
    if read.get('network', values.get('network')) == values.get('network') and isinstance(
        read.get('architecture'), dict
    ):
        read['architecture'] = {**values.get('architecture', {}), **read['architecture']}
    elif 'network' in read:
        values.pop('architecture', None)
    try:
        return _from_dict({**values, **read, **(overrides or {})})
    except SettingsError as error:
        if config is None:
            raise
        raise SettingsError(f'{config}: {error}') from error


def _from_dict(values: dict[str, Any]) -> TrainSettings:
    kind = values.pop('network', 'pairs')
    if kind not in ARCHITECTURES:
        raise SettingsError(f'The setting network is {kind!r}: choose one of {", ".join(ARCHITECTURES)}.')
    architecture = read_dataclass(ARCHITECTURES[kind], values.pop('architecture', {}), 'architecture.')
    settings: TrainSettings = read_dataclass(TrainSettings, {**values, 'architecture': architecture})
    return settings


def _presets() -> dict[str, Any]:
    import yaml

    text = resources.files(__package__).joinpath('presets.yaml').read_text(encoding='utf-8')
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def _read_config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = getattr(getattr(error, 'problem_mark', None), 'line', None)
        where = f'{path}:{line + 1}' if line is not None else str(path)
        raise SettingsError(f'{where} cannot be read as YAML: give lines such as "epochs: 40".') from error
    if not isinstance(content, dict):
        raise SettingsError(f'{path} holds no settings: give lines such as "epochs: 40".')
    return content
