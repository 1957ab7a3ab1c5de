"""Formation energies against elements relaxed with the same potential.

``python -m aiida_alphacrystal.engine.relax.references`` computes the table that the package ships.
"""

from __future__ import annotations

import collections
import functools
import json
import math
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.metadata import version
from typing import Any

from aiida_alphacrystal.engine.errors import PotentialError
from aiida_alphacrystal.engine.relax.base import Potential
from aiida_alphacrystal.engine.relax.batch import relax_structures
from aiida_alphacrystal.engine.relax.corrections import MP2020, NO_CORRECTIONS
from aiida_alphacrystal.engine.relax.elements import element_crystals
from aiida_alphacrystal.engine.relax.state import Relaxation
from aiida_alphacrystal.engine.settings import DEFAULT_POTENTIAL, RelaxSettings

__all__ = (
    'compute_references',
    'correction_scheme',
    'elemental_references',
    'formation_energy',
    'main',
    'relaxed_formation_energy',
    'shipped_references',
)

#: How the crystals of the elements are relaxed.
REFERENCE_SETTINGS = RelaxSettings(force_tolerance=0.02, max_steps=200, batch_size=8)

#: Potentials that were trained on energies before their corrections.
_UNCORRECTED = {'M3GNet-MP-2021.2.8-PES': MP2020}

_COMPUTED: dict[str, dict[str, float]] = {}


def elemental_references(elements: Iterable[str], potential: Potential) -> dict[str, float]:
    """Return the energy of each element in its crystal, in eV/atom, with one potential.

    Shipped values are used where the package has them for this very potential; others are computed, once per process.

    :param elements: element symbols.
    :param potential: any potential.
    :raises UnsupportedElementError: if the potential does not know an element.
    :raises PotentialError: if the crystals of an element cannot be relaxed.
    """
    symbols = sorted(set(elements))
    potential.check_elements(set(symbols))
    known = {**shipped_references().get(potential.sha256, {}), **_COMPUTED.get(potential.sha256, {})}
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        computed = compute_references(missing, potential)
        _COMPUTED.setdefault(potential.sha256, {}).update(computed)
        known.update(computed)
    return {symbol: known[symbol] for symbol in symbols}


def formation_energy(energy_per_atom: float, composition: Mapping[str, int], references: Mapping[str, float]) -> float:
    """Return the formation energy in eV/atom.

    :param energy_per_atom: of the compound, with its correction where the potential needs one, eV/atom.
    :param composition: element symbol to number of atoms.
    :param references: energies of the elements, eV/atom.
    """
    total = sum(composition.values())
    return energy_per_atom - math.fsum(count * references[symbol] for symbol, count in composition.items()) / total


def relaxed_formation_energy(relaxation: Relaxation, correction: float, references: Mapping[str, float]) -> float:
    """Return the formation energy of a relaxed crystal in eV/atom.

    :param relaxation: of the crystal.
    :param correction: of its energy, eV/atom.
    :param references: energies of the elements, eV/atom.
    """
    content = collections.Counter(site.specie.symbol for site in relaxation.structure)
    return formation_energy(relaxation.energy + correction, content, references)


def compute_references(elements: Iterable[str], potential: Potential) -> dict[str, float]:
    """Relax the crystals of elements and return the lowest energy of each, in eV/atom.

    :param elements: element symbols.
    :param potential: any potential that knows them.
    :raises PotentialError: if no crystal of an element can be relaxed.
    """
    references: dict[str, float] = {}
    for symbol in elements:
        relaxations = relax_structures(element_crystals(symbol), potential, REFERENCE_SETTINGS)
        energies = [relaxation.energy for relaxation in relaxations if relaxation.reason is None]
        if not energies:
            raise PotentialError(
                f'The potential {potential.name} cannot relax a crystal of {symbol} '
                f'({relaxations[0].reason}): choose another potential.'
            )
        references[symbol] = min(energies)
    return references


@functools.cache
def shipped_references() -> Mapping[str, Mapping[str, float]]:
    """Return the shipped tables: hash of a potential to energies of its elements in eV/atom."""
    return {sha256: entry['energies'] for sha256, entry in _shipped().items()}


def correction_scheme(sha256: str) -> str:
    """Return the scheme by which the energies of a potential are corrected, ``none`` where it is not known to need one.

    :param sha256: of its files.
    """
    return str(_shipped().get(sha256, {}).get('corrections', NO_CORRECTIONS))


@functools.cache
def _shipped() -> Mapping[str, Mapping[str, Any]]:
    """Return what the package knows of potentials by the hashes of their files."""
    path = resources.files('aiida_alphacrystal') / 'weights' / 'references.json'
    try:
        potentials: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text())['potentials']
    except FileNotFoundError:
        return {}
    return potentials


def main(arguments: list[str] | None = None) -> None:
    """Write the table of reference energies.

    :param arguments: of the command line.
    """
    import argparse
    from pathlib import Path

    from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential

    parser = argparse.ArgumentParser(description='Compute the reference energies of the elements.')
    parser.add_argument('potentials', nargs='*', default=[DEFAULT_POTENTIAL], help='names or directories')
    parser.add_argument('--output', type=Path, default=Path('aiida_alphacrystal/weights/references.json'))
    options = parser.parse_args(arguments)
    tables = {}
    for name in options.potentials:
        resolved = resolve_potential(name)
        if resolved.notice:
            parser.error(resolved.notice)
        potential = load_potential(resolved.files)
        energies = compute_references(sorted(potential.elements), potential)
        tables[potential.sha256] = {
            'name': potential.name,
            'convention': potential.convention,
            'version': potential.version,
            'corrections': _UNCORRECTED.get(potential.name, NO_CORRECTIONS),
            'energies': {symbol: round(energy, 6) for symbol, energy in energies.items()},
        }
    document = {'card': _card([Path(name).name for name in options.potentials]), 'potentials': tables}
    options.output.write_text(json.dumps(document, indent=1, sort_keys=True) + '\n')


def _card(names: list[str]) -> dict[str, object]:
    """Return how the table was made; a directory is called by its name, wherever it lay."""
    return {
        'what': 'Energy of each element in its crystal, relaxed with the potential whose files have the given hash.',
        'unit': 'eV/atom',
        'command': ' '.join(['python -m aiida_alphacrystal.engine.relax.references', *names]),
        'structures': 'aiida_alphacrystal/engine/relax/elements.py, lowest of those listed for an element',
        'settings': {
            'force_tolerance': REFERENCE_SETTINGS.force_tolerance,
            'max_steps': REFERENCE_SETTINGS.max_steps,
        },
        'pymatgen': version('pymatgen'),
        'licence': 'MIT (computed by this project; CHGNet is under a modified BSD licence, M3GNet under BSD-3-Clause)',
    }


if __name__ == '__main__':
    main()
