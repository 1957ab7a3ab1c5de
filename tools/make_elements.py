"""Write ``aiida_alphacrystal/engine/elements.csv``, the eleven descriptors of every element.

Run by developers only, with ``pip install mendeleev==1.3.0 pymatgen``; the package itself reads the written table::

    python tools/make_elements.py aiida_alphacrystal/engine/elements.csv
"""

from __future__ import annotations

import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mendeleev import element as mendeleev_element
from pymatgen.core.periodic_table import Element

LAST_ATOMIC_NUMBER = 94

#: Pauling units per eV on the Allen scale: 2.30016 per rydberg (L. C. Allen, J. Am. Chem. Soc. 111, 9003, 1989).
ALLEN_TO_PAULING = 2.30016 / 13.605693

#: Neighbours whose mean stands in for a heat of formation that no table holds.
NEIGHBOURS = {'Pm': ('Nd', 'Sm')}

COLUMNS = {
    'mendeleev_number': ('1', 'P. Villars et al., J. Alloys Compd. 367, 167 (2004), from mendeleev'),
    'unpaired_electrons': ('1', 'ground-state electron configuration of the free atom, from mendeleev'),
    'ionization_energy': ('eV', 'first ionization energy, NIST Atomic Spectra Database, from mendeleev'),
    'covalent_radius': ('pm', 'single bond, P. Pyykko and M. Atsumi, Chem. Eur. J. 15, 186 (2009), from mendeleev'),
    'heat_of_formation': (
        'kJ/mol',
        'of the gaseous atom at 298 K, CRC Handbook of Chemistry and Physics, from mendeleev',
    ),
    'dipole_polarizability': (
        'a.u.',
        'P. Schwerdtfeger and J. K. Nagle, Mol. Phys. 117, 1200 (2019), from mendeleev',
    ),
    'average_ionic_radius': (
        'A',
        'mean crystal radius of the oxidation states, R. D. Shannon, Acta Cryst. A 32, 751 (1976), from pymatgen',
    ),
    'group': ('1', 'IUPAC periodic table, from mendeleev'),
    'row': ('1', 'period of the IUPAC periodic table, from mendeleev'),
    'electronegativity': ('Pauling', 'Pauling scale, CRC Handbook of Chemistry and Physics, from mendeleev'),
    'atomic_number': ('1', 'definition'),
}

FALLBACKS = {
    'group': 'group 3 for the lanthanides and actinides, which the source leaves without a group',
    'noble_heat': 'heat of formation 0 for noble gases: the gaseous atom is their standard state',
    'neighbour_heat': 'heat of formation as the mean of the two neighbouring lanthanides, none in the source',
    'radius': 'average ionic radius = covalent radius of the element, no ion in the table of pymatgen',
    'pymatgen_x': 'Pauling electronegativity from pymatgen, where mendeleev has none',
    'allen_x': 'electronegativity on the Allen scale in Pauling units, where no Pauling value exists',
}


def describe(symbol: str, used: dict[str, list[str]]) -> list[Any] | None:
    """Return the row of one element, or None where a descriptor cannot be had.

    :param symbol: the element.
    :param used: fallback to the elements that took it, appended to.
    """
    source = mendeleev_element(symbol)
    heat = heat_of_formation(symbol, used)
    electronegativity = pauling(symbol, used)
    if heat is None or electronegativity is None:
        return None
    group = source.group_id
    if group is None:
        group = 3
        used['group'].append(symbol)
    radius = float(Element(symbol).average_ionic_radius)
    if radius == 0:
        radius = source.covalent_radius_pyykko / 100
        used['radius'].append(symbol)
    return [
        source.mendeleev_number,
        source.ec.unpaired_electrons(),
        round(source.ionenergies[1], 4),
        round(source.covalent_radius_pyykko, 1),
        round(heat, 1),
        round(source.dipole_polarizability, 3),
        round(radius, 4),
        group,
        source.period,
        round(electronegativity, 3),
        source.atomic_number,
    ]


def heat_of_formation(symbol: str, used: dict[str, list[str]]) -> float | None:
    """Return the heat of formation of the gaseous atom, kJ/mol."""
    source = mendeleev_element(symbol)
    if source.heat_of_formation is not None:
        return float(source.heat_of_formation)
    if source.group_id == 18:
        used['noble_heat'].append(symbol)
        return 0.0
    if symbol in NEIGHBOURS:
        used['neighbour_heat'].append(symbol)
        return sum(mendeleev_element(name).heat_of_formation for name in NEIGHBOURS[symbol]) / 2
    return None


def pauling(symbol: str, used: dict[str, list[str]]) -> float | None:
    """Return the electronegativity in Pauling units."""
    source = mendeleev_element(symbol)
    if source.en_pauling is not None:
        return float(source.en_pauling)
    value = float(Element(symbol).X)
    if not math.isnan(value):
        used['pymatgen_x'].append(symbol)
        return value
    if source.en_allen is not None:
        used['allen_x'].append(symbol)
        return source.en_allen * ALLEN_TO_PAULING
    return None


def main(path: Path) -> None:
    """Write the table with its sources as comments at the top."""
    warnings.simplefilter('ignore')
    used: dict[str, list[str]] = {name: [] for name in FALLBACKS}
    symbols = [Element.from_Z(number).symbol for number in range(1, LAST_ATOMIC_NUMBER + 1)]
    table = {symbol: describe(symbol, used) for symbol in symbols}
    packages = f'mendeleev {version("mendeleev")} and pymatgen {version("pymatgen")}'
    lines = [f'# The eleven descriptors of Table 1, written by tools/make_elements.py from {packages}.', '# Columns:']
    lines += [f'#   {name} [{unit}]: {source}' for name, (unit, source) in COLUMNS.items()]
    lines += ['# Values that come from elsewhere:']
    lines += [f'#   {text}: {" ".join(used[name])}' for name, text in FALLBACKS.items()]
    lines += [f'# Left out, no heat of formation: {" ".join(symbol for symbol in symbols if table[symbol] is None)}']
    lines += [','.join(['symbol', *COLUMNS])]
    lines += [','.join([symbol, *(f'{value:g}' for value in row)]) for symbol, row in table.items() if row is not None]
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    print(f'{sum(row is not None for row in table.values())} elements written to {path}')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
