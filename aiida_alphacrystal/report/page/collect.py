"""Read what the report page shows from the nodes of a prediction or a screening."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from aiida_alphacrystal.report.candidates import read_energies
from aiida_alphacrystal.report.distances import atom_names, compare_distances, predicted_distances
from aiida_alphacrystal.report.page.crystals import draw_crystal, draw_elements, draw_pattern
from aiida_alphacrystal.report.prediction import PredictedStructure, read_prediction, to_cif
from aiida_alphacrystal.report.refinement import read_refinement
from aiida_alphacrystal.report.screening import ScreenedFormula, read_screening

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiida import orm

    from aiida_alphacrystal.engine.distances import DistancePrediction

__all__ = ('MAX_CRYSTALS', 'PredictionPage', 'ScreeningPage', 'collect_prediction', 'collect_screening')

#: How many structures are drawn at most: the first ones of a prediction, those of lowest energy of a screening.
MAX_CRYSTALS = 200

#: Steps, refinements and characters of a description that are shown at most.
_MAX_STEPS, _MAX_REFINEMENTS, _MAX_DESCRIPTION = 200, 5, 4000


@dataclasses.dataclass(frozen=True)
class PredictionPage:
    """What the page shows of a prediction; all of it plain values, ready for JSON.

    :param facts: what the prediction is, and where it came from.
    :param candidates: the ranking, the best first; ``crystal``, ``pattern`` and ``distances`` of a row are None where
        they are not drawn.
    :param predicted: predicted mean distances (A) by the number of atoms in the cell, with the names of the atoms.
    :param cells: hypotheses about the cell, the most probable first.
    :param energies: every candidate before and after its relaxation, eV/atom.
    :param refinements: what DFT has made of the structures, the latest first.
    :param elements: how the elements are drawn.
    """

    facts: dict[str, Any]
    candidates: tuple[dict[str, Any], ...]
    predicted: dict[str, Any]
    cells: tuple[dict[str, Any], ...]
    energies: dict[str, Any]
    refinements: tuple[dict[str, Any], ...]
    elements: dict[str, Any]
    kind: str = 'prediction'


@dataclasses.dataclass(frozen=True)
class ScreeningPage:
    """What the page shows of a screening; all of it plain values, ready for JSON.

    :param facts: what the screening is, and where it came from.
    :param rows: one for each formula, in the order of the list.
    :param crystals: the best structure of formulas, by the place of the row, lowest energy first.
    :param elements: how the elements are drawn.
    """

    facts: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    crystals: dict[int, dict[str, Any]]
    elements: dict[str, Any]
    kind: str = 'screening'


def collect_prediction(node: orm.WorkChainNode, top: int | None = None) -> PredictionPage:
    """Read a prediction.

    :param node: the work chain, with the output ``ranking``.
    :param top: how many structures to show, or None for all that are ranked.
    """
    report = read_prediction(node, top)
    ranking = {row['rank']: row for row in node.outputs.ranking['rows']}
    distances = predicted_distances(node)
    return PredictionPage(
        facts={
            'formula': report.formula,
            'ranked': len(ranking),
            'seed': report.seed,
            'potential_requested': report.potential_requested,
            'potential_notice': report.potential_notice,
            'potential': _potential(node.inputs.potential, node.outputs.ranking['potential']),
            'models': _models(node.inputs.models),
            'parameters': node.inputs.parameters.get_dict(),
            'outputs': _outputs(node, ('ranking', 'cells', 'distances', 'candidates', 'relaxations')),
            **_process_facts(node),
        },
        candidates=tuple(_candidate(found, ranking[found.rank], node, distances) for found in report.candidates),
        predicted={str(size): _predicted(found) for size, found in distances.items()},
        cells=tuple(_cell(row) for row in node.outputs.cells['rows']),
        energies=_energies(node),
        refinements=tuple(_refinements(node)),
        elements=draw_elements(node.outputs.ranking['elements']),
    )


def _candidate(
    found: PredictedStructure,
    place: Mapping[str, Any],
    node: orm.WorkChainNode,
    distances: Mapping[int, DistancePrediction],
) -> dict[str, Any]:
    """Return one row of the ranking, with what is drawn of it."""
    from aiida_alphacrystal.calcfunctions.convert import rank_label
    from aiida_alphacrystal.engine.diffraction import powder_pattern
    from aiida_alphacrystal.engine.symmetry import conventional_cell

    row = dataclasses.asdict(found)
    cif = row.pop('cif')
    row |= {'label': place['label'], 'probability': place['probability'], 'score': place['score']}
    row |= {'duplicates': place['duplicates'], 'crystal': None, 'pattern': None, 'distances': None}
    if found.rank > MAX_CRYSTALS:
        return row
    structure = node.outputs.structures[rank_label(found.rank)].get_pymatgen_structure()
    row['crystal'] = dataclasses.asdict(draw_crystal(structure, cif))
    row['pattern'] = draw_pattern(powder_pattern(conventional_cell(structure)))
    predicted = distances.get(len(structure))
    if predicted is not None:
        both = compare_distances(predicted, structure, found.rank, '')
        row['distances'] = {'found': both.found.round(3).tolist(), 'rms': round(both.rms, 4)}
    return row


def _predicted(prediction: DistancePrediction) -> dict[str, Any]:
    return {
        'names': atom_names(prediction.species),
        'species': list(prediction.species),
        'mean': prediction.expectation.round(3).tolist(),
        'spread': prediction.spread.round(3).tolist(),
    }


def _cell(row: Mapping[str, Any]) -> dict[str, Any]:
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    return {**row, 'spacegroup_symbol': sg_symbol_from_int_number(row['spacegroup'])}


def _energies(node: orm.WorkChainNode) -> dict[str, Any]:
    energies = read_energies(node)
    return {'knows_before': energies.knows_before, 'rows': [dataclasses.asdict(row) for row in energies.rows]}


def _refinements(node: orm.WorkChainNode) -> Iterable[dict[str, Any]]:
    """Return the finished refinements of the structures of a prediction, the latest first."""
    from aiida import orm

    from aiida_alphacrystal.workchains import RefineWorkChain

    query = orm.QueryBuilder().append(orm.Dict, filters={'uuid': node.outputs.ranking.uuid}, tag='ranking')
    query.append(
        RefineWorkChain,
        with_incoming='ranking',
        edge_filters={'label': 'ranking'},
        filters={'attributes.exit_status': 0},
        tag='refinement',
    )
    query.order_by({'refinement': [{'id': {'order': 'desc'}}]}).limit(_MAX_REFINEMENTS)
    for refinement in query.all(flat=True):
        yield read_refinement(refinement).to_dict()


def collect_screening(node: orm.WorkChainNode) -> ScreeningPage:
    """Read a screening.

    :param node: the work chain, with the output ``table``.
    """
    report = read_screening(node)
    shared = node.inputs.prediction
    request = shared.potential_request if 'potential_request' in shared else None
    crystals = _best_crystals(report.rows)
    drawn = {symbol for crystal in crystals.values() for symbol in crystal['primitive']['species']}
    return ScreeningPage(
        facts={
            'finished': report.finished,
            'failed': report.failed,
            'group': report.group,
            'seed': int(shared.seed.value),
            'potential_requested': None if request is None else request.value,
            'potential_notice': None if request is None else request.description or None,
            'potential': _potential(shared.potential, {}),
            'models': _models(shared.models),
            'parameters': shared.parameters.get_dict(),
            'outputs': _outputs(node, ('table',)),
            **_process_facts(node),
        },
        rows=tuple(dataclasses.asdict(row) for row in report.rows),
        crystals=crystals,
        elements=draw_elements(drawn),
    )


def _best_crystals(rows: Sequence[ScreenedFormula]) -> dict[int, dict[str, Any]]:
    """Return the best structure of the formulas with the lowest energies, by the place of their row."""
    known = [place for place, row in enumerate(rows) if row.formation_energy_per_atom is not None]
    lowest = sorted(known, key=lambda place: (rows[place].formation_energy_per_atom, place))[:MAX_CRYSTALS]
    uuids = [uuid for place in lowest if (uuid := rows[place].prediction_uuid) is not None]
    found = _best_structures(uuids) if uuids else {}
    return {
        place: dataclasses.asdict(draw_crystal(structure.get_pymatgen_structure(), to_cif(structure)))
        for place in lowest
        if (structure := found.get(rows[place].prediction_uuid)) is not None
    }


def _best_structures(predictions: Sequence[str]) -> dict[str | None, orm.StructureData]:
    """Return the first structure of each prediction by the UUID of the prediction."""
    from aiida import orm

    from aiida_alphacrystal.calcfunctions.convert import rank_label

    query = orm.QueryBuilder()
    query.append(orm.WorkChainNode, filters={'uuid': {'in': predictions}}, project='uuid', tag='prediction')
    edge = {'label': f'structures__{rank_label(1)}'}
    query.append(orm.StructureData, with_incoming='prediction', edge_filters=edge, project='*')
    return dict(query.all())


def _process_facts(node: orm.WorkChainNode) -> dict[str, Any]:
    """Return what a process is called, when it was made and by which versions, and the steps that it has taken."""
    message = None if node.is_finished_ok else node.exit_message
    return {
        'pk': int(node.pk or 0),
        'uuid': str(node.uuid),
        'label': str(node.label),
        'description': str(node.description)[:_MAX_DESCRIPTION],
        'made': f'{node.ctime:%Y-%m-%d %H:%M} UTC',
        'versions': {str(name): str(version) for name, version in _versions(node).items()},
        'exit_status': node.exit_status,
        'exit_message': message,
        **_steps(node),
    }


def _steps(node: orm.WorkChainNode) -> dict[str, Any]:
    """Return the first steps that a process has taken, and how many there were."""
    from aiida import orm

    query = orm.QueryBuilder(limit=_MAX_STEPS).append(orm.WorkChainNode, filters={'id': node.pk}, tag='process')
    wanted = ['attributes.process_label', 'id', 'uuid']
    query.append(orm.ProcessNode, with_incoming='process', project=wanted, tag='step').order_by({'step': 'id'})
    steps = [{'name': str(name), 'pk': pk, 'uuid': uuid} for name, pk, uuid in query.all()]
    return {'steps': steps, 'number_of_steps': query.limit(None).count()}


def _versions(node: orm.WorkChainNode) -> dict[str, Any]:
    names = {'core': 'aiida-core', 'plugin': 'aiida-alphacrystal'}
    recorded = node.base.attributes.get('version', {})
    return {names.get(key, key): value for key, value in recorded.items()}


def _potential(node: orm.Data, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a potential, with what the results say of how it was evaluated."""
    own = {key: node.base.attributes.get(key) for key in ('name', 'kind', 'sha256')}
    return {'convention': None, 'version': None, **recorded, **own, 'pk': int(node.pk or 0), 'uuid': str(node.uuid)}


def _models(models: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each stage had learnt."""
    return [
        {
            'purpose': purpose,
            'sha256': models[purpose].sha256,
            'pk': int(models[purpose].pk or 0),
            'uuid': str(models[purpose].uuid),
            'trained_on': _trained_on(models[purpose].card),
        }
        for purpose in sorted(models)
    ]


def _trained_on(card: Mapping[str, Any]) -> str | None:
    """Return the file and the number of crystals that weights were learnt from, as their card says."""
    data = card.get('data')
    training = data.get('train', data) if isinstance(data, dict) else None
    if not isinstance(training, dict) or 'crystals' not in training:
        return None
    return f'{training["crystals"]} crystals' + (f' of {training["file"]}' if 'file' in training else '')


def _outputs(node: orm.WorkChainNode, names: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {'name': name, 'pk': int(node.outputs[name].pk or 0), 'uuid': str(node.outputs[name].uuid)}
        for name in names
        if name in node.outputs
    ]
