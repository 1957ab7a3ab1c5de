"""What is evaluated: which candidates are made, and whether they are relaxed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import aiida_alphacrystal
from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.candidate_sources import CONTROLS, DEFAULT_SOURCES, NEAREST, RANDOM, read_sources
from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.rank_model import with_weights
from aiida_alphacrystal.engine.relax import PotentialFiles
from aiida_alphacrystal.engine.settings import PredictionSettings, check_seed

__all__ = ('LONGEST', 'Plan')

#: Candidates that the controls get, and places of a ranking that are looked at.
LONGEST = 20

#: Packages whose versions decide about results or their scores.
_PACKAGES = ('torch', 'numpy', 'scipy', 'spglib', 'pymatgen', 'pyxtal', 'chgnet', 'matgl', 'smact')

#: What was learnt, as files of the package without their ending.
_WEIGHTS = ('distances', 'cells', 'templates')


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that decides about the result of an evaluation, besides the crystals.

    :param settings: of the pipeline, sources that are not evaluated still in them.
    :param sources: names from ``SOURCES``.
    :param potential: relaxes the candidates and ranks them; None leaves them as they are, in their own order.
    :param seed: of every prediction.
    :param models: weights of the package in place of the usual ones by purpose, such as
        ``{'distances': 'distances-reference'}``.
    """

    settings: PredictionSettings
    sources: tuple[str, ...] = DEFAULT_SOURCES
    potential: PotentialFiles | None = None
    seed: int = 0
    models: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what is not checked elsewhere.

        :raises SettingsError: if the sources or the seed cannot be.
        """
        read_sources(','.join(self.sources))
        check_seed(self.seed)

    @property
    def control(self) -> str | None:
        """Return the name of the control, None where it is the pipeline that is evaluated."""
        return self.sources[0] if self.sources[0] in CONTROLS else None

    @property
    def relaxes(self) -> bool:
        """Return whether candidates are relaxed; the nearest templates never are."""
        return self.potential is not None and self.control != NEAREST

    @property
    def effective_settings(self) -> PredictionSettings:
        """Return the settings with what is not evaluated switched off and a ranking that holds every structure."""
        settings = self.settings
        templates, search, rank = settings.templates, settings.search, settings.rank
        if self.control is None and 'templates' not in self.sources:
            templates = dataclasses.replace(templates, max_candidates=0)
        if self.control is None and 'reconstruct' not in self.sources:
            search = dataclasses.replace(search, max_candidates=0)
        if self.control == RANDOM:
            rank = dataclasses.replace(rank, method='energy')
        rank = dataclasses.replace(rank, top=500)
        if self.potential is not None:
            rank = with_weights(rank, self.potential.sha256)
        return dataclasses.replace(settings, templates=templates, search=search, rank=rank)

    def describe(self, crystals: Sequence[Crystal]) -> dict[str, Any]:
        """Return what decides about the result, as plain values, so that two evaluations can be held side by side.

        :param crystals: the known crystals.
        """
        potential = self.potential if self.relaxes else None
        weights = [f'{self.models.get(purpose, purpose)}.safetensors' for purpose in _WEIGHTS]
        return {
            'sources': list(self.sources),
            'relaxed': self.relaxes,
            'seed': self.seed,
            'data_sha256': _hash_crystals(crystals),
            'settings': self.effective_settings.to_dict(),
            'potential': None if potential is None else {'name': potential.name, 'sha256': potential.sha256},
            'weights': {name: hashlib.sha256(checkpoint.read_shipped(name)).hexdigest() for name in weights},
            'versions': {
                'aiida-alphacrystal': aiida_alphacrystal.__version__,
                **{name: metadata.version(name) for name in _PACKAGES},
            },
        }


def _hash_crystals(crystals: Sequence[Crystal]) -> str:
    """Return a hash of everything that is read of the crystals, in their order."""
    digest = hashlib.sha256()
    for crystal in crystals:
        fields = [crystal.material_id, crystal.lattice.tolist(), crystal.species, crystal.frac_coords.tolist()]
        digest.update(json.dumps(fields).encode())
    return digest.hexdigest()
