"""Calculators of ASE by import path: how one is named, recorded, found again and refused.

A. H. Larsen et al., The atomic simulation environment, a Python library for working with atoms,
Journal of Physics: Condensed Matter 29, 273002 (2017), https://doi.org/10.1088/1361-648X/aa680e.

What is recorded is one JSON file: import path, arguments, elements, the distribution that the calculator comes from
with its version, and the checksum of every file that an argument names. It can come from a foreign database, so
nothing is called that is not a calculator of ASE, or a function that is annotated to return one.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import os
import re
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.engine.datasets import file_sha256
from aiida_alphacrystal.engine.errors import PotentialError, one_sentence
from aiida_alphacrystal.engine.relax.base import PotentialFiles
from aiida_alphacrystal.engine.relax.matgl_backend import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = (
    'CALCULATOR_FILE',
    'KIND',
    'PREFIX',
    'CalculatorRecord',
    'calculator_files',
    'make_calculator',
    'read_calculator_file',
    'read_record',
)

#: The only file of such a potential.
CALCULATOR_FILE = 'calculator.json'
#: Kind of such a potential.
KIND = 'ase'
#: How the name of one begins that is given by its import path alone.
PREFIX = 'ase:'
#: Distribution and version of a calculator that no installed distribution brings along.
UNKNOWN = 'unknown'

_IMPORT_PATH = re.compile(r'[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*', re.ASCII)
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,95}')
_NEEDED = ('energy', 'forces', 'stress')


@dataclasses.dataclass(frozen=True)
class CalculatorRecord:
    """What is recorded of a calculator.

    :param calculator: import path, ``MODULE:CALLABLE``.
    :param arguments: of the callable, as JSON has them.
    :param elements: symbols of the elements that it is said to know, sorted; None where nothing is said.
    :param distribution: installed distribution that the module belongs to, or ``unknown``.
    :param version: its version, or ``unknown``.
    :param source: checksum of the module where the distribution is unknown, else None.
    :param files: checksum of every file that an argument names, by its path.
    """

    calculator: str
    arguments: Mapping[str, Any]
    elements: tuple[str, ...] | None
    distribution: str
    version: str
    source: str | None
    files: Mapping[str, str]

    def to_files(self, name: str) -> PotentialFiles:
        """Return the files of the potential.

        :param name: of the potential.
        """
        text = json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False)
        return PotentialFiles(name=name, kind=KIND, files={CALCULATOR_FILE: f'{text}\n'.encode()})


def calculator_files(
    calculator: str,
    arguments: Mapping[str, Any] | None = None,
    elements: list[str] | None = None,
    name: str | None = None,
) -> PotentialFiles:
    """Record a calculator of ASE that is installed here; it is imported but not made.

    :param calculator: import path, ``MODULE:CALLABLE``.
    :param arguments: of the callable; paths of files have to be absolute.
    :param elements: symbols of the elements that it knows, if they are to be declared.
    :param name: of the potential, by default that of the callable in lower case.
    :raises PotentialError: if there is no such calculator, or the arguments, elements or name cannot be used.
    """
    _, callable_name = _split(calculator)
    label = callable_name.lower() if name is None else name
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise PotentialError(f'{name!r} is no name of a potential: use letters, digits, dots, dashes and underscores.')
    given = {} if arguments is None else arguments
    _check_arguments(given)
    declared = None if elements is None else _check_elements(elements)
    _find(calculator)
    record = CalculatorRecord(calculator, given, declared, *_origin(calculator), _checksums(given))
    try:
        return record.to_files(label)
    except (ValueError, RecursionError) as error:
        raise PotentialError(
            f'The arguments of {calculator} cannot be written as JSON ({one_sentence(error)}): give numbers, texts, '
            'true, false, null, lists and objects.'
        ) from error


def read_calculator_file(path: Path) -> PotentialFiles:
    """Record the calculator that a JSON file of a user describes.

    :param path: holds an object with ``calculator`` and, where wanted, ``arguments``, ``elements`` and ``name``. An
        argument that names a file beside it is taken for that file.
    :raises PotentialError: if the file cannot be read, or as :func:`calculator_files`.
    """
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
        if isinstance(document, dict):
            document['arguments'] = _with_whole_paths(document.get('arguments'), path.resolve().parent)
    except OSError as error:
        reason = error.strerror or one_sentence(error)
        raise PotentialError(f'The file {path} cannot be read ({reason}): give another potential.') from error
    except (ValueError, RecursionError) as error:
        raise PotentialError(f'The file {path} is no JSON ({one_sentence(error)}): mend it.') from error
    if not isinstance(document, dict) or 'calculator' not in document:
        raise PotentialError(
            f'The file {path} describes no potential: give an object such as '
            '{"calculator": "MODULE:CALLABLE", "arguments": {}}.'
        )
    unknown = sorted(set(document) - {'calculator', 'arguments', 'elements', 'name'})
    if unknown:
        raise PotentialError(
            f'The file {path} holds {", ".join(unknown)}: give calculator, arguments, elements and name only.'
        )
    return calculator_files(**document)


def read_record(files: PotentialFiles) -> CalculatorRecord:
    """Return what is recorded of a calculator, if that is what is installed here.

    :param files: of the potential.
    :raises PotentialError: if the record is damaged, or calculator, version or a file is missing here or another one.
    """
    try:
        document = json.loads(files.files[CALCULATOR_FILE])
        elements = document.pop('elements')
        record = CalculatorRecord(elements=None if elements is None else _check_elements(elements), **document)
        paths = ', '.join(record.files.keys()) or 'none'
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PotentialError(
            f'The file {CALCULATOR_FILE} of the potential {files.name} is missing or damaged: restore it.'
        ) from error
    _check_arguments(record.arguments)
    _find(record.calculator)
    _check_origin(record, files.name)
    if record.files != _checksums(record.arguments):
        raise PotentialError(
            f'The files that the potential {files.name} was recorded with ({paths}) are missing here or differ: '
            'bring them to the same place, or name the potential anew.'
        )
    return record


def make_calculator(record: CalculatorRecord, device: str) -> Any:
    """Return the calculator, ready for use.

    :param record: what is recorded of it.
    :param device: of torch; given to a calculator that has an argument ``device``, unless the record sets it.
    :raises PotentialError: if it cannot be made or gives no energy, forces or stress.
    """
    from ase.calculators.calculator import BaseCalculator

    make = _find(record.calculator)
    arguments = dict(record.arguments)
    try:
        if 'device' in inspect.signature(make).parameters:
            arguments.setdefault('device', device)
        with quiet():
            calculator = make(**arguments)
    except (Exception, SystemExit) as error:  # calculators raise many types
        raise PotentialError(
            f'The calculator {record.calculator} cannot be made ({type(error).__name__}: {one_sentence(error)}): '
            'give the arguments that it needs in a JSON file.'
        ) from error
    if not isinstance(calculator, BaseCalculator):
        raise PotentialError(f'{record.calculator} has made no calculator of ASE: give another one.')
    missing = [name for name in _NEEDED if name not in calculator.implemented_properties]
    if missing:
        raise PotentialError(
            f'The calculator {record.calculator} gives no {" and no ".join(missing)}, which a relaxation of the cell '
            'needs: give another one.'
        )
    return calculator


def _split(calculator: object) -> tuple[str, str]:
    """Return module and name of an import path."""
    if not isinstance(calculator, str) or not _IMPORT_PATH.fullmatch(calculator):
        raise PotentialError(
            f'{calculator!r} is no import path of a calculator: give MODULE:CALLABLE, such as ase.calculators.emt:EMT.'
        )
    module_name, _, name = calculator.partition(':')
    return module_name, name


def _find(calculator: str) -> Callable[..., Any]:
    """Import what makes a calculator; nothing of it is called.

    :raises PotentialError: if it cannot be imported, or neither is a calculator nor is annotated to return one.
    """
    module_name, name = _split(calculator)
    if module_name.partition('.')[0] in sys.stdlib_module_names:
        raise _not_a_calculator(calculator)
    try:
        with quiet():
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever code at the top of a module raises
        raise PotentialError(
            f'The module {module_name} cannot be imported ({one_sentence(error)}): install what brings it along '
            'wherever the potential is evaluated.'
        ) from error
    found = getattr(module, name, None)
    if found is None:
        raise PotentialError(f'The module {module_name} has no {name}: correct the import path {calculator}.')
    if _is_calculator(found) or (inspect.isfunction(found) and _is_calculator(_returned(found))):
        return found  # type: ignore[no-any-return]
    raise _not_a_calculator(calculator)


def _not_a_calculator(calculator: str) -> PotentialError:
    return PotentialError(
        f'{calculator} is no calculator of ASE: give a class derived from '
        'ase.calculators.calculator.BaseCalculator, or a function whose annotation says that it returns one.'
    )


def _is_calculator(found: object) -> bool:
    from ase.calculators.calculator import BaseCalculator

    return inspect.isclass(found) and issubclass(found, BaseCalculator)


def _returned(function: Any) -> object:
    """Return what a function is annotated to return; a name is looked up in its module, nothing is evaluated."""
    inner = inspect.unwrap(function)
    annotation = getattr(inner, '__annotations__', {}).get('return')
    if not isinstance(annotation, str):
        return annotation
    first, *rest = annotation.strip('\'" ').split('.')
    found = inner.__globals__.get(first)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _origin(calculator: str) -> tuple[str, str, str | None]:
    """Return distribution, version and, where these are unknown, the checksum of the module."""
    module_name = calculator.partition(':')[0]
    distributions = sorted(set(_distributions().get(module_name.partition('.')[0], ())))
    if distributions:
        return ', '.join(distributions), ', '.join(version(name) for name in distributions), None
    path = getattr(sys.modules.get(module_name), '__file__', None)
    return UNKNOWN, UNKNOWN, None if path is None else file_sha256(Path(path))


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the installed distributions that bring along each package; it takes a second to find them."""
    return packages_distributions()


