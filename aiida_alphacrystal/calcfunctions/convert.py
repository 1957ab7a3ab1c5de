"""Turn nodes into what the engine works on, and back."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from aiida import orm

from aiida_alphacrystal.data import DistancesData
from aiida_alphacrystal.engine.composition import Formula, formula_from_counts, parse_formula
from aiida_alphacrystal.engine.refinement import RefinedPlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
    from aiida_alphacrystal.engine.distances import DistancePrediction
    from aiida_alphacrystal.engine.rank import RankedCandidate
    from aiida_alphacrystal.engine.rank_model import CandidateFacts
    from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
    from aiida_alphacrystal.engine.reconstruct.known_compounds import KnownCompound
    from aiida_alphacrystal.engine.relax import Relaxation

__all__ = (
    'RelaxedPool',
    'candidates_to_nodes',
    'cells_from_node',
    'cells_to_node',
    'competing_from_node',
    'competing_to_node',
    'compound_facts',
    'distances_to_node',
    'features_to_node',
    'formula_of',
    'in_order',
    'labels',
    'rank_label',
    'ranking_to_nodes',
    'read_formula',
    'refined_ranking_to_node',
    'relaxations_to_node',
    'relaxed_pool',
    'relaxed_structures',
    'structures_from_node',
    'structures_from_nodes',
)


def read_formula(node: orm.Str | orm.Dict, max_atoms: int) -> Formula:
    """Return the compound that a node names.

    :param node: a formula, or the number of atoms of each element in the cell.
    :param max_atoms: the largest number of atoms in the primitive cell.
    :raises FormulaError: if it is no stoichiometric compound or has too many atoms.
    """
    if isinstance(node, orm.Dict):
        return formula_from_counts(node.get_dict(), max_atoms=max_atoms, fix_cell=True)
    return parse_formula(node.value, max_atoms=max_atoms)


def features_to_node(formula: Formula, max_sites: int) -> orm.ArrayData:
    """Return the feature matrix of a compound with the parsed formula in its attributes.

    :param formula: the compound.
    :param max_sites: rows of the padded matrix.
    """
    from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS, element_features, featurize

    units = formula.formula_units or 1
    arrays = {'features': featurize(formula, units, max_sites), 'element_features': element_features(formula)}
    attributes = {
        'formula': formula.label,
        'reduced_formula': formula.reduced,
        'elements': list(formula.elements),
        'counts': list(formula.counts),
        'formula_units': formula.formula_units,
        'number_of_atoms': formula.atoms_per_unit * units,
        'columns': list(ELEMENT_COLUMNS),
    }
    return _array_node(arrays, attributes)


def formula_of(features: orm.ArrayData) -> Formula:
    """Return the compound that a feature node describes.

    :param features: as :func:`features_to_node` makes it.
    """
    attributes = features.base.attributes
    return Formula(
        elements=tuple(attributes.get('elements')),
        counts=tuple(attributes.get('counts')),
        formula_units=attributes.get('formula_units'),
    )


def cells_to_node(formula: Formula, cells: Sequence[CellHypothesis]) -> orm.Dict:
    """Return a table of cell hypotheses.

    :param formula: the compound.
    :param cells: ranked hypotheses.
    """
    rows = [{**dataclasses.asdict(cell), 'lattice': list(cell.lattice)} for cell in cells]
    return orm.Dict({'formula': formula.label, 'rows': rows})


def cells_from_node(node: orm.Dict) -> tuple[CellHypothesis, ...]:
    """Return the hypotheses of a table.

    :param node: as :func:`cells_to_node` makes it.
    """
    from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis

    return tuple(CellHypothesis(**{**row, 'lattice': tuple(row['lattice'])}) for row in node['rows'])


def distances_to_node(
    formula: Formula, predictions: Mapping[int, DistancePrediction], most_probable: int
) -> DistancesData:
    """Return distances and probabilities in cells of every size, with attributes that a query can filter.

    :param formula: the compound.
    :param predictions: what the network says, by the formula units in the cell.
    :param most_probable: formula units in the most probable cell.
    """
    node = DistancesData.from_predictions(predictions, most_probable)
    attributes = {
        'formula': formula.cell_formula(most_probable),
        'reduced_formula': formula.reduced,
        'elements': list(formula.elements),
    }
    node.base.attributes.set_many(_plain(attributes))
    return node


def candidates_to_nodes(formula: Formula, candidates: Sequence[Candidate], reasons: Sequence[str]) -> dict[str, Any]:
    """Return the pool as a table, and the structures of all candidates in one node unless there is none.

    That node holds ``lattices`` (A) of shape (candidates, 3, 3) and ``positions`` (A) of shape (atoms, 3), of all
    candidates one after the other. A node for each would make three links each on its way through the relaxation,
    which can take a database longer than the relaxation itself.

    :param formula: the compound.
    :param candidates: the pool in its order.
    :param reasons: why hypotheses gave no candidate.
    """
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    names = labels('c', len(candidates), width=3)
    rows = [
        {
            'label': label,
            'source': candidate.source,
            'origin': candidate.origin,
            'spacegroup': candidate.spacegroup,
            'spacegroup_symbol': sg_symbol_from_int_number(candidate.spacegroup),
            **_content_columns(formula, len(candidate.structure)),
            'volume_per_atom': candidate.structure.volume / len(candidate.structure),
            'cost': candidate.cost,
            'probability': candidate.probability,
            'fitness': candidate.fitness,
            'cell_probability': candidate.cell_probability,
            'seed': candidate.seed,
        }
        for label, candidate in zip(names, candidates, strict=True)
    ]
    table = orm.Dict(_plain({'formula': formula.label, 'rows': rows, 'reasons': list(reasons)}))
    if not candidates:
        return {'candidates': table}
    structures = [candidate.structure for candidate in candidates]
    attributes = {'labels': names, 'symbols': [_symbols(structure) for structure in structures]}
    return {'candidates': table, 'structures': _array_node(_structure_arrays(structures), attributes)}


def _content_columns(formula: Formula, number_of_atoms: int) -> dict[str, Any]:
    """Return the columns of a table that say what a cell holds.

    :param formula: the compound.
    :param number_of_atoms: in the cell.
    """
    units = number_of_atoms // formula.atoms_per_unit
    return {'formula': formula.cell_formula(units), 'formula_units': units, 'number_of_atoms': number_of_atoms}


def structures_from_node(node: orm.ArrayData) -> dict[str, Structure]:
    """Return the candidates before their relaxation by their labels.

    :param node: ``structures`` as :func:`candidates_to_nodes` makes it.
    """
    names, symbols = (node.base.attributes.get(name) for name in ('labels', 'symbols'))
    return dict(zip(names, _read_structures(node, symbols), strict=True))


def structures_from_nodes(nodes: Mapping[str, orm.StructureData]) -> dict[str, Structure]:
    """Return pymatgen structures in the order of their labels.

    :param nodes: structure nodes by label.
    """
    return {label: nodes[label].get_pymatgen_structure() for label in sorted(nodes)}


def relaxations_to_node(
    relaxations: Mapping[str, Relaxation], references: Mapping[str, float], potential: Mapping[str, str]
) -> orm.ArrayData:
    """Return the outcome of every relaxation as one table node.

    The structures lie in arrays of all candidates one after the other: ``lattices`` (A) and ``stresses`` (eV/A^3) of
    shape (candidates, 3, 3), ``positions`` (A) and ``forces`` (eV/A) of shape (atoms, 3).

    :param relaxations: outcomes by label of the candidate.
    :param references: energy of each element in eV/atom.
    :param potential: the facts about what gave the energies.
    """
    from aiida_alphacrystal.engine.relax.corrections import NO_CORRECTIONS
    from aiida_alphacrystal.engine.stored import stored_correction

    scheme = potential.get('corrections', NO_CORRECTIONS)
    rows = [
        {
            'label': label,
            'symbols': _symbols(relaxation.structure),
            'initial_energy_per_atom': relaxation.initial_energy,
            'energy_per_atom': relaxation.energy,
            'correction_per_atom': stored_correction(relaxation, scheme),
            'max_force': relaxation.max_force,
            'steps': relaxation.steps,
            'converged': relaxation.converged,
            'reason': relaxation.reason,
        }
        for label, relaxation in relaxations.items()
    ]
    attributes = {
        'rows': rows,
        'elemental_references': dict(sorted(references.items())),
        'potential': dict(potential),
    }
    structures = [relaxation.structure for relaxation in relaxations.values()]
    arrays = {
        **_structure_arrays(structures),
        'forces': np.concatenate([relaxation.forces for relaxation in relaxations.values()]),
        'stresses': np.stack([relaxation.stress for relaxation in relaxations.values()]),
    }
    return _array_node(arrays, attributes)


def competing_to_node(
    compounds: Sequence[KnownCompound],
    relaxations: Sequence[Relaxation],
    references: Mapping[str, float],
    potential: Mapping[str, str],
) -> orm.ArrayData:
    """Return the relaxed known compounds of a chemical system, as :func:`relaxations_to_node` returns candidates.

    The attribute ``compounds`` holds formula, space group and formation energy (eV/atom, None if the relaxation
    failed) of each.

    :param compounds: before their relaxation.
    :param relaxations: outcome for each.
    :param references: energy of each element in eV/atom.
    :param potential: the facts about what gave the energies.
    """
    from aiida_alphacrystal.engine.relax import relaxed_formation_energy
    from aiida_alphacrystal.engine.symmetry import spacegroup_of

    if not compounds:
        return _array_node({}, {'rows': [], 'compounds': [], 'potential': dict(potential)})
    names = labels('k', len(compounds), width=3)
    node = relaxations_to_node(dict(zip(names, relaxations, strict=True)), references, potential)
    corrections = [row['correction_per_atom'] for row in node.base.attributes.get('rows')]
    rows = []
    for label, compound, relaxation, correction in zip(names, compounds, relaxations, corrections, strict=True):
        number: int = compound.spacegroup
        symbol: str | None = None
        energy: float | None = None
        if not relaxation.failed:
            number, symbol = spacegroup_of(relaxation.structure)
            energy = relaxed_formation_energy(relaxation, correction, references)
        rows.append(
            {
                'label': label,
                'formula': compound.formula,
                'spacegroup': number,
                'spacegroup_symbol': symbol,
                'formation_energy_per_atom': energy,
                'reason': relaxation.reason,
            }
        )
    node.base.attributes.set('compounds', _plain(rows))
    return node


def competing_from_node(node: orm.ArrayData) -> list[tuple[str, float]]:
    """Return formula and formation energy (eV/atom) of the known compounds whose relaxation did not fail.

    :param node: as :func:`competing_to_node` makes it.
    """
    rows = node.base.attributes.get('compounds')
    energies = [(row['formula'], row['formation_energy_per_atom']) for row in rows]
    return [(formula, energy) for formula, energy in energies if energy is not None]


@dataclasses.dataclass(frozen=True)
class RelaxedPool:
    """The candidates with the outcome of their relaxation, in the order of their labels.

    :param formula: the compound, as the table of the pool names it.
    :param rows: row of each candidate in the table of the pool.
    :param relaxations: the outcomes.
    :param energies: formation energy of each, corrected where the potential needs it, eV/atom.
    :param positions: Cartesian coordinates (A) of the atoms of each as they are stored, to the last bit.
    :param potential: name and version of what gave the energies.
    """

    formula: str
    rows: tuple[dict[str, Any], ...]
    relaxations: tuple[Relaxation, ...]
    energies: tuple[float, ...]
    positions: tuple[Any, ...]
    potential: dict[str, str]

    @property
    def facts(self) -> tuple[CandidateFacts, ...]:
        """Return what was known of each candidate before its relaxation."""
        from aiida_alphacrystal.engine.rank_model import CandidateFacts

        names = ('cost', 'volume_per_atom', 'cell_probability', 'fitness')
        return tuple(
            CandidateFacts(searched=row['source'] != 'template', **{name: row.get(name) for name in names})
            for row in self.rows
        )


def relaxed_pool(candidates: orm.Dict, relaxations: orm.ArrayData) -> RelaxedPool:
    """Join the nodes of stages 4 and 5.

    :param candidates: table of the pool.
    :param relaxations: table of the outcomes.
    """
    from aiida_alphacrystal.engine.relax import relaxed_formation_energy

    rows = {row['label']: row for row in candidates['rows']}
    outcomes = relaxations.base.attributes.get('rows')
    references = relaxations.base.attributes.get('elemental_references')
    relaxed = tuple(_read_relaxations(relaxations, outcomes))
    return RelaxedPool(
        formula=candidates['formula'],
        rows=tuple(rows[outcome['label']] for outcome in outcomes),
        relaxations=relaxed,
        energies=tuple(
            relaxed_formation_energy(one, outcome.get('correction_per_atom', 0.0), references)
            for one, outcome in zip(relaxed, outcomes, strict=True)
        ),
        positions=tuple(_split_atoms(relaxations, 'positions', [row['symbols'] for row in outcomes])),
        potential=relaxations.base.attributes.get('potential'),
    )


def relaxed_structures(relaxations: orm.ArrayData) -> dict[str, Structure]:
    """Return all candidates after their relaxation by their labels.

    :param relaxations: table of the outcomes.
    """
    rows = relaxations.base.attributes.get('rows')
    structures = _read_structures(relaxations, [row['symbols'] for row in rows])
    return {row['label']: structure for row, structure in zip(rows, structures, strict=True)}


def _read_relaxations(node: orm.ArrayData, rows: Sequence[Mapping[str, Any]]) -> Iterator[Relaxation]:
    """Yield the outcome behind each row of a table of relaxations."""
    from aiida_alphacrystal.engine.relax import Relaxation

    symbols = [row['symbols'] for row in rows]
    structures = _read_structures(node, symbols)
    forces = _split_atoms(node, 'forces', symbols)
    for row, structure, force, stress in zip(rows, structures, forces, node.get_array('stresses'), strict=True):
        yield Relaxation(
            structure=structure,
            energy=_number(row['energy_per_atom']),
            forces=force,
            max_force=_number(row['max_force']),
            stress=stress,
            steps=row['steps'],
            converged=row['converged'],
            reason=row['reason'],
            initial_energy=row.get('initial_energy_per_atom'),
        )


def ranking_to_nodes(pool: RelaxedPool, ranked: Sequence[RankedCandidate]) -> dict[str, Any]:
    """Return the ranking as a table, and the structures by the labels of their ranks.

    Candidates that have become more symmetric than their cell are shown in the primitive one, unless the formula says
    how large the cell is. The table has no identifiers or times, so that the same run gives the same content. Beside
    the rows stand the compound, the best row and all space groups, by which a query finds a prediction.

    :param pool: what was ranked.
    :param ranked: the distinct structures, the best first.
    """
    formula = parse_formula(pool.formula, max_atoms=sys.maxsize)
    cells = [_shown_cell(pool, formula, place.index) for place in ranked]
    rows = [
        {
            'rank': place.rank,
            **{key: pool.rows[place.index][key] for key in _RANKING_COLUMNS},
            **_content_columns(formula, len(positions)),
            'spacegroup': place.spacegroup,
            'spacegroup_symbol': place.spacegroup_symbol,
            'energy_per_atom': place.energy_per_atom,
            'formation_energy_per_atom': place.formation_energy_per_atom,
            'volume_per_atom': place.volume_per_atom,
            'score': place.score,
            'confidence': place.confidence,
            'converged': pool.relaxations[place.index].converged,
            'duplicates': [pool.rows[index]['label'] for index in place.duplicates],
        }
        for place, (_, positions) in zip(ranked, cells, strict=True)
    ]
    facts = compound_facts(formula)
    best = {key: rows[0][key] for key in _BEST_COLUMNS} if rows else None
    spacegroups = sorted({row['spacegroup'] for row in rows})
    content = {**facts, 'best': best, 'spacegroups': spacegroups, 'potential': pool.potential, 'rows': rows}
    structures = {rank_label(place.rank): _structure_node(*cell) for place, cell in zip(ranked, cells, strict=True)}
    return {'ranking': orm.Dict(_plain(content)), 'structures': structures}


def _shown_cell(pool: RelaxedPool, formula: Formula, index: int) -> tuple[Structure, Any]:
    """Return a relaxed candidate in the cell that a ranking shows, and its positions (A), to the last bit.

    :param pool: of the candidate.
    :param formula: the compound.
    :param index: which candidate.
    """
    from aiida_alphacrystal.engine.symmetry import primitive_cell

    structure = pool.relaxations[index].structure
    shown = structure if formula.formula_units else primitive_cell(structure)
    return shown, pool.positions[index] if shown is structure else shown.cart_coords


def compound_facts(formula: Formula) -> dict[str, Any]:
    """Return by what a compound is looked for.

    :param formula: the compound.
    """
    return {
        'formula': formula.label,
        'reduced_formula': formula.reduced,
        'chemical_system': formula.chemical_system,
        'elements': list(formula.elements),
        'number_of_elements': len(formula.elements),
    }


#: What a query sees of the best row of a ranking.
_BEST_COLUMNS = (
    'formula',
    'number_of_atoms',
    'spacegroup',
    'spacegroup_symbol',
    'formation_energy_per_atom',
    'energy_per_atom',
    'volume_per_atom',
    'score',
    'confidence',
    'probability',
    'source',
    'converged',
)

#: What a row of the ranking takes over from the table of candidates.
_RANKING_COLUMNS = ('label', 'source', 'origin', 'cost', 'probability')


def refined_ranking_to_node(
    places: Sequence[RefinedPlace],
    failed: Mapping[str, Mapping[str, Any]],
    predicted: Sequence[str],
    ranking: orm.Dict | None,
) -> orm.Dict:
    """Return the ranking after a refinement as a table, with what the prediction had said.

    :param places: the structures that were refined, the best first.
    :param failed: exit status and reason of every calculation that failed, by label.
    :param predicted: labels of all structures in the order of the prediction.
    :param ranking: ``ranking`` as :func:`ranking_to_nodes` makes it, None where there was no prediction.
    """
    from aiida_alphacrystal.engine.refinement import order_agreement

    said = {} if ranking is None else {rank_label(row['rank']): row for row in ranking['rows']}
    energies = {label: said[label]['formation_energy_per_atom'] for label in predicted if label in said}
    lowest = min(energies.values(), default=None)
    empty = dict.fromkeys(field.name for field in dataclasses.fields(RefinedPlace))

    def row(label: str, values: Mapping[str, Any], exit_status: int | None, reason: str | None) -> dict[str, Any]:
        before = {'predicted_rank': predicted.index(label) + 1, 'predicted_relative_energy': None}
        if label in energies:
            before |= {
                'predicted_rank': said[label]['rank'],
                'predicted_relative_energy': energies[label] - lowest,
            }
        return {**empty, **values, **before, 'label': label, 'exit_status': exit_status, 'reason': reason}

    rows = [row(place.label, dataclasses.asdict(place), 0, None) for place in places]
    lost = [label for label in predicted if label in failed]
    rows += [row(label, {}, failed[label]['exit_status'], failed[label]['reason']) for label in lost]
    order = [place.label for place in places]
    best = next((label for label in predicted if label in order), None)
    agreement = {'kendall_tau': order_agreement(predicted, order), 'same_best': best == order[0] if order else None}
    return orm.Dict(_plain({'rows': rows, 'agreement': agreement}))


def in_order(names: Iterable[str]) -> list[str]:
    """Return labels in the order of the numbers in them, so that ``rank_100`` comes after ``rank_99``.

    :param names: labels, in any order.
    """

    def numbers_and_text(name: str) -> list[str | int]:
        parts = re.split(r'([0-9]+)', name)  # text and numbers take turns
        return [int(part) if place % 2 else part for place, part in enumerate(parts)]

    return sorted(names, key=numbers_and_text)


def rank_label(rank: int) -> str:
    """Return the label of a ranked structure, such as ``rank_01``.

    :param rank: its place, from 1.
    """
    return f'rank_{rank:02d}'


def labels(prefix: str, count: int, width: int) -> list[str]:
    """Return labels that sort as they are numbered, such as ``c_001``.

    :param prefix: what stands before the number.
    :param count: how many labels.
    :param width: least number of digits.
    """
    digits = max(width, len(str(count)))
    return [f'{prefix}_{number:0{digits}d}' for number in range(1, count + 1)]


def _array_node(arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> orm.ArrayData:
    node = orm.ArrayData({name: np.asarray(array) for name, array in arrays.items()})
    node.base.attributes.set_many(_plain(attributes))
    return node


def _symbols(structure: Structure) -> list[str]:
    return [site.specie.symbol for site in structure]


def _structure_arrays(structures: Sequence[Structure]) -> dict[str, Any]:
    """Return lattices, (structures, 3, 3), and positions, (atoms, 3), of all structures one after the other, in A."""
    return {
        'lattices': np.stack([structure.lattice.matrix for structure in structures]),
        'positions': np.concatenate([structure.cart_coords for structure in structures]),
    }


def _structure_node(structure: Structure, positions: Any) -> orm.StructureData:
    """Return a node that holds given positions; those of a pymatgen structure have gone through its lattice.

    :param structure: lattice and elements.
    :param positions: A, (atoms, 3).
    """
    node = orm.StructureData(cell=structure.lattice.matrix.tolist())
    for symbol, position in zip(_symbols(structure), positions.tolist(), strict=True):
        node.append_atom(symbols=symbol, position=position)
    return node


def _read_structures(node: orm.ArrayData, symbols: Sequence[Sequence[str]]) -> Iterator[Structure]:
    """Yield the structures of a node as a structure node of each would give them back."""
    from aiida_alphacrystal.engine.stored import structure_as_stored

    return map(structure_as_stored, node.get_array('lattices'), symbols, _split_atoms(node, 'positions', symbols))


def _split_atoms(node: orm.ArrayData, name: str, symbols: Sequence[Sequence[str]]) -> list[Any]:
    """Return the part of each structure of an array that holds the atoms of all, one structure after the other."""
    return np.split(node.get_array(name), np.cumsum([len(names) for names in symbols])[:-1])


def _plain(value: Any) -> Any:
    """Return a value that the database takes: no numpy types, and None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
