"""The prototype library: which arrangements of sites the known crystals have, and which compounds have them.

A prototype is a crystal whose elements have been replaced by slots and whose cell holds one cubic angstrom per atom.
Crystals with the same space group and cell content whose partial radial distributions agree share one prototype; of
each crystal only its prototype, the elements on the slots and the volume per atom are kept.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS, element_table
from aiida_alphacrystal.engine.progress import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiida_alphacrystal.engine.datasets import Crystal

__all__ = ('PrototypeLibrary', 'build_library', 'load_library')

FORMAT = 'aiida-alphacrystal templates'
VERSION = 1
MAX_SLOTS = 8
MAX_Z = 100

#: Two crystals share a prototype when their radial distributions differ by less than this (cosine distance).
_SAME_PROTOTYPE = 0.02
_CUTOFF = 2.4
_GRID = np.linspace(0.4, _CUTOFF, 41)
_WIDTH = 0.06


@dataclasses.dataclass(frozen=True)
class PrototypeLibrary:
    """Prototypes, the compounds that have them, and what the elements have in common.

    :param spacegroups: international number of each prototype, shape (prototypes,).
    :param lattices: primitive lattice vectors as rows, scaled to one cubic angstrom per atom, shape (prototypes, 3, 3).
    :param offsets: where the sites of each prototype begin, shape (prototypes + 1,).
    :param slots: slot of each site, shape (sites,).
    :param frac_coords: fractional coordinates of each site, shape (sites, 3).
    :param member_prototypes: prototype of each known compound, shape (members,).
    :param member_elements: atomic number on each slot, zero padded, shape (members, MAX_SLOTS).
    :param member_volumes: volume per atom of each known compound, shape (members,), cubic angstrom.
    :param atomic_volumes: fitted volume of each element by atomic number, shape (MAX_Z,), cubic angstrom.
    :param substitution_costs: cost of putting the element of the column where the element of the row was, by
        atomic number, shape (MAX_Z, MAX_Z).
    """

    spacegroups: npt.NDArray[np.int64]
    lattices: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]
    frac_coords: npt.NDArray[np.float64]
    member_prototypes: npt.NDArray[np.int64]
    member_elements: npt.NDArray[np.int64]
    member_volumes: npt.NDArray[np.float64]
    atomic_volumes: npt.NDArray[np.float64]
    substitution_costs: npt.NDArray[np.float64]

    def slot_counts(self, prototype: int) -> npt.NDArray[np.int64]:
        """Return how many sites of a prototype each slot has."""
        return np.bincount(self.slots[self.offsets[prototype] : self.offsets[prototype + 1]])


@dataclasses.dataclass(frozen=True)
class _Leader:
    """The first crystal of a prototype, with its slots in order of decreasing count."""

    crystal: Crystal
    symbols: tuple[str, ...]


def build_library(data: Path, output_dir: Path) -> dict[str, Any]:
    """Build the prototype library from a dataset file and write it with its card.

    :param data: crystals, one JSON object a line.
    :param output_dir: where ``templates.safetensors`` and ``templates.json`` are written.
    :return: the card.
    """
    from aiida_alphacrystal.engine.datasets import file_sha256, read_crystals, with_spacegroup

    crystals = sorted(
        with_spacegroup(read_crystals(data)), key=lambda crystal: (crystal.natoms, crystal.e_above_hull or 0.0)
    )
    crystals = [crystal for crystal in crystals if len(set(crystal.species)) <= MAX_SLOTS]
    library = _collect(crystals)
    card = {
        'what': 'prototype library for the template source',
        'command': 'aiida-alphacrystal train templates --data train.jsonl.gz --output DIR',
        'data': {
            'file': data.name,
            'sha256': file_sha256(data),
            'crystals': len(crystals),
            'source': 'Materials Project (A. Jain et al., APL Materials 1, 011002, 2013), CC BY 4.0',
        },
        'prototypes': len(library.spacegroups),
        'members': len(library.member_prototypes),
    }
    content = checkpoint.pack(FORMAT, VERSION, _to_arrays(library), {})
    checkpoint.write_atomically(output_dir / 'templates.safetensors', content)
    (output_dir / 'templates.json').write_text(json.dumps(card, indent=2) + '\n')
    return card


def load_library(source: bytes | Path | None = None) -> PrototypeLibrary:
    """Load a prototype library.

    :param source: a safetensors file or its content; None for the one that the package carries.
    :raises ModelError: if it is missing, damaged or no prototype library.
    """
    content, where = checkpoint.read(source, 'templates.safetensors')
    arrays, _ = checkpoint.unpack(content, FORMAT, VERSION, where)
    fields = dataclasses.fields(PrototypeLibrary)
    missing = [field.name for field in fields if field.name not in arrays]
    if missing:
        raise ModelError(f'{where} lacks {missing[0]}: build it anew with aiida-alphacrystal train templates.')
    floats = {'lattices', 'frac_coords', 'member_volumes', 'atomic_volumes', 'substitution_costs'}
    kinds: dict[str, Any] = {
        field.name: arrays[field.name].astype(np.float64 if field.name in floats else np.int64) for field in fields
    }
    return PrototypeLibrary(**kinds)


def _to_arrays(library: PrototypeLibrary) -> dict[str, npt.NDArray[Any]]:
    """Return the library in the smallest types that hold it."""
    kinds = {
        'spacegroups': np.uint8,
        'slots': np.uint8,
        'member_elements': np.uint8,
        'member_prototypes': np.int32,
        'offsets': np.int32,
        'substitution_costs': np.float16,
    }
    return {
        field.name: getattr(library, field.name).astype(kinds.get(field.name, np.float32))
        for field in dataclasses.fields(library)
    }


def _collect(crystals: Sequence[Crystal]) -> PrototypeLibrary:
    """Sort crystals into prototypes and learn from which compounds share one."""
    groups: dict[tuple[Any, ...], list[tuple[npt.NDArray[np.float64], int]]] = collections.defaultdict(list)
    leaders: list[_Leader] = []
    members: list[tuple[int, tuple[str, ...], float]] = []
    for index, crystal in enumerate(crystals):
        counts = collections.Counter(crystal.species)
        symbols = tuple(sorted(counts, key=lambda symbol: (-counts[symbol], symbol)))
        key = (crystal.spacegroup, tuple(counts[symbol] for symbol in symbols))
        prototype, order = _find(crystal, symbols, counts, groups[key])
        if prototype is None:
            prototype = len(leaders)
            leaders.append(_Leader(crystal, symbols))
            groups[key].append((_fingerprint(crystal, symbols), prototype))
        members.append((prototype, order, crystal.volume / crystal.natoms))
        report('templates', index + 1, len(crystals))
    return _assemble(leaders, members)


def _find(
    crystal: Crystal,
    symbols: tuple[str, ...],
    counts: collections.Counter[str],
    known: Sequence[tuple[npt.NDArray[np.float64], int]],
) -> tuple[int | None, tuple[str, ...]]:
    """Return the prototype that a crystal has, if it is known, and the elements in the order of its slots."""
    if not known:
        return None, symbols
    prints = np.array([fingerprint for fingerprint, _ in known])
    best = (np.inf, -1, symbols)
    partial = _partials(crystal, symbols)
    for order in _orders(symbols, counts):
        similarity = prints @ _flatten(partial, order, symbols)
        index = int(similarity.argmax())
        best = min(best, (1.0 - float(similarity[index]), index, order))
    if best[0] > _SAME_PROTOTYPE:
        return None, symbols
    return known[best[1]][1], best[2]


def _orders(symbols: tuple[str, ...], counts: collections.Counter[str]) -> Iterable[tuple[str, ...]]:
    """Return every order of the elements that keeps the counts decreasing."""
    blocks = [tuple(block) for _, block in itertools.groupby(symbols, key=lambda symbol: counts[symbol])]
    for choice in itertools.product(*(itertools.permutations(block) for block in blocks)):
        yield tuple(itertools.chain.from_iterable(choice))


def _fingerprint(crystal: Crystal, symbols: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return _flatten(_partials(crystal, symbols), symbols, symbols)


def _partials(crystal: Crystal, symbols: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return the partial radial distributions of a crystal scaled to one cubic angstrom per atom.

    :return: shape (elements, elements, grid), each weighted by the inverse square of the distance.
    """
    structure = crystal.to_structure()
    scale = (structure.volume / len(structure)) ** (-1 / 3)
    first, second, _, distances = structure.get_neighbor_list(_CUTOFF / scale)
    labels = np.array([symbols.index(symbol) for symbol in crystal.species])
    scaled = distances * scale
    weights = np.exp(-0.5 * ((scaled[:, None] - _GRID) / _WIDTH) ** 2) / scaled[:, None] ** 2
    partial = np.zeros((len(symbols), len(symbols), len(_GRID)))
    np.add.at(partial, (labels[first], labels[second]), weights)
    return partial


