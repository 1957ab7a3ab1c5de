"""Crystals of the elements, from which reference energies are computed.

Each element is represented by the crystal that it forms at low temperature where that has few atoms, else by a close
relative. Lattices and coordinates are experimental, from J. Donohue, The Structures of the Elements (Wiley, 1974),
and, for those that ``ase.data.reference_states`` holds, from there; the potential relaxes them anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ('element_crystals',)

_Sites = tuple[tuple[float, float, float], ...]

#: Space group, a, b, c (A), gamma (degrees), and the asymmetric unit.
_CRYSTALS: dict[str, tuple[tuple[str, float, float, float, float, _Sites], ...]] = {
    'H': (('P6_3/mmc', 3.77, 3.77, 6.16, 120, ((1 / 3, 2 / 3, 0.19),)),),
    'B': (('R-3m', 4.918, 4.918, 12.58, 120, ((0.1187, -0.1187, 0.8912), (0.1961, -0.1961, 0.0242))),),
    'C': (('P6_3/mmc', 2.46, 2.46, 6.71, 120, ((0, 0, 0.25), (1 / 3, 2 / 3, 0.25))),),
    'N': (('Pa-3', 5.66, 5.66, 5.66, 90, ((0.056, 0.056, 0.056),)),),
    'O': (
        ('R-3m', 3.307, 3.307, 11.256, 120, ((0, 0, 0.0537),)),
        ('Cmmm', 5.40, 3.43, 4.30, 90, ((0, 0, 0.142),)),
    ),
    'F': (
        ('Cmce', 5.50, 3.28, 7.28, 90, ((0, 0.09, 0.09),)),
        ('R-3m', 3.30, 3.30, 11.60, 120, ((0, 0, 0.061),)),
    ),
    'P': (('Cmce', 3.314, 10.478, 4.376, 90, ((0, 0.1017, 0.0806),)),),
    'S': (
        (
            'Fddd',
            10.4646,
            12.866,
            24.486,
            90,
            (
                (0.9804, 0.0776, 0.0766),
                (0.9094, 0.1551, 0.2013),
                (0.8319, 0.1045, 0.1290),
                (0.9112, 0.0323, 0.2540),
            ),
        ),
    ),
    'Cl': (('Cmce', 6.24, 4.48, 8.26, 90, ((0, 0.1, 0.1),)),),
    'Mn': (
        (
            'I-43m',
            8.91,
            8.91,
            8.91,
            90,
            ((0, 0, 0), (0.317, 0.317, 0.317), (0.357, 0.357, 0.034), (0.089, 0.089, 0.282)),
        ),
    ),
    'Ga': (('Cmce', 4.52, 7.66, 4.53, 90, ((0, 0.1549, 0.081),)),),
    'Se': (('P3_121', 4.366, 4.366, 4.954, 120, ((0.2254, 0, 1 / 3),)),),
    'Br': (('Cmce', 6.67, 4.48, 8.72, 90, ((0, 0.11, 0.11),)),),
    'Te': (('P3_121', 4.456, 4.456, 5.921, 120, ((0.2636, 0, 1 / 3),)),),
    'I': (('Cmce', 7.18, 4.71, 9.81, 90, ((0, 0.154, 0.117),)),),
    'Sn': (
        ('Fd-3m', 6.49, 6.49, 6.49, 90, ((0, 0, 0),)),
        ('I4_1/amd', 5.83, 5.83, 3.18, 90, ((0, 0, 0),)),
    ),
    'Pa': (('I4/mmm', 3.92, 3.92, 3.24, 90, ((0, 0, 0),)),),
    'U': (('Cmcm', 2.854, 5.869, 4.955, 90, ((0, 0.1025, 0.25),)),),
    'Np': (('Pnma', 6.663, 4.723, 4.887, 90, ((0.036, 0.25, 0.208), (0.319, 0.25, 0.842))),),
    'Si': (('Fd-3m', 5.43, 5.43, 5.43, 90, ((0, 0, 0),)),),
    'Ge': (('Fd-3m', 5.66, 5.66, 5.66, 90, ((0, 0, 0),)),),
}
#: Rhombohedral elements: edge (A), angle (degrees), position on the diagonal.
_RHOMBOHEDRAL = {'As': (4.13, 54.1, 0.226), 'Sb': (4.51, 57.6, 0.233), 'Bi': (4.75, 57.14, 0.237)}
_INDIUM_LIKE = {'In': (3.25, 4.95)}
#: Volume per atom (A^3) where ``ase.data`` has no lattice to take it from.
_VOLUMES = {'He': 18.0, 'Pm': 33.6, 'Pu': 20.0, 'Sm': 33.2, 'Hg': 23.4}


def element_crystals(symbol: str) -> tuple[Structure, ...]:
    """Return one or more crystals of an element; the one of lowest energy is its reference.

    :param symbol: element symbol.
    """
    if symbol in _CRYSTALS:
        return tuple(_from_spacegroup(symbol, *entry) for entry in _CRYSTALS[symbol])
    if symbol in _RHOMBOHEDRAL:
        edge, angle, x = _RHOMBOHEDRAL[symbol]
        lattice = Lattice.rhombohedral(edge, angle)
        return (Structure(lattice, [symbol, symbol], [(x, x, x), (-x, -x, -x)]),)
    crystals = _close_packed(symbol, _atomic_volume(symbol))
    if symbol in _INDIUM_LIKE:
        a, c = _INDIUM_LIKE[symbol]
        crystals += (_from_spacegroup(symbol, 'I4/mmm', a, a, c, 90, ((0, 0, 0),)),)
    return crystals


def _from_spacegroup(
    symbol: str, spacegroup: str, a: float, b: float, c: float, gamma: float, sites: Sequence[Sequence[float]]
) -> Structure:
    """Return the primitive cell."""
    lattice = Lattice.from_parameters(a, b, c, 90, 90, gamma)
    crystal = Structure.from_spacegroup(spacegroup, lattice, [symbol] * len(sites), sites, tol=1e-3)
    return crystal.get_primitive_structure(tolerance=0.02)


def _close_packed(symbol: str, volume: float) -> tuple[Structure, ...]:
    """Return face-centred, body-centred, hexagonal and double hexagonal crystals of a volume per atom."""
    fcc = (4 * volume) ** (1 / 3)
    bcc = (2 * volume) ** (1 / 3)
    edge = (volume * 2**0.5) ** (1 / 3)
    height = edge * (8 / 3) ** 0.5
    hexagonal = Lattice.hexagonal(edge, height)
    double = Lattice.hexagonal(edge, 2 * height)
    return (
        Structure(Lattice(fcc / 2 * (1 - np.eye(3))), [symbol], [(0, 0, 0)]),
        Structure(Lattice(bcc / 2 * (1 - 2 * np.eye(3))), [symbol], [(0, 0, 0)]),
        Structure(hexagonal, [symbol] * 2, [(1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)]),
        Structure(double, [symbol] * 4, [(0, 0, 0), (0, 0, 0.5), (1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)]),
    )


def _atomic_volume(symbol: str) -> float:
    """Return the volume per atom of the known crystal in A^3, or that of a sphere of the covalent radius, packed."""
    from ase.data import atomic_numbers, covalent_radii, reference_states

    if symbol in _VOLUMES:
        return _VOLUMES[symbol]
    state: dict[str, Any] = reference_states[atomic_numbers[symbol]] or {}
    factor = _VOLUME_FACTORS.get(state.get('symmetry', ''))
    if factor is not None:
        return float(factor * state['a'] ** 3 * state.get('c/a', 1.0))
    return float((2 * covalent_radii[atomic_numbers[symbol]]) ** 3 / 2**0.5)


#: Volume per atom over a^3 (and, where there is one, over c/a).
_VOLUME_FACTORS = {'fcc': 1 / 4, 'bcc': 1 / 2, 'hcp': 3**0.5 / 4, 'bct': 1 / 2, 'sc': 1.0}
