"""Ask the database what has been predicted, and where a structure comes from.

Usage: ``verdi run examples/query_predictions.py [ELEMENT] [ATOMS]``, such as ``O 5``.
"""

from __future__ import annotations

import sys

from aiida import orm
from aiida.plugins import DataFactory, WorkflowFactory

DistancesData = DataFactory('alphacrystal.distances')
ModelData = DataFactory('alphacrystal.model')
PotentialData = DataFactory('alphacrystal.potential')
PredictWorkChain = WorkflowFactory('alphacrystal.predict')


def find_predictions(element: str) -> list[orm.WorkChainNode]:
    """Return every finished prediction of a compound that holds an element, the oldest first.

    :param element: symbol of the element.
    """
    query = orm.QueryBuilder()
    query.append(PredictWorkChain, filters={'attributes.exit_status': 0}, tag='prediction', project='*')
    query.append(
        DistancesData,
        with_incoming='prediction',
        edge_filters={'label': 'distances'},
        filters={'attributes.elements': {'contains': [element]}},
    )
    query.order_by({'prediction': 'id'})
    return query.all(flat=True)


def find_distances(number_of_atoms: int) -> list[DistancesData]:
    """Return all predicted distances that hold those in a cell of so many atoms, the oldest first.

    :param number_of_atoms: atoms in the cell.
    """
    filters = {'attributes.all_numbers_of_atoms': {'contains': [number_of_atoms]}}
    query = orm.QueryBuilder().append(DistancesData, filters=filters, tag='distances')
    query.order_by({'distances': 'id'})
    return query.all(flat=True)


def find_origins(structure: orm.StructureData) -> list[orm.Node]:
    """Return the steps that made a relaxed structure, and the formula, weights, potential and seed they used.

    :param structure: a structure that a prediction has returned.
    """
    query = orm.QueryBuilder().append(orm.StructureData, filters={'uuid': structure.uuid}, tag='structure')
    kinds = (orm.CalcFunctionNode, orm.Str, ModelData, PotentialData, orm.Int)
    query.append(kinds, with_descendants='structure', project='*')
    return sorted({node.pk: node for node in query.all(flat=True)}.values(), key=lambda node: node.pk)


def describe(node: orm.Node) -> str:
    """Return one line about a node.

    :param node: a process, a value or a set of weights.
    """
    if isinstance(node, orm.ProcessNode):
        return f'step {node.process_label}'
    if isinstance(node, ModelData | PotentialData):
        return node.get_description()
    return f'{type(node).__name__.lower()} {node.value!r}'


def main(element: str = 'Cl', number_of_atoms: str = '5') -> None:
    """Print what the database holds.

    :param element: symbol of the element to look for.
    :param number_of_atoms: atoms in the cells to look for.
    """
    predictions = find_predictions(element)
    print(f'{len(predictions)} predictions of compounds with {element}')
    for prediction in predictions:
        best = prediction.outputs.ranking['rows'][0]
        energy = best['formation_energy_per_atom']
        print(f'  <{prediction.pk}> {best["formula"]}: {best["spacegroup_symbol"]}, {energy:.3f} eV/atom')

    distances = find_distances(int(number_of_atoms))
    print(f'{len(distances)} distance matrices of cells with {number_of_atoms} atoms')
    for node in distances:
        place = node.base.attributes.get('all_numbers_of_atoms').index(int(number_of_atoms))
        units = node.all_formula_units[place]
        shortest = node.get_distances(units).min()
        print(f'  <{node.pk}> {node.get_formula(units)}: shortest distance {shortest:.2f} A')

    if predictions:
        structure = predictions[-1].outputs.structures['rank_01']
        print(f'Structure <{structure.pk}> {structure.get_formula()} was made from')
        for node in find_origins(structure):
            print(f'  <{node.pk}> {describe(node)}')


if __name__ == '__main__':
    main(*sys.argv[1:])
