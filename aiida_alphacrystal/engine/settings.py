"""Every setting of the pipeline, with its default and its range.

The field names are the keys of the protocol files and of the ``parameters`` node of the work chain.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.errors import SettingsError

__all__ = (
    'BATCH_SIZES',
    'CRYSTAL_SYSTEMS',
    'DEFAULT_POTENTIAL',
    'MAX_SEED',
    'CellSettings',
    'PredictionSettings',
    'RankSettings',
    'RelaxSettings',
    'SearchSettings',
    'TemplateSettings',
    'check_seed',
)

#: The crystal systems with the last space group of each.
CRYSTAL_SYSTEMS = {
    'triclinic': 2,
    'monoclinic': 15,
    'orthorhombic': 74,
    'tetragonal': 142,
    'trigonal': 167,
    'hexagonal': 194,
    'cubic': 230,
}

#: The potential that needs nothing but the installed packages: no network is touched.
DEFAULT_POTENTIAL = 'chgnet'

#: Structures evaluated together where the setting does not say: more gain nothing on a CPU, a GPU wants to be filled.
BATCH_SIZES: Mapping[str, int] = MappingProxyType({'cpu': 8, 'cuda': 64})

#: Seeds are non-negative 32-bit integers, so that they fit every generator and every database.
MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class CellSettings:
    """Stage 3.

    :param max_hypotheses: how many (space group, formula units, lattice) hypotheses are kept.
    :param spacegroup: international number of the space group that every candidate shall have; 0 leaves it open.
    :param crystal_system: that of every candidate, such as ``cubic``; empty leaves it open.
    :param lattice: conventional a, b, c (A) and alpha, beta, gamma (degrees) of the search; empty leaves it open.
    :param votes: whether known crystals of the stoichiometry have a say; the composition alone decides without them.
    """

    max_hypotheses: int = 8
    spacegroup: int = 0
    crystal_system: str = ''
    lattice: tuple[float, ...] = ()
    votes: bool = True


@dataclasses.dataclass(frozen=True)
class TemplateSettings:
    """The template source of stage 4.

    :param max_candidates: how many distinct substituted prototypes enter the pool; 0 switches the source off. One in
        five is there for the votes for its own type, whether or not it matches another one.
    :param decorations: whether prototypes of other stoichiometries are tried as well, with sites merged or split.
    """

    max_candidates: int = 25
    decorations: bool = True


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """The search of stage 4.

    :param max_candidates: how many reconstructed structures enter the pool; 0 switches the source off.
    :param method: ``descent`` (gradients, on many Wyckoff assignments at once) or ``genetic`` (the genetic algorithm of
        the paper).
    :param max_screened: Wyckoff assignments per cell hypothesis that are looked at.
    :param evaluations: fitness evaluations per cell hypothesis after which no new round begins, for a cell of twelve
        atoms; in other cells a crystal counts by its pairs of atoms.
    :param seconds: time after which nothing new begins, for all hypotheses together; 0 sets none. What a time ends is
        not the same on another machine.
    :param free_starts: random beginnings per cell hypothesis of the search without symmetry; 0 leaves it out.
    :param pair_weight: what the statistics of the distances of two elements in known crystals, those of the library,
        count beside a predicted distance; 0 leaves them out.
    :param exchanges: whether orbits are put on other Wyckoff positions where nothing meets the distances; it pays where
        distances are sure.
    :param rivals: whether crystals that lie close to a better one, and would most probably relax to it, fill places
        that distinct ones leave.
    """

    max_candidates: int = 10
    method: str = 'descent'
    max_screened: int = 5000
    evaluations: int = 300_000
    seconds: float = 0.0
    free_starts: int = 0
    pair_weight: float = 0.5
    exchanges: bool = False
    rivals: bool = False


@dataclasses.dataclass(frozen=True)
class RelaxSettings:
    """Stage 5.

    :param force_tolerance: a structure has converged when no force (eV/A) is larger, and no cell force either.
    :param method: ``gradient`` (a quasi-Newton method) or ``bayesian`` (a Gaussian process on the energies, as in the
        paper; for crystals of few free coordinates).
    :param symmetry: ``keep`` (the space group that the candidate was built with stays to rounding), ``free``, or
        ``then_free`` (kept to the minimum; then the crystal is pushed out of it, always in the same way, and relaxed
        with all coordinates; the symmetric minimum stays the result where that gains less than 1 meV/atom).
    :param max_steps: steps after which a structure is left as it is.
    :param seconds: time of a structure in its batch, which others share, after which it is left as it is; 0 sets none.
        What a time ends is not the same on another machine, nor a second time on this one.
    :param batch_size: structures evaluated together; 0 takes what suits the device, 8 on a CPU and 64 on a GPU, or
        fewer where its memory does not suffice.
    :param narrow_steps: steps that every structure takes before the best ones are chosen to go on; 0 lets all go on.
    :param narrow_to: how many go on after ``narrow_steps``, those of the lowest energy per atom among the sound ones
        that have not converged. The others are left as they are and ranked with the energy that they have come to.
    :param budget: time in seconds for all structures of a compound together, after which those on their way are left
        as they are and each of the others is evaluated once; 0 sets none. With ``narrow_steps`` all structures get
        their share of it, without it the first ones of the list. What a time ends is not the same on another machine,
        nor a second time on this one.
    """

    force_tolerance: float = 0.05
    max_steps: int = 100
    method: str = 'gradient'
    symmetry: str = 'keep'
    seconds: float = 0.0
    batch_size: int = 0
    narrow_steps: int = 0
    narrow_to: int = 20
    budget: float = 0.0


@dataclasses.dataclass(frozen=True)
class RankSettings:
    """Stage 6.

    :param method: ``confidence`` (the calibrated probability of being right), ``energy`` (lowest formation energy, as
        in the paper) or ``energy_and_probability`` (energy plus ``probability_weight`` times the cost of the candidate,
        minus the logarithm of its a-priori probability).
    :param probability_weight: energy that a probability lower by a factor of e is worth, in eV/atom.
    :param weights: of the model behind the confidence, eight numbers; empty stands for those that the package has for
        the potential.
    :param top: how many distinct structures the ranking holds.
    """

    method: str = 'confidence'
    probability_weight: float = 0.015
    weights: tuple[float, ...] = ()
    top: int = 10


@dataclasses.dataclass(frozen=True)
class PredictionSettings:
    """All stages.

    :param max_atoms: the largest number of atoms in a primitive cell.
    """

    max_atoms: int = DEFAULT_MAX_ATOMS
    cells: CellSettings = CellSettings()
    templates: TemplateSettings = TemplateSettings()
    search: SearchSettings = SearchSettings()
    relax: RelaxSettings = RelaxSettings()
    rank: RankSettings = RankSettings()

    def __post_init__(self) -> None:
        """Check every range.

        :raises SettingsError: if a value is out of its range.
        """
        for path, low, high in _RANGES:
            value = self
            for name in path.split('.'):
                value = getattr(value, name)
            if not low <= value <= high:  # type: ignore[operator]
                raise SettingsError(f'The setting {path} is {value}: give a value from {low} to {high}.')
        for path, method, methods in (
            ('search.method', self.search.method, _SEARCH_METHODS),
            ('relax.method', self.relax.method, _RELAX_METHODS),
            ('relax.symmetry', self.relax.symmetry, _SYMMETRIES),
            ('rank.method', self.rank.method, _RANK_METHODS),
        ):
            if method not in methods:
                raise SettingsError(f'The setting {path} is {method!r}: give one of {", ".join(methods)}.')
        if self.relax.method == 'bayesian' and self.relax.symmetry != 'keep':
            raise SettingsError(
                f'The setting relax.symmetry is {self.relax.symmetry!r}: relax.method bayesian needs keep, since it '
                'optimises the symmetric coordinates only.'
            )
        _check_cell(self.cells)
        if len(self.rank.weights) not in {0, _RANK_WEIGHTS}:
            raise SettingsError(
                f'The setting rank.weights has {len(self.rank.weights)} numbers: give {_RANK_WEIGHTS}, or none for '
                'those of the package.'
            )
        if self.templates.max_candidates + self.search.max_candidates == 0:
            raise SettingsError(
                'Both candidate sources are switched off: raise templates.max_candidates or search.max_candidates.'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PredictionSettings:
        """Read settings from nested dictionaries; what is left out keeps its default.

        :param values: nested as the dataclasses are.
        :raises SettingsError: if a key is unknown or a value has the wrong type or range.
        """
        return typing.cast('PredictionSettings', read_dataclass(cls, values))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as nested plain dictionaries."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


_SEARCH_METHODS = ('descent', 'genetic')
_RANK_METHODS = ('confidence', 'energy', 'energy_and_probability')
#: One for each feature of the model behind the confidence, and one for none of the structures being right.
_RANK_WEIGHTS = 8
_RELAX_METHODS = ('gradient', 'bayesian')
_SYMMETRIES = ('keep', 'free', 'then_free')
_RANGES: tuple[tuple[str, float, float], ...] = (
    ('max_atoms', 1, 64),
    ('cells.max_hypotheses', 1, 200),
    ('cells.spacegroup', 0, 230),
    ('templates.max_candidates', 0, 500),
    ('search.max_candidates', 0, 500),
    ('search.max_screened', 1, 100_000),
    ('search.evaluations', 1, 100_000_000),
    ('search.seconds', 0.0, 1e6),
    ('search.free_starts', 0, 100_000),
    ('search.pair_weight', 0.0, 10.0),
    ('relax.force_tolerance', 1e-4, 10.0),
    ('relax.max_steps', 0, 10_000),
    ('relax.seconds', 0.0, 1e6),
    ('relax.batch_size', 0, 1_000),
    ('relax.narrow_steps', 0, 10_000),
    ('relax.narrow_to', 1, 1_000),
    ('relax.budget', 0.0, 1e6),
    ('rank.probability_weight', 0.0, 10.0),
    ('rank.top', 1, 500),
)


def check_seed(seed: object) -> int:
    """Return a seed that every generator takes.

    :param seed: what the user gave.
    :raises SettingsError: if it is no integer from 0 to ``MAX_SEED``.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise SettingsError(f'The seed is {seed!r}: give a whole number from 0 to {MAX_SEED}.')
    return seed


