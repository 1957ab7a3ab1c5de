"""Tests of the calcfunctions, each run on what the one before has returned."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from aiida import orm
from aiida.plugins import CalculationFactory

from aiida_alphacrystal import calcfunctions
from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.data import ModelData, PotentialData
from aiida_alphacrystal.engine.composition import parse_formula
from aiida_alphacrystal.engine.features import ELEMENT_COLUMNS, element_features, featurize
from aiida_alphacrystal.engine.relax import PotentialFiles, load_potential

from .conftest import parameters_of


@pytest.mark.parametrize('stage', calcfunctions.__all__)
def test_entry_point(stage):
    assert CalculationFactory(f'alphacrystal.{stage}') is getattr(calcfunctions, stage)


@pytest.mark.parametrize('stage', calcfunctions.__all__)
def test_every_input_has_a_type_and_a_description(stage):
    function = getattr(calcfunctions, stage)
    ports = function.spec().inputs
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    assert names
    for name in names:
        assert ports[name].help
        assert ports[name].valid_type not in (orm.Data, (orm.Data,))


def test_featurize(features):
    formula = parse_formula('NaCl')
    assert np.array_equal(features.get_array('features'), featurize(formula, 1, 20))
    assert np.array_equal(features.get_array('element_features'), element_features(formula))
    attributes = features.base.attributes.all
    assert attributes['formula'] == 'NaCl'
    assert attributes['elements'] == ['Na', 'Cl']
    assert attributes['counts'] == [1, 1]
    assert attributes['formula_units'] is None
    assert attributes['number_of_atoms'] == 2
    assert attributes['columns'] == list(ELEMENT_COLUMNS)


@pytest.mark.parametrize('formula', ['Al4O6', {'O': 6, 'Al': 4}])
def test_featurize_a_fixed_cell(formula):
    features = calcfunctions.featurize(formula=orm.to_aiida_type(formula), parameters=parameters_of('featurize'))[
        'features'
    ]
    assert features.base.attributes.get('formula_units') == 2
    assert features.base.attributes.get('number_of_atoms') == 10
    assert np.count_nonzero(features.get_array('features').any(axis=1)) == 10


def test_predict_cells(cells):
    assert len(cells['rows']) == 3
    assert set(cells['rows'][0]) == {'spacegroup', 'formula_units', 'lattice', 'probability', 'volume_uncertainty'}
    probabilities = [row['probability'] for row in cells['rows']]
    assert probabilities == sorted(probabilities, reverse=True)


def test_predict_distances(cells, distances):
    assert list(distances) == ['distances']
    node = distances['distances']
    assert node.all_formula_units[0] == cells['rows'][0]['formula_units']
    assert set(node.all_formula_units) == {row['formula_units'] for row in cells['rows']}
    for units in node.all_formula_units:
        matrix = node.get_distances(units)
        assert matrix.shape == (2 * units, 2 * units)
        assert np.array_equal(matrix, matrix.T)
        assert node.get_species(units) == ('Na',) * units + ('Cl',) * units


def test_reconstruct(reconstruction):
    rows = reconstruction['candidates']['rows']
    structures = convert.structures_from_node(reconstruction['structures'])
    assert [row['label'] for row in rows] == ['c_001', 'c_002'] == list(structures)
    for row in rows:
        structure = structures[row['label']]
        assert len(structure) == row['number_of_atoms'] == 2 * row['formula_units']
        assert row['source'] == 'template'


def test_relax(relaxation, potential):
    table = relaxation['relaxations']
    attributes = table.base.attributes.all
    assert [row['label'] for row in attributes['rows']] == ['c_001', 'c_002']
    assert attributes['potential']['sha256'] == potential.sha256
    assert sorted(attributes['elemental_references']) == ['Cl', 'Na']
    symbols = [row['symbols'] for row in attributes['rows']]
    assert {tuple(sorted(set(names))) for names in symbols} == {('Cl', 'Na')}
    assert table.get_array('stresses').shape == table.get_array('lattices').shape == (2, 3, 3)
    ends = np.cumsum([len(names) for names in symbols])
    for row, forces in zip(attributes['rows'], np.split(table.get_array('forces'), ends), strict=False):
        assert np.linalg.norm(forces, axis=1).max() == pytest.approx(row['max_force'], abs=1e-6)
        assert row['steps'] <= 2
        assert row['reason'] is None
        assert row['initial_energy_per_atom'] >= row['energy_per_atom']


def test_energies_before_the_relaxation(reconstruction, relaxation, potential):
    structures = list(convert.structures_from_node(reconstruction['structures']).values())
    evaluation = load_potential(potential.to_files()).evaluate(structures)
    energies = [energy / len(structure) for energy, structure in zip(evaluation.energies, structures, strict=True)]
    rows = relaxation['relaxations'].base.attributes.get('rows')
    assert [row['initial_energy_per_atom'] for row in rows] == pytest.approx(energies, abs=1e-6)


def test_rank(reconstruction, relaxation):
    outputs = calcfunctions.rank(
        candidates=reconstruction['candidates'],
        relaxations=relaxation['relaxations'],
        parameters=parameters_of('rank'),
    )
    ranking = outputs['ranking']
    relaxed = convert.relaxed_structures(relaxation['relaxations'])
    assert list(outputs['structures']) == [f'rank_{row["rank"]:02d}' for row in ranking['rows']]
    for row in ranking['rows']:
        node = orm.load_node(outputs['structures'][f'rank_{row["rank"]:02d}'].pk).get_pymatgen()
        assert (node.lattice.matrix == relaxed[row['label']].lattice.matrix).all()
        assert (node.cart_coords == relaxed[row['label']].cart_coords).all()
        assert node.species == relaxed[row['label']].species
    energies = {row['label']: row['energy_per_atom'] for row in relaxation['relaxations'].base.attributes.get('rows')}
    references = relaxation['relaxations'].base.attributes.get('elemental_references')
    for row in ranking['rows']:
        assert row['energy_per_atom'] == energies[row['label']]
        formed = energies[row['label']] - sum(references.values()) / 2
        assert row['formation_energy_per_atom'] == pytest.approx(formed, abs=1e-12)


def check_refusal(node: orm.CalcFunctionNode, status: int, sentence: str) -> None:
    assert node.is_finished
    assert node.exit_status == status
    assert sentence in node.exit_message
    assert not list(node.outputs)


@pytest.mark.parametrize(
    ('formula', 'status', 'sentence'),
    [
        ('nacl', 201, 'lower-case'),
        ('Na11Cl11', 202, 'more than the limit of 20'),
        ('PoO2', 203, 'The element Po'),
    ],
)
def test_featurize_refuses(formula, status, sentence):
    _, node = calcfunctions.featurize.run_get_node(formula=orm.Str(formula), parameters=parameters_of('featurize'))
    check_refusal(node, status, sentence)


def test_unknown_setting_is_refused():
    parameters = orm.Dict({'tea': 1, 'algorithm_version': 1})
    _, node = calcfunctions.featurize.run_get_node(formula=orm.Str('NaCl'), parameters=parameters)
    check_refusal(node, 204, 'Unknown setting tea')


def test_foreign_weights_are_refused(features):
    _, node = calcfunctions.predict_cells.run_get_node(
        features=features,
        model=ModelData.shipped('templates'),
        templates=ModelData.shipped('templates'),
        parameters=parameters_of('predict_cells'),
    )
    check_refusal(node, 205, 'cells')


def test_damaged_potential_is_refused(reconstruction):
    potential = PotentialData.from_files(PotentialFiles('broken', 'm3gnet', {'model.pt': b'no weights'}))
    _, node = calcfunctions.relax.run_get_node(
        potential=potential, parameters=parameters_of('relax'), structures=reconstruction['structures']
    )
    check_refusal(node, 206, 'broken')


def relax_competing(potential, system):
    return calcfunctions.relax_competing.run_get_node(
        templates=ModelData.shipped('templates'),
        potential=potential,
        chemical_system=orm.Str(system),
        parameters=parameters_of('relax_competing'),
    )


def test_known_compounds_that_compete(potential):
    outputs, node = relax_competing(potential, 'Cl-Na')
    assert node.is_finished_ok
    competing = outputs['competing']
    rows = competing.base.attributes.get('compounds')
    assert [row['formula'] for row in rows] == ['NaCl', 'NaCl3', 'NaCl7']
    assert convert.competing_from_node(competing) == [
        (row['formula'], row['formation_energy_per_atom']) for row in rows if row['reason'] is None
    ]
    references = competing.base.attributes.get('elemental_references')
    outcome = competing.base.attributes.get('rows')[0]
    expected = outcome['energy_per_atom'] - (references['Na'] + references['Cl']) / 2
    assert rows[0]['formation_energy_per_atom'] == pytest.approx(expected)
    assert (rows[0]['spacegroup'], rows[0]['spacegroup_symbol']) == (225, 'Fm-3m')
    (rock_salt, *_) = convert.relaxed_structures(competing).values()
    assert sorted(site.specie.symbol for site in rock_salt) == ['Cl', 'Na']


def test_elements_without_a_known_compound(potential):
    outputs, node = relax_competing(potential, 'He-Ne')
    assert node.is_finished_ok
    assert outputs['competing'].base.attributes.get('compounds') == []
    assert convert.competing_from_node(outputs['competing']) == []


@pytest.mark.parametrize(('system', 'status', 'sentence'), [('Xx-O', 201, 'Xx'), ('O-Po', 203, 'Po')])
def test_competing_compounds_of_elements_that_cannot_be(potential, system, status, sentence):
    _, node = relax_competing(potential, system)
    check_refusal(node, status, sentence)