def _check_origin(record: CalculatorRecord, name: str) -> None:
    """Raise if the calculator that is installed is another one than that recorded."""
    distribution, installed, source = _origin(record.calculator)
    if (distribution, installed) != (record.distribution, record.version):
        raise PotentialError(
            f'The potential {name} was recorded with {record.distribution} {record.version}, but here {distribution} '
            f'{installed} gives {record.calculator}: install that version, or name the potential anew.'
        )
    if source != record.source:
        raise PotentialError(
            f'The module of {record.calculator} is another one than the potential {name} was recorded with: '
            'restore it, or name the potential anew.'
        )


def _check_elements(elements: object) -> tuple[str, ...]:
    """Return declared elements in order."""
    from ase.data import chemical_symbols

    known = set(chemical_symbols[1:])
    if not isinstance(elements, list) or not elements or not all(isinstance(one, str) for one in elements):
        raise PotentialError('The elements of a calculator are no list of symbols: give one such as ["Cu", "Au"].')
    unknown = sorted(set(elements) - known)
    if unknown:
        raise PotentialError(f'The calculator is said to know {", ".join(unknown)}: give symbols of elements.')
    return tuple(sorted(set(elements)))


def _check_arguments(arguments: object) -> None:
    """Raise if arguments are no JSON object, or name a command to run or something to download."""
    if not isinstance(arguments, dict):
        raise PotentialError('The arguments of a calculator are no JSON object: give one such as {"rc": 6.0}.')
    for key, value in _leaves(arguments):
        if key == 'command':
            raise PotentialError(
                'A potential may not bring along a command to run: remove the argument command and set it in the '
                'configuration of ASE on the machine.'
            )
        if isinstance(value, str) and '://' in value:
            raise PotentialError(
                f'The argument {value!r} is an address, which would be asked in every process: download the file and '
                'give its path.'
            )


def _leaves(arguments: object) -> Iterator[tuple[str, object]]:
    """Go through nested arguments: the key that each belongs to, in lower case, and its value."""
    left = [('', arguments)]
    while left:
        key, value = left.pop()
        yield key, value
        if isinstance(value, dict):
            left += [(str(name).lower(), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [('', inner) for inner in value]


def _checksums(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksum of every file whose whole path is among the arguments."""
    texts = {value for _, value in _leaves(arguments) if isinstance(value, str)}
    return {text: file_sha256(Path(text)) for text in sorted(texts) if Path(text).is_absolute() and _is_file(text)}


def _with_whole_paths(value: Any, directory: Path) -> Any:
    """Return arguments in which every name of a file has become its whole path."""
    if isinstance(value, dict):
        return {key: _with_whole_paths(inner, directory) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_paths(inner, directory) for inner in value]
    if isinstance(value, str) and value:
        path = str(directory / os.path.expanduser(value))
        return path if _is_file(path) else value
    return value


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long, or with characters that no path has
        return False