def _flatten(
    partial: npt.NDArray[np.float64], order: tuple[str, ...], symbols: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Return the partial distributions with the elements in another order, as one unit vector."""
    indices = [symbols.index(symbol) for symbol in order]
    vector = partial[np.ix_(indices, indices)].ravel()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _assemble(leaders: Sequence[_Leader], members: Sequence[tuple[int, tuple[str, ...], float]]) -> PrototypeLibrary:
    """Put prototypes and members into arrays."""
    numbers = _atomic_numbers()
    elements = np.zeros((len(members), MAX_SLOTS), dtype=np.int64)
    for row, (_, order, _) in enumerate(members):
        elements[row, : len(order)] = [numbers[symbol] for symbol in order]
    prototypes = np.array([prototype for prototype, _, _ in members])
    volumes = np.array([volume for _, _, volume in members])
    slots = [[leader.symbols.index(symbol) for symbol in leader.crystal.species] for leader in leaders]
    counts = np.array([np.bincount(row, minlength=MAX_SLOTS) for row in slots])
    return PrototypeLibrary(
        spacegroups=np.array([leader.crystal.spacegroup for leader in leaders]),
        lattices=np.array([_unit_lattice(leader.crystal) for leader in leaders]),
        offsets=np.cumsum([0] + [len(row) for row in slots]),
        slots=np.concatenate(slots),
        frac_coords=np.concatenate([np.asarray(leader.crystal.frac_coords) for leader in leaders]),
        member_prototypes=prototypes,
        member_elements=elements,
        member_volumes=volumes,
        atomic_volumes=_fit_volumes(elements, counts[prototypes], volumes),
        substitution_costs=_learn_costs(prototypes, elements),
    )


def _unit_lattice(crystal: Crystal) -> npt.NDArray[np.float64]:
    """Return the lattice of a crystal scaled to one cubic angstrom per atom."""
    return np.asarray(crystal.lattice * (crystal.volume / crystal.natoms) ** (-1 / 3))


def _atomic_numbers() -> dict[str, int]:
    from pymatgen.core.periodic_table import Element

    return {element.symbol: element.Z for element in Element if element.Z < MAX_Z}


def _fit_volumes(
    elements: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], volumes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Fit a positive volume to every element so that they add up to the volumes of the compounds."""
    from scipy.optimize import nnls

    totals = counts.sum(axis=1)
    design = np.zeros((len(elements), MAX_Z))
    for slot in range(MAX_SLOTS):
        design[np.arange(len(elements)), elements[:, slot]] += counts[:, slot] / totals
    design[:, 0] = 0.0
    # A weak pull towards the mean keeps elements that few compounds hold reasonable; relative errors are what counts.
    ridge = 0.3
    matrix = np.vstack([design / volumes[:, None], ridge * np.eye(MAX_Z) / volumes.mean()])
    target = np.concatenate([np.ones(len(volumes)), np.full(MAX_Z, ridge)])
    fitted, _ = nnls(matrix, target)
    return np.asarray(np.maximum(fitted, 1.0))


def _learn_costs(prototypes: npt.NDArray[np.int64], elements: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Learn what it costs to put one element where another was.

    The cost is the distance of the elements in Table 1 lowered by how much more often than by chance they occupy the
    same slot of the same prototype (the substitution statistics of G. Hautier et al., Inorg. Chem. 50, 656, 2011,
    https://doi.org/10.1021/ic102031h, reduced to pairs).
    """
    together = np.zeros((MAX_Z, MAX_Z))
    for prototype in np.unique(prototypes):
        rows = elements[prototypes == prototype]
        for slot in range(MAX_SLOTS):
            occupants = np.bincount(rows[:, slot], minlength=MAX_Z).astype(np.float64)
            occupants[0] = 0.0
            total = occupants.sum()
            if total > 1:
                pairs = np.outer(occupants, occupants)
                np.fill_diagonal(pairs, occupants * (occupants - 1))
                together += pairs / total
    alone = together.sum(axis=0)
    expected = np.outer(alone, alone) / max(together.sum(), 1e-12)
    prior = 4.0
    log_odds = np.log((together + prior) / (expected + prior))
    costs = _property_distance() - STATISTICS_WEIGHT * log_odds
    np.fill_diagonal(costs, 0.0)
    return np.asarray(np.maximum(costs, 0.0) * (1 - np.eye(MAX_Z)))


#: How strongly the substitution statistics lower the cost; chosen on ``val``.
STATISTICS_WEIGHT = 0.1

#: Columns of Table 1 that the distance of two elements is taken from, with their weights; chosen on ``val``.
PROPERTY_WEIGHTS = {
    'mendeleev_number': 1.0,
    'ionization_energy': 1.0,
    'covalent_radius': 1.0,
    'average_ionic_radius': 2.0,
    'electronegativity': 1.0,
    'group': 1.5,
    'row': 1.0,
}


def _property_distance() -> npt.NDArray[np.float64]:
    """Return the root mean square distance of every two elements in scaled properties, shape (MAX_Z, MAX_Z)."""
    numbers = _atomic_numbers()
    table = {numbers[symbol]: row for symbol, row in element_table().items() if symbol in numbers}
    known = np.array(sorted(table))
    values = np.array([table[number] for number in known])
    columns = [ELEMENT_COLUMNS.index(name) for name in PROPERTY_WEIGHTS]
    scaled = (values[:, columns] - values[:, columns].mean(axis=0)) / values[:, columns].std(axis=0)
    scaled *= np.sqrt(list(PROPERTY_WEIGHTS.values()))
    distance = np.full((MAX_Z, MAX_Z), 10.0)
    distance[np.ix_(known, known)] = np.sqrt(((scaled[:, None] - scaled[None, :]) ** 2).mean(axis=-1))
    return distance
