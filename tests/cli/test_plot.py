"""The commands that draw, on a real prediction."""

from __future__ import annotations

import json

import numpy as np
import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_alphacrystal.cli import cmd_root
from aiida_alphacrystal.data import ModelData
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.report.candidates import read_energies
from aiida_alphacrystal.report.distances import (
    export_distances,
    predicted_distances,
    read_exported,
    read_realised,
)

PNG = b'\x89PNG'


@pytest.fixture(scope='module')
def prediction(run_prediction):
    """Return a finished prediction, made in this process."""
    return run_prediction('NaCl')


@pytest.fixture
def draw(aiida_profile, tmp_path):
    """Return a function that runs ``plot`` in this process and returns the picture, or what was said instead."""

    def run(*words, status=0, output='picture.png'):
        path = tmp_path / output
        result = CliRunner().invoke(
            cmd_root, ['plot', *map(str, words), '-o', str(path), '-p', aiida_profile.name], standalone_mode=False
        )
        if status == 0:
            assert result.exception is None, result.exception
            assert result.stdout == ''
            assert result.stderr.endswith(f'Wrote {path}.\n')
            return path.read_bytes()
        assert not path.exists()
        if isinstance(result.exception, AlphaCrystalError):  # leaves the whole program with 2
            return str(result.exception)
        assert result.exception.exit_code == status, result.exception
        return result.exception.format_message()

    return run


def test_distances_of_a_prediction(draw, prediction):
    assert draw('distances', prediction.pk).startswith(PNG)
    svg = draw('distances', prediction.uuid, output='picture.svg').decode()
    assert 'predicted mean</text>' in svg
    assert 'Na1</text>' in svg


def test_realised_distances_are_those_of_the_rank(prediction):
    sizes = predicted_distances(prediction)
    rows = prediction.outputs.ranking['rows']
    for row in rows:
        realised = read_realised(prediction, row['rank'])
        if row['number_of_atoms'] not in sizes:
            assert realised is None
            continue
        structure = prediction.outputs.structures[f'rank_{row["rank"]:02d}'].get_pymatgen_structure()
        assert realised.predicted.tolist() == sizes[len(structure)].expectation.tolist()
        apart = ~np.eye(len(structure), dtype=bool)
        assert np.allclose(np.sort(realised.found[apart]), np.sort(structure.distance_matrix[apart]), atol=1e-6)
        assert {name.rstrip('0123456789') for name in realised.names} == {'Na', 'Cl'}
    with pytest.raises(KeyError):
        read_realised(prediction, 99)


def test_distances_alone(draw, prediction):
    node = prediction.outputs.distances
    assert draw('distances', node.pk).startswith(PNG)
    assert '--rank chooses' in draw('distances', node.pk, '--rank', 1, status=2, output='other.png')


def test_distances_of_a_file(draw, prediction, tmp_path):
    node = prediction.outputs.distances
    path = tmp_path / 'mine $x$.npz'
    export_distances(node.to_prediction(), path)
    assert np.array_equal(read_exported(path).expectation, node.distances)
    atoms = len(node.species)
    svg = draw('distances', path, output='file.svg').decode()
    assert f'distances in mine $x$.npz, {atoms} atoms</text>' in svg
    assert 'predicted standard deviation</text>' in svg
    for content in (b'', b'tea', path.read_bytes()[:300]):
        path.write_bytes(content)
        assert 'holds no distances: give a .npz file' in draw('distances', path, status=2)
    np.savez(path, species=['Na'], probabilities=np.ones((2, 2, 3)), bin_edges=np.arange(4.0))
    assert 'holds no distances' in draw('distances', path, status=2)
    np.savez(path, species=np.array([{}], dtype=object), probabilities=1, bin_edges=1)  # a pickle is not opened
    assert 'holds no distances' in draw('distances', path, status=2)


def test_rank_that_no_distances_were_predicted_for(draw, prediction, monkeypatch):
    monkeypatch.setattr('aiida_alphacrystal.report.distances.predicted_distances', lambda node: {})
    said = draw('distances', prediction.pk, '--rank', 1, status=2)
    assert said.startswith(f'No distances were predicted for the cell of rank 1 of prediction {prediction.pk}')
    assert str(prediction.outputs.distances.pk) in said


