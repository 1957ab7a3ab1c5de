"""Resolving, loading and evaluating potentials."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from aiida_alphacrystal.engine.errors import PotentialError, UnsupportedElementError
from aiida_alphacrystal.engine.relax import PotentialFiles, load_potential, resolve_potential
from aiida_alphacrystal.engine.relax.matgl_backend import MatglPotential
from aiida_alphacrystal.engine.relax.potentials import DEFAULT_M3GNET
from aiida_alphacrystal.engine.relax.selftest import run_self_test


def raising(error):
    def download(**_):
        raise error

    return download


def test_old_m3gnet_is_evaluated_in_its_own_convention(m3gnet, crystals):
    energies = m3gnet.evaluate(list(crystals.values())).energies / [len(crystal) for crystal in crystals.values()]
    assert m3gnet.convention == 'destination'
    assert m3gnet.kind == 'm3gnet'
    np.testing.assert_allclose(energies, [-3.3675, -5.9505, -5.4179, -3.7015], atol=1e-3)


def test_wrong_convention_fails_the_self_test_and_only_it(m3gnet_directory, m3gnet, crystals):
    files = resolve_potential(str(m3gnet_directory)).files
    wrong = MatglPotential(files, 'source')
    outcome = run_self_test(wrong)
    assert not outcome.passed
    assert len(outcome.failures) >= 10
    assert run_self_test(m3gnet).passed
    assert wrong.evaluate([crystals['NaCl']]).energies[0] / 2 == pytest.approx(-1.2995, abs=1e-3)
    assert m3gnet.evaluate([crystals['NaCl']]).energies[0] / 2 == pytest.approx(-3.3675, abs=1e-3)


def test_matgl_gives_the_same_forces_and_stresses(m3gnet, distorted):
    from matgl.ext.pymatgen import Structure2Graph

    converter = Structure2Graph(m3gnet._model.model.element_types, m3gnet.cutoff)
    evaluation = m3gnet.evaluate(distorted)
    for row, structure in enumerate(distorted):
        graph, lattice, _ = converter.get_graph(structure)
        energy, forces, stress, _ = m3gnet._model(graph, lattice, torch.zeros(2))
        assert evaluation.energies[row] == pytest.approx(float(energy), abs=1e-4)
        np.testing.assert_allclose(evaluation.forces[row], forces.detach().numpy(), atol=1e-4)
        np.testing.assert_allclose(evaluation.stresses[row] * 160.21766, stress.detach().numpy(), atol=5e-3)


def without_angles():
    """Return a crystal whose atoms are further apart than CHGNet looks for angles."""
    return Structure(Lattice.cubic(6.1), ['Cs', 'Cs'], [[0, 0, 0], [0.5, 0.5, 0.48]])


@pytest.mark.parametrize('alone', [True, False])
def test_chgnet_gives_what_the_package_gives(alone, chgnet, distorted):
    from chgnet.model.model import CHGNet

    structures = [without_angles()] if alone else [*distorted, without_angles()]
    model = CHGNet.load(verbose=False, use_device='cpu')
    expected = [model.predict_structure(structure, task='efs') for structure in structures]
    evaluation = chgnet.evaluate(structures)
    for row, structure in enumerate(structures):
        assert evaluation.energies[row] / len(structure) == pytest.approx(float(expected[row]['e']), abs=1e-5)
        np.testing.assert_allclose(evaluation.forces[row], expected[row]['f'], atol=1e-4)
        np.testing.assert_allclose(evaluation.stresses[row] * 160.21766208, expected[row]['s'], atol=5e-3)


def test_forces_and_stresses_are_derivatives_of_the_energy(potential, distorted):
    structure = distorted[1]
    evaluation = potential.evaluate([structure])
    step = 0.01
    for atom, axis in ((0, 0), (3, 2)):
        ends = []
        for sign in (1, -1):
            moved = structure.cart_coords.copy()
            moved[atom, axis] += sign * step
            ends.append(Structure(structure.lattice, structure.species, moved, coords_are_cartesian=True))
        high, low = potential.evaluate(ends).energies
        assert evaluation.forces[0][atom, axis] == pytest.approx(-(high - low) / (2 * step), abs=0.02)
    for one, two in ((0, 0), (1, 2)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[one, two] += sign * step / 2
            ends.append(Structure(structure.lattice.matrix @ strain, structure.species, structure.frac_coords))
        high, low = potential.evaluate(ends).energies
        assert evaluation.stresses[0][one, two] * structure.volume == pytest.approx((high - low) / step, abs=0.1)


def test_batch_does_not_change_the_answer(potential, distorted):
    together = potential.evaluate(distorted)
    for row, structure in enumerate(distorted):
        alone = potential.evaluate([structure])
        assert alone.energies[0] == pytest.approx(together.energies[row], abs=1e-4)
        np.testing.assert_allclose(alone.forces[0], together.forces[row], atol=1e-4)


def test_atoms_without_neighbours_are_evaluated(potential):
    empty = Structure(Lattice.cubic(20), ['Na'], [[0, 0, 0]])
    half = Structure(Lattice.cubic(20), ['Na', 'Cl', 'O'], [[0, 0, 0], [0.12, 0, 0], [0.5, 0.5, 0.5]])
    for batch in ([empty], [empty, empty], [half, empty]):
        evaluation = potential.evaluate(batch)
        assert np.isfinite(evaluation.energies).all()
        assert (evaluation.forces[-1] == 0).all()


def test_empty_batch(potential):
    assert potential.evaluate([]).energies.shape == (0,)


def test_unknown_element_is_named(chgnet):
    with pytest.raises(UnsupportedElementError, match='does not know Po'):
        chgnet.evaluate([Structure(Lattice.cubic(3.35), ['Po'], [[0, 0, 0]])])
    assert len(chgnet.elements) == 89


def test_chgnet_needs_no_name_service_and_prints_nothing(capsys):
    resolved = resolve_potential(' CHGNet ')
    potential = load_potential(PotentialFiles('copy', 'chgnet', resolved.files.files))
    assert resolved.notice is None
    assert (resolved.files.name, resolved.files.kind) == ('chgnet', 'chgnet')
    assert potential.sha256 == resolved.files.sha256
    assert capsys.readouterr().out == ''


def test_loaded_potential_is_kept(chgnet):
    assert load_potential(resolve_potential('chgnet').files) is chgnet


def test_hash_is_of_the_content(chgnet):
    one = PotentialFiles('a', 'm3gnet', {'x': b'1', 'y': b'2'})
    assert one.sha256 == PotentialFiles('b', 'm3gnet', {'y': b'2', 'x': b'1'}).sha256
    assert one.sha256 != PotentialFiles('a', 'm3gnet', {'x': b'1', 'y': b'3'}).sha256
    assert one.sha256 != PotentialFiles('a', 'm3gnet', {'x': b'12', 'y': b''}).sha256


@pytest.mark.parametrize('name', ['M3GNet', 'm3gnet', 'M3GNet-PES-MatPES-PBE-2025.2', 'NoSuchPotential-1.0'])
def test_unreachable_hub_gives_chgnet_and_says_so(name, monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', raising(OSError('no route to host')))
    resolved = resolve_potential(name)
    expected = DEFAULT_M3GNET if name.lower() == 'm3gnet' else name
    assert resolved.files.name == 'chgnet'
    assert resolved.requested == name
    assert resolved.notice == (
        f'The potential {expected} is not in the local cache and the hub that holds it cannot be reached: '
        'chgnet is used instead.'
    )


def test_name_that_the_hub_does_not_know_is_an_error(monkeypatch):
    import httpx
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    def download(*, local_files_only, **_):
        if local_files_only:
            raise LocalEntryNotFoundError('not cached')
        raise RepositoryNotFoundError('404', response=httpx.Response(404, request=httpx.Request('HEAD', 'https://hub')))

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    with pytest.raises(PotentialError, match='holds no potential named NoSuchPotential'):
        resolve_potential('NoSuchPotential')


def test_cached_potential_touches_no_network(m3gnet_directory, monkeypatch):
    import huggingface_hub

    def download(*, filename, local_files_only, **_):
        assert local_files_only
        return str(m3gnet_directory / filename)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    resolved = resolve_potential('M3GNet-MP-2021.2.8-PES')
    assert resolved.notice is None
    assert resolved.files.sha256 == resolve_potential(str(m3gnet_directory)).files.sha256


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('', 'name of the potential is empty'),
        ('a b', 'is no name of a potential'),
        ('x' * 300, 'is no name of a potential'),
        ('./nothing-here', 'does not exist'),
        ('no/such/directory', 'does not exist'),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(PotentialError, match=message):
        resolve_potential(name)


def test_directory_that_lacks_a_file(tmp_path):
    (tmp_path / 'model.json').write_text('{}')
    with pytest.raises(PotentialError, match=r'lacks a readable model\.pt'):
        resolve_potential(str(tmp_path))


def test_file_in_place_of_a_directory(tmp_path):
    path = tmp_path / 'model.pt'
    path.write_text('{}')
    with pytest.raises(PotentialError, match='is a file'):
        resolve_potential(str(path))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', r'model\.json of the potential .* is damaged'),
        ('[]', r'model\.json of the potential .* is damaged'),
        ('{"@class": "Potential", "kwargs": {"model": {"@class": "SO3Net"}}}', 'give a potential of type M3GNet'),
        ('{"@class": "MEGNet", "kwargs": {"model": {"@class": "M3GNet"}}}', 'give a potential of type M3GNet'),
    ],
)
def test_foreign_model_json(content, message, tmp_path):
    for name in ('model.pt', 'state.pt'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'model.json').write_text(content)
    with pytest.raises(PotentialError, match=message):
        resolve_potential(str(tmp_path))


@pytest.mark.parametrize('name', ['model.pt', 'state.pt'])
def test_damaged_matgl_file_is_named(name, m3gnet_directory):
    files = resolve_potential(str(m3gnet_directory)).files
    damaged = PotentialFiles('mine', 'm3gnet', {**files.files, name: files.files[name][:1000]})
    with pytest.raises(PotentialError, match=f'{name} of the potential mine is damaged'):
        load_potential(damaged)


def test_missing_matgl_file_is_named(m3gnet_directory):
    files = dict(resolve_potential(str(m3gnet_directory)).files.files)
    del files['state.pt']
    with pytest.raises(PotentialError, match=r'lacks its file state\.pt'):
        load_potential(PotentialFiles('mine', 'm3gnet', files))


@pytest.mark.parametrize('content', [b'', b'not a checkpoint'])
def test_damaged_chgnet_file_is_named(content):
    with pytest.raises(PotentialError, match=r'mine\.pt of the potential mine is no CHGNet'):
        load_potential(PotentialFiles('mine', 'chgnet', {'mine.pt': content}))


def test_unknown_kind():
    with pytest.raises(PotentialError, match="unknown kind 'lennard-jones'"):
        load_potential(PotentialFiles('mine', 'lennard-jones', {}))


def changed_chgnet(change):
    """Return the files of CHGNet after a change of its checkpoint."""
    (name, content) = next(iter(resolve_potential('chgnet').files.files.items()))
    checkpoint = torch.load(io.BytesIO(content), map_location='cpu', weights_only=True)
    change(checkpoint['model'])
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return PotentialFiles('mine', 'chgnet', {name: buffer.getvalue()})


def test_wrong_weights_fail_the_self_test():
    def flip(model):
        weights = model['state_dict']
        weights['atom_embedding.embedding.weight'] = weights['atom_embedding.embedding.weight'].flip(0)

    with pytest.raises(PotentialError, match='mine fails the self-test on known compounds'):
        load_potential(changed_chgnet(flip))


def test_chgnet_with_other_layers_is_refused():
    def change(model):
        model['model_args']['mlp_first'] = False

    with pytest.raises(PotentialError, match=r'mine cannot be used\. This CHGNet has another mlp_first'):
        load_potential(changed_chgnet(change))


def test_potential_that_knows_too_few_elements(m3gnet_directory, monkeypatch):
    files = resolve_potential(str(m3gnet_directory)).files
    potential = MatglPotential(files, 'destination')
    potential.elements = frozenset({'Si', 'C', 'O'})
    outcome = run_self_test(potential)
    assert set(outcome.formation_energies) == {'SiC'}
    assert not outcome.passed
