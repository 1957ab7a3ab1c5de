"""Ask the database what has been predicted, by filters that the database itself evaluates.

A prediction is found by its ranking, which holds the compound, its elements, its chemical system and its best structure
as attributes; they are part of the node, so that an archive carries them along.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiida import orm
from aiida.common import LinkType

__all__ = (
    'FIELDS',
    'PREDICTION',
    'Criteria',
    'FoundPrediction',
    'competing_predictions',
    'find_equal_predictions',
    'find_predictions',
)

#: Process type of a prediction.
PREDICTION = 'aiida.workflows:alphacrystal.predict'

#: What the inputs alone decide about: a prediction that ended so would end so again.
_FINAL_STATUSES = (0, 201, 202, 203, 204, 205, 206, 410, 420)


@dataclasses.dataclass(frozen=True)
class Criteria:
    """What predictions are looked for; what is left out does not matter.

    :param elements: symbols that all occur in the compound.
    :param chemical_system: elements of the compound and no others, in any order with hyphens between them.
    :param formula: the compound, in any way of writing it; a multiple of it counts as well.
    :param spacegroup: international number of the space group of the best structure.
    :param any_rank: whether the space group may be that of any ranked structure.
    :param min_energy: lowest formation energy of the best structure, in eV/atom.
    :param max_energy: highest formation energy of the best structure, in eV/atom.
    :param max_energy_above_hull: highest energy of the best structure above the convex hull of all that has been
        predicted with the same potential, in eV/atom.
    :param since: not made before.
    :param until: not made after.
    :param group: label of a group that holds the prediction.
    :param potential: name of the potential.
    """

    elements: Sequence[str] = ()
    chemical_system: str | None = None
    formula: str | None = None
    spacegroup: int | None = None
    any_rank: bool = False
    min_energy: float | None = None
    max_energy: float | None = None
    max_energy_above_hull: float | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    group: str | None = None
    potential: str | None = None


@dataclasses.dataclass(frozen=True)
class FoundPrediction:
    """One prediction that has been found.

    :param pk: primary key of the work chain.
    :param uuid: its universally unique identifier.
    :param made: when it was made, in UTC.
    :param formula: the compound.
    :param chemical_system: its elements in alphabetical order.
    :param number_of_atoms: atoms in the primitive cell of the best structure.
    :param spacegroup: international number of its space group.
    :param spacegroup_symbol: its Hermann-Mauguin symbol.
    :param formation_energy_per_atom: in eV/atom.
    :param volume_per_atom: in cubic angstrom.
    :param source: ``template``, ``descent``, ``genetic`` or ``free``.
    :param potential: name of what relaxed and ranked.
    :param energy_above_hull: in eV/atom; None unless it was asked for.
    """

    pk: int
    uuid: str
    made: datetime.datetime
    formula: str
    chemical_system: str
    number_of_atoms: int
    spacegroup: int
    spacegroup_symbol: str
    formation_energy_per_atom: float
    volume_per_atom: float
    source: str
    potential: str
    energy_above_hull: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {**dataclasses.asdict(self), 'made': self.made.isoformat(timespec='seconds')}


#: What is told of a prediction, in order.
FIELDS = tuple(field.name for field in dataclasses.fields(FoundPrediction))


def find_predictions(criteria: Criteria | None = None, limit: int | None = None) -> list[FoundPrediction]:
    """Return the finished predictions that meet all criteria, the newest first.

    :param criteria: what is looked for; every prediction where it is None.
    :param limit: how many at most.
    :raises FormulaError: if the formula or the chemical system cannot be read.
    """
    wanted = criteria or Criteria()
    if wanted.max_energy_above_hull is None:
        return [FoundPrediction(*row) for row in _predictions(wanted, _PROJECTED, limit=limit)]
    rows = _predictions(wanted, (*_PROJECTED, _POTENTIAL))
    found = [FoundPrediction(*row) for *row, _ in rows]
    compounds = [(one.formula, one.formation_energy_per_atom, row[-1]) for one, row in zip(found, rows, strict=True)]
    heights = _energies_above_hull(compounds, {one.chemical_system for one in found})
    return [
        dataclasses.replace(one, energy_above_hull=height)
        for one, height in zip(found, heights, strict=True)
        if height <= wanted.max_energy_above_hull
    ][:limit]


def competing_predictions(chemical_system: str, potential_sha256: str, excluded: int) -> list[tuple[str, float]]:
    """Return formula and formation energy (eV/atom) of the best structure of other predictions of a chemical system.

    :param chemical_system: elements with hyphens between them; compounds of fewer of them count as well.
    :param potential_sha256: hash of the potential that all were relaxed with.
    :param excluded: primary key of a prediction that is left out.
    """
    rows = _predictions(Criteria(), (*_COMPETING, _POTENTIAL), _sub_systems([chemical_system]))
    return [
        (formula, energy)
        for pk, _, _, formula, energy, potential in rows
        if pk != excluded and potential == potential_sha256
    ]


def _predictions(
    wanted: Criteria, paths: Sequence[str], systems: Iterable[str] | None = None, limit: int | None = None
) -> list[list[Any]]:
    """Return ``id``, ``uuid``, ``ctime`` and more of the predictions that meet criteria, the newest first.

    :param wanted: what is looked for; the energy above the hull is left out.
    :param paths: attributes of the ranking that are returned as well.
    :param systems: chemical systems of which the compound has one, None for any.
    :param limit: how many at most.
    """
    if wanted.group is None:
        return _query(wanted, paths, systems, {}).limit(limit).all(batch_size=1000)
    members = _members(wanted.group)
    rows: list[list[Any]] = []
    while members and (limit is None or len(rows) < limit):
        rows += _query(wanted, paths, systems, {'id': {'in': members[:_AT_ONCE]}}).all(batch_size=1000)
        members = members[_AT_ONCE:]
    return rows[:limit]


def _members(group: str) -> list[int]:
    """Return the predictions of a group, the newest first; in one query with all else PostgreSQL may take seconds."""
    query = orm.QueryBuilder().append(orm.Group, filters={'label': group}, tag='group')
    query.append(orm.WorkChainNode, with_group='group', filters={'process_type': PREDICTION}, project='id')
    return sorted(query.all(flat=True), reverse=True)


def _query(
    wanted: Criteria, paths: Sequence[str], systems: Iterable[str] | None, filters: Mapping[str, Any]
) -> orm.QueryBuilder:
    """Return the query behind :func:`_predictions`, for any group.

    :param filters: more that the predictions have to meet.
    """
    query = orm.QueryBuilder()
    processes: dict[str, Any] = {'process_type': PREDICTION, **filters}
    if times := [{key: value} for key, value in (('>=', wanted.since), ('<=', wanted.until)) if value is not None]:
        processes['and'] = [{'ctime': time} for time in times]
    query.append(orm.WorkChainNode, filters=processes, project=['id', 'uuid', 'ctime'], tag='prediction')
    query.append(
        orm.Dict,
        with_incoming='prediction',
        edge_filters={'type': LinkType.RETURN.value, 'label': 'ranking'},
        filters=_ranking_filters(wanted) | ({} if systems is None else {_SYSTEM: {'in': sorted(systems)}}),
        project=[f'attributes.{path}' for path in paths],
        tag='ranking',
    )
    return query.order_by({'prediction': [{'id': {'order': 'desc'}}]})


def _energies_above_hull(compounds: Sequence[tuple[str, float, str]], systems: Iterable[str]) -> list[float]:
    """Return how far compounds are above the hull of all predictions with the same potential, in eV/atom.

    :param compounds: formula, formation energy (eV/atom) and hash of the potential of each.
    :param systems: their chemical systems.
    """
    from aiida_alphacrystal.engine.hull import energies_above_hull

    competing: dict[str, list[tuple[str, float]]] = {potential: [] for _, _, potential in compounds}
    within = _sub_systems(systems)
    few = within if 0 < len(within) <= _MANY_SYSTEMS else None
    for *_, formula, energy, potential in _predictions(Criteria(), (*_COMPETING, _POTENTIAL), few):
        if potential in competing:
            competing[potential].append((formula, energy))
    heights: dict[tuple[str, float, str], float] = {}
    for potential, others in competing.items():
        own = [compound for compound in compounds if compound[2] == potential]
        values = energies_above_hull([compound[:2] for compound in own], others)
        heights |= dict(zip(own, values, strict=True))
    return [heights[compound] for compound in compounds]


def _sub_systems(systems: Iterable[str]) -> set[str]:
    """Return the chemical systems whose compounds compete with those of some."""
    found: set[str] = set()
    for system in systems:
        elements = system.split('-')
        for size in range(1, len(elements) + 1):
            found.update('-'.join(subset) for subset in itertools.combinations(elements, size))
    return found


#: Attributes of a ranking behind the fields of a found prediction, in their order.
_PROJECTED = (
    'formula',
    'chemical_system',
    'best.number_of_atoms',
    'best.spacegroup',
    'best.spacegroup_symbol',
    'best.formation_energy_per_atom',
    'best.volume_per_atom',
    'best.source',
    'potential.name',
)


#: Attributes of a ranking that place it on a convex hull, and the one that tells which hull that is.
_COMPETING = ('formula', 'best.formation_energy_per_atom')
_POTENTIAL = 'potential.sha256'
_SYSTEM = 'attributes.chemical_system'

#: Members of a group that are looked up at once.
_AT_ONCE = 5000

#: Chemical systems beyond which it is quicker to look at all compounds.
_MANY_SYSTEMS = 1000


def _ranking_filters(wanted: Criteria) -> dict[str, Any]:
    """Return the criteria that the attributes of a ranking meet, as filters."""
    from aiida_alphacrystal.engine.composition import formula_from_counts, parse_formula

    filters: dict[str, Any] = {}
    if wanted.elements:
        for symbol in wanted.elements:
            formula_from_counts({symbol: 1})  # refuses what is no element
        filters['attributes.elements'] = {'contains': list(wanted.elements)}
    if wanted.chemical_system is not None:
        symbols = [symbol.strip() for symbol in wanted.chemical_system.split('-')]
        filters[_SYSTEM] = formula_from_counts(dict.fromkeys(symbols, 1)).chemical_system
    if wanted.formula is not None:
        filters['attributes.reduced_formula'] = parse_formula(wanted.formula).reduced
    if wanted.spacegroup is not None and wanted.any_rank:
        filters['attributes.spacegroups'] = {'contains': [wanted.spacegroup]}
    elif wanted.spacegroup is not None:
        filters['attributes.best.spacegroup'] = wanted.spacegroup
    bounds = [
        {key: value} for key, value in (('>=', wanted.min_energy), ('<=', wanted.max_energy)) if value is not None
    ]
    if bounds:
        filters['and'] = [{'attributes.best.formation_energy_per_atom': bound} for bound in bounds]
    if wanted.potential is not None:
        filters['attributes.potential.name'] = wanted.potential
    # predictions from before the ranking held these facts have no best structure
    return filters or {'attributes': {'has_key': 'best'}}


def find_equal_predictions(formulas: Sequence[str], shared: Mapping[str, Any]) -> dict[str, int]:
    """Return the latest prediction that has finished with equal inputs for each formula that has one.

    One that ended with an error counts where the inputs alone decide about that error.

    :param formulas: formulas as they are given to a prediction.
    :param shared: the other inputs: ``parameters``, ``models``, ``potential`` and ``seed``.
    :return: formula to primary key.
    """
    candidates = _find_finished(formulas)
    if not candidates:
        return {}
    wanted = _equal_inputs(shared)
    given: dict[int, dict[str, int]] = {pk: {} for pk in candidates}
    query = orm.QueryBuilder()
    query.append(orm.WorkChainNode, filters={'id': {'in': list(candidates)}}, project='id', tag='prediction')
    query.append(
        orm.Data,
        with_outgoing='prediction',
        edge_filters={'label': {'in': list(wanted)}},
        edge_project='label',
        project='id',
    )
    for prediction, node, label in query.iterall(batch_size=1000):
        given[prediction][label] = node
    equal = _equal_nodes(wanted, given.values())
    return {
        candidates[pk]: pk
        for pk, inputs in given.items()
        if inputs.keys() == wanted.keys() and all((label, node) in equal for label, node in inputs.items())
    }


def _find_finished(formulas: Sequence[str]) -> dict[int, str]:
    """Return the predictions of some formulas that would end so again, the oldest first, with their formulas."""
    finished = {'attributes.process_state': 'finished', 'attributes.exit_status': {'in': list(_FINAL_STATUSES)}}
    query = orm.QueryBuilder()
    query.append(
        orm.Str, filters={'attributes.value': {'in': list(formulas)}}, project='attributes.value', tag='formula'
    )
    query.append(
        orm.WorkChainNode,
        with_incoming='formula',
        edge_filters={'label': 'formula'},
        filters={'process_type': PREDICTION, **finished},
        project='id',
        tag='prediction',
    )
    query.order_by({'prediction': {'id': 'asc'}})
    return {pk: formula for formula, pk in query.all()}


def _equal_inputs(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the inputs of an equal prediction hold, by the labels of their links.

    :param shared: as for :func:`find_equal_predictions`.
    """
    return {
        'parameters': shared['parameters'].get_dict(),
        'seed': shared['seed'].value,
        'potential': shared['potential'].sha256,
        **{f'models__{purpose}': node.sha256 for purpose, node in shared['models'].items()},
    }


def _equal_nodes(wanted: Mapping[str, Any], given: Iterable[Mapping[str, int]]) -> set[tuple[str, int]]:
    """Return the pairs of a label and a node that hold what is wanted; predictions share most of their inputs.

    :param wanted: content by label.
    :param given: primary keys of the inputs of each prediction, by label.
    """
    pairs = {pair for inputs in given for pair in inputs.items()}
    query = orm.QueryBuilder().append(
        orm.Data, filters={'id': {'in': [pk for _, pk in pairs]}}, project=['id', 'attributes']
    )
    contents = dict(query.all())
    return {(label, pk) for label, pk in pairs if wanted[label] == _compared(label, contents[pk])}


def _compared(label: str, attributes: Mapping[str, Any]) -> Any:
    """Return by what an input is compared: :func:`_equal_inputs` says the same of nodes that are at hand."""
    if label == 'parameters':
        return attributes
    return attributes.get('value' if label == 'seed' else 'sha256')