def test_energies(draw, prediction):
    energies = read_energies(prediction)
    rows = {row['label']: row for row in prediction.outputs.relaxations.base.attributes.get('rows')}
    references = prediction.outputs.relaxations.base.attributes.get('elemental_references')
    assert energies.formula == 'NaCl'
    assert [row.label for row in energies.rows] == sorted(rows)
    for row in energies.rows:
        reference = sum(references.values()) / 2
        assert row.before == pytest.approx(rows[row.label]['initial_energy_per_atom'] - reference, abs=1e-12)
        assert row.after == pytest.approx(rows[row.label]['energy_per_atom'] - reference, abs=1e-12)
    ranking = prediction.outputs.ranking['rows']
    assert {row.label: row.rank for row in energies.rows if row.rank} == {row['label']: row['rank'] for row in ranking}
    for row in ranking:
        after = next(one.after for one in energies.rows if one.rank == row['rank'])
        assert after == pytest.approx(row['formation_energy_per_atom'], abs=1e-9)
    assert draw('energies', prediction.pk).startswith(PNG)


def test_structure_of_a_prediction_of_a_node_and_of_a_file(draw, prediction, tmp_path):
    structure = prediction.outputs.structures.rank_01
    ranked = draw('structure', prediction.pk, '--rank', 1, output='ranked.svg').decode()
    assert 'NaCl, rank 1: Fm-3m (225)</text>' in ranked
    assert draw('structure', structure.uuid).startswith(PNG)
    (tmp_path / 'own.cif').write_text(structure.get_cif().get_content())
    assert 'NaCl: Fm-3m (225)</text>' in draw('structure', tmp_path / 'own.cif', output='own.svg').decode()
    for given in (structure.pk, tmp_path / 'own.cif'):
        assert '--rank chooses' in draw('structure', given, '--rank', 1, status=2, output='other.svg')


def test_training_of_a_node(draw):
    history = {'classes_1': [2.0, 1.0], 'lattice': [1.0]}
    node = ModelData.get_or_create(b'curves', 'cells', {'history': history}).store()
    assert 'loss of the class networks</text>' in draw('training', node.pk, output='node.svg').decode()
    shipped = ModelData.shipped('distances').store()
    said = draw('training', shipped.pk, status=2)
    assert said.startswith(f'The card of the weights {shipped.pk} has no history of its training: train')


def test_training_of_a_directory(draw, tmp_path):
    (tmp_path / 'weights').mkdir()
    (tmp_path / 'weights' / 'cells.json').write_text(json.dumps({'history': {'ranker': [0.5, 0.25]}}))
    assert draw('training', tmp_path / 'weights').startswith(PNG)
    assert 'holds neither' in draw('training', tmp_path, status=2, output='other.png')


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('distances', 99999999), "There is no node '99999999'"),
        (('energies', ' '), 'The identifier is empty'),
        (('structure', 'nowhere.cif'), "There is no file 'nowhere.cif'"),
        (('training', 'no/where'), "There is no file 'no/where'"),
        (('training', ''), 'The identifier is empty'),
    ],
)
def test_what_does_not_exist(draw, words, sentence):
    assert sentence in draw(*words, status=2)


def test_other_nodes(draw, prediction):
    number = orm.Int(1).store()
    assert f'Node {number.pk} is a Int: give a prediction or predicted' in draw('distances', number.pk, status=2)
    assert f'Node {number.pk} is a Int: give a prediction.' in draw('energies', number.pk, status=2)
    assert 'give a prediction, a structure or a CIF file' in draw('structure', number.pk, status=2)
    assert 'give weights, or a directory' in draw('training', number.pk, status=2)
    alloy = orm.StructureData(cell=[[3, 0, 0], [0, 3, 0], [0, 0, 3]])
    alloy.append_atom(position=(0, 0, 0), symbols=['Cu', 'Au'], weights=[0.5, 0.5])
    assert 'partly occupied' in draw('structure', alloy.store().pk, status=2)
    for kind in ('distances', 'structure'):
        assert 'no rank 99' in draw(kind, prediction.pk, '--rank', 99, status=2)


@pytest.mark.parametrize(
    ('output', 'sentence'),
    [('picture.txt', 'is no picture: give a name that ends with .png'), ('no/where.png', 'There is no directory')],
)
def test_bad_files(draw, output, sentence):
    assert sentence in draw('energies', 1, status=2, output=output)


def test_screening_is_not_a_prediction(draw, prediction, monkeypatch):
    monkeypatch.setattr('aiida_alphacrystal.cli.nodes.SCREENING', prediction.process_type)
    assert 'is a screening: give one of its predictions' in draw('energies', prediction.pk, status=2)
