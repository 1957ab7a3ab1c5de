"""Find a potential by name, hold its files, and make it ready for use."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from aiida_alphacrystal.engine.errors import PotentialError, one_sentence
from aiida_alphacrystal.engine.memory import exempt_from_collection
from aiida_alphacrystal.engine.relax.ase_backend import AsePotential
from aiida_alphacrystal.engine.relax.ase_calculators import KIND, PREFIX, calculator_files, read_calculator_file
from aiida_alphacrystal.engine.relax.base import AtomArrays, Evaluation, Potential, PotentialFiles
from aiida_alphacrystal.engine.relax.chgnet_backend import ChgnetPotential, chgnet_files
from aiida_alphacrystal.engine.relax.derivatives import derivative_failures
from aiida_alphacrystal.engine.relax.matgl_backend import MATGL_FILES, MatglPotential, matgl_files, quiet
from aiida_alphacrystal.engine.relax.selftest import MINIMUM_COMPOUNDS, run_self_test
from aiida_alphacrystal.engine.settings import DEFAULT_POTENTIAL

__all__ = (
    'DEFAULT_M3GNET',
    'AtomArrays',
    'Evaluation',
    'Potential',
    'PotentialFiles',
    'ResolvedPotential',
    'load_potential',
    'resolve_potential',
)

#: What the name ``M3GNet`` stands for: the M3GNet that the hub offers in the message convention of today.
DEFAULT_M3GNET = 'M3GNet-PES-MatPES-PBE-2025.2'

_CHOICES = (
    'chgnet, M3GNet, a name of the matgl hub, a directory, or for a calculator of ASE '
    f'{PREFIX}MODULE:CALLABLE or a .json file'
)
_HUB_ORGANISATION = 'materialyze'
_HUB_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,95}')
_HUB_TIMEOUT = 10.0
_LOADED: dict[tuple[str, str, bool, str], Potential] = {}


@dataclasses.dataclass(frozen=True)
class ResolvedPotential:
    """What was found for the name that the user gave.

    :param files: the potential to use.
    :param requested: the name as it was given.
    :param notice: one sentence for the user where another potential is used than the one asked for.
    """

    files: PotentialFiles
    requested: str
    notice: str | None = None


def resolve_potential(name: str) -> ResolvedPotential:
    """Find the files of a potential.

    ``chgnet`` is in the installed package; ``M3GNet`` stands for :data:`DEFAULT_M3GNET`; ``ase:MODULE:CALLABLE`` is a
    calculator of ASE, and so is a file whose name ends in ``.json``; anything else with a path separator, or that
    exists, is a directory; every other name is one of the matgl hub, looked up in the local cache first. Where the hub
    cannot be reached, CHGNet takes its place, with a notice.

    :param name: name or path.
    :raises PotentialError: if there is no such potential or its files are missing or damaged.
    """
    if not isinstance(name, str) or not name.strip():
        raise PotentialError(f'The name of the potential is empty: give {_CHOICES}.')
    text = name.strip()
    if text.lower() == DEFAULT_POTENTIAL:
        return ResolvedPotential(chgnet_files(), name)
    if text.lower().startswith(PREFIX):
        return ResolvedPotential(calculator_files(text[len(PREFIX) :]), name)
    if _is_path(text):
        return ResolvedPotential(_local_files(Path(text).expanduser()), name)
    hub_name = DEFAULT_M3GNET if text.lower() == 'm3gnet' else text
    if not _HUB_NAME.fullmatch(hub_name):
        raise PotentialError(f'{text!r} is no name of a potential: give {_CHOICES}.')
    directory = _from_hub(hub_name)
    if directory is not None:
        return ResolvedPotential(matgl_files(directory, hub_name), name)
    return ResolvedPotential(
        chgnet_files(),
        name,
        f'The potential {hub_name} is not in the local cache and the hub that holds it cannot be reached: '
        f'{DEFAULT_POTENTIAL} is used instead.',
    )


def load_potential(files: PotentialFiles, check: bool = True, device: str = 'cpu') -> Potential:
    """Make a potential ready for use.

    The first use of each content in a process runs the self-test. An M3GNet that fails it is tried once more in the
    message convention from before matgl 3.0. A calculator of ASE need not be like density functional theory: only its
    forces and its stress have to be the derivatives of its energy. The loaded potential is kept for the rest of the
    process.

    :param files: a checkpoint of CHGNet, a matgl model directory or the record of a calculator of ASE.
    :param check: whether to run the self-test; without it an M3GNet is taken to follow the convention of today.
    :param device: of torch, on which it is evaluated.
    :raises PotentialError: if the files are damaged, the self-test is failed, the potential knows too few of the
        known compounds to be tested, or a calculator of ASE is not installed here as it was recorded.
    """
    key = (files.sha256, files.name, check, device)
    if key not in _LOADED:
        _LOADED[key] = _checked(files, device) if check else _load(files, 'source', device)
        exempt_from_collection()
    return _LOADED[key]


def _load(files: PotentialFiles, convention: str, device: str) -> Potential:
    if files.kind == 'chgnet':
        return ChgnetPotential(files, device)
    if files.kind in ('m3gnet', 'tensornet'):
        return MatglPotential(files, convention, device)
    if files.kind == KIND:
        return AsePotential(files, device)
    raise PotentialError(
        f'The potential {files.name} is of the unknown kind {files.kind!r}: '
        f'give one of chgnet, m3gnet, tensornet, {KIND}.'
    )


def _checked(files: PotentialFiles, device: str) -> Potential:
    """Load a potential and test it."""
    return _consistent(files, device) if files.kind == KIND else _in_its_convention(files, device)


def _consistent(files: PotentialFiles, device: str) -> Potential:
    """Load a potential whose forces and stress are the derivatives of its energy."""
    potential = _load(files, 'none', device)
    try:
        failures = derivative_failures(potential)
    except MemoryError:
        raise
    except Exception as error:  # calculators raise many types
        raise PotentialError(
            f'The potential {files.name} fails the self-test: a small crystal of its elements cannot be evaluated '
            f'({type(error).__name__}: {one_sentence(error)}); declare the elements that it knows.'
        ) from error
    if failures:
        raise PotentialError(
            f'The potential {files.name} fails the self-test ({failures[0]}): '
            'its forces and its stress have to be the derivatives of its energy; give another one.'
        )
    return potential


def _in_its_convention(files: PotentialFiles, device: str) -> Potential:
    """Load a potential in the convention in which it passes the self-test."""
    conventions = ('source', 'destination') if files.kind == 'm3gnet' else ('source',)
    first_failure = ''
    for convention in conventions:
        potential = _load(files, convention, device)
        outcome = run_self_test(potential)
        if outcome.passed:
            return potential
        if len(outcome.formation_energies) < MINIMUM_COMPOUNDS:
            raise PotentialError(
                f'The potential {files.name} knows only {len(potential.elements)} elements, too few for the self-test '
                f'on known compounds: give a potential that knows at least {MINIMUM_COMPOUNDS} of them.'
            )
        first_failure = first_failure or outcome.failures[0]
    raise PotentialError(
        f'The potential {files.name} fails the self-test on known compounds ({first_failure}): '
        'it is damaged or was made for another version of its package; give another one, such as chgnet.'
    )


def _is_path(text: str) -> bool:
    separators = {'/', os.sep, os.altsep or os.sep}
    if any(separator in text for separator in separators) or text.startswith(('.', '~')) or text.endswith('.json'):
        return True
    return _HUB_NAME.fullmatch(text) is not None and Path(text).exists()


def _local_files(path: Path) -> PotentialFiles:
    if path.suffix == '.json' and not path.is_dir():
        return read_calculator_file(path)
    if not path.is_dir():
        state = 'is a file' if path.exists() else 'does not exist'
        raise PotentialError(
            f'The potential directory {path} {state}: give a directory that holds {", ".join(MATGL_FILES)}, or a .json '
            'file that describes a calculator of ASE.'
        )
    return matgl_files(path)


def _from_hub(name: str) -> Path | None:
    """Return the directory of the cache that holds a potential of the hub, None where the hub cannot be reached.

    :raises PotentialError: if the hub answers that it holds no such potential.
    """
    os.environ.setdefault('HF_HUB_DISABLE_TELEMETRY', '1')
    with quiet():
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
        from matgl.config import MATGL_CACHE

        shown = not are_progress_bars_disabled()
        disable_progress_bars()
        try:
            return _download(name, MATGL_CACHE, offline=True) or _download(name, MATGL_CACHE, offline=False)
        finally:
            if shown:
                enable_progress_bars()


def _download(name: str, cache: Path, *, offline: bool) -> Path | None:
    """Bring all files of a potential into the cache."""
    import huggingface_hub
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    path = ''
    for file in MATGL_FILES:
        try:
            path = huggingface_hub.hf_hub_download(
                repo_id=f'{_HUB_ORGANISATION}/{name}',
                filename=file,
                cache_dir=cache,
                local_files_only=offline,
                etag_timeout=_HUB_TIMEOUT,
            )
        except LocalEntryNotFoundError:
            return None
        except (RepositoryNotFoundError, GatedRepoError, EntryNotFoundError) as error:
            raise PotentialError(
                f'The hub of matgl holds no potential named {name}: give chgnet, M3GNet, another name of '
                f'huggingface.co/{_HUB_ORGANISATION}, a directory, {PREFIX}MODULE:CALLABLE or a .json file.'
            ) from error
        except Exception:  # refused, timed out, no name service: the client raises many types
            return None
    return Path(path).parent