def _plain(value: Any) -> Any:
    """Return a value with lists for tuples, as a database gives it back."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _check_cell(cells: CellSettings) -> None:
    """Check what the user knows of the cell."""
    if cells.crystal_system and cells.crystal_system not in CRYSTAL_SYSTEMS:
        raise SettingsError(
            f'The setting cells.crystal_system is {cells.crystal_system!r}: give one of {", ".join(CRYSTAL_SYSTEMS)}.'
        )
    lengths, angles = cells.lattice[:3], cells.lattice[3:]
    sound = all(length > 0 for length in lengths) and all(0 < angle < 180 for angle in angles)
    if cells.lattice and (len(cells.lattice) != 6 or not sound):
        raise SettingsError(
            f'The setting cells.lattice is {list(cells.lattice)}: give a, b, c in angstrom and alpha, beta, gamma in '
            'degrees.'
        )


def read_dataclass(cls: type, values: Mapping[str, Any], prefix: str = '') -> Any:
    """Fill one dataclass of settings from one dictionary; what is left out keeps its default.

    :param cls: the dataclass.
    :param values: its settings, nested as the dataclasses are.
    :param prefix: what stands before the names of the settings in messages, with a dot at the end.
    :raises SettingsError: if a key is unknown or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f'The settings {prefix.rstrip(".") or "given"} must be a dictionary, not {values!r}.')
    hints = typing.get_type_hints(cls)
    unknown = sorted(str(key) for key in values if key not in hints)
    if unknown:
        raise SettingsError(f'Unknown setting {prefix}{unknown[0]}: the settings here are {", ".join(sorted(hints))}.')
    return cls(**{key: _convert(hints[key], value, f'{prefix}{key}') for key, value in values.items()})


def _convert(kind: type, value: Any, path: str) -> Any:
    """Check the type of one value."""
    if dataclasses.is_dataclass(type(value)):
        return value
    if dataclasses.is_dataclass(kind):
        return read_dataclass(kind, value, f'{path}.')
    if typing.get_origin(kind) is tuple:
        return _numbers(value, path)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise SettingsError(f'The setting {path} is {value!r}: give a value of type {kind.__name__}.')
    return value


def _numbers(value: Any, path: str) -> tuple[float, ...]:
    """Check a list of numbers."""
    numbers = isinstance(value, list | tuple) and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in value
    )
    if not numbers:
        raise SettingsError(f'The setting {path} is {value!r}: give a list of numbers.')
    return tuple(float(number) for number in value)
