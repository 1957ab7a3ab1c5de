"""What AiiDA's caching takes over when a prediction is made again, and what it computes anew."""

from __future__ import annotations

import io
import json

import pytest
from aiida.manage.caching import enable_caching

from aiida_alphacrystal.data import ModelData, PotentialData
from aiida_alphacrystal.engine.relax.potentials import PotentialFiles, resolve_potential

STAGES = ['featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank']


def taken_over(node):
    """Return the stages of a finished prediction that come from the cache."""
    assert node.is_finished_ok, node.exit_message
    stages = sorted(node.called, key=lambda called: called.pk)
    assert [stage.process_label for stage in stages] == STAGES
    return [stage.process_label for stage in stages if stage.base.caching.is_created_from_cache]


def same_weights_in_another_file(purpose):
    """Return weights that say the same and yet are another content."""
    from safetensors.torch import load, save

    content = ModelData.shipped(purpose).get_content(mode='rb')
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], 'little')])
    metadata = {**header.get('__metadata__', {}), 'note': 'another file'}
    return ModelData(io.BytesIO(save(load(content), metadata)), purpose=purpose)


def same_potential(name='chgnet', rewrite=False):
    """Return the potential of the package under another name or in a file that is another content."""
    import torch

    files = resolve_potential('chgnet').files
    if not rewrite:
        return PotentialData.from_files(PotentialFiles(name, files.kind, files.files))
    [(file, content)] = files.files.items()
    stream = io.BytesIO()
    torch.save(torch.load(io.BytesIO(content), weights_only=True, map_location='cpu'), stream)
    assert stream.getvalue() != content
    return PotentialData.from_files(PotentialFiles(name, files.kind, {file: stream.getvalue()}))


@pytest.fixture
def again(prediction, run_prediction):
    """Return a function that predicts NaCl again with some inputs changed, and the cache switched on."""

    def run(**changes):
        with enable_caching(identifier='aiida.calculations:alphacrystal.*'):
            return run_prediction('NaCl', **changes)

    return run


def test_equal_inputs(again):
    assert taken_over(again()) == STAGES


def test_another_way_to_write_the_formula_is_another_input(again, run_prediction):
    with enable_caching(identifier='aiida.calculations:alphacrystal.*'):
        node = run_prediction('ClNa')
    assert taken_over(node)[:1] != ['featurize']


def test_seed(again):
    stages = taken_over(again(seed=12345))
    assert stages[:3] == STAGES[:3]
    assert 'reconstruct' not in stages


@pytest.mark.parametrize(
    ('overrides', 'first_missed'),
    [
        ({'cells': {'max_hypotheses': 7}}, 'predict_cells'),  # a number that no other test asks for
        ({'templates': {'max_candidates': 1}}, 'reconstruct'),
        ({'relax': {'max_steps': 4}}, 'relax'),
        ({'rank': {'probability_weight': 0.3}}, 'rank'),
    ],
)
def test_settings(again, overrides, first_missed):
    from tests.conftest import TINY

    stages = taken_over(again(overrides={key: {**TINY[key], **value} for key, value in overrides.items()}))
    place = STAGES.index(first_missed)
    assert stages[:place] == STAGES[:place]
    assert first_missed not in stages


@pytest.mark.parametrize(
    ('purpose', 'first_missed'),
    [('distances', 'predict_distances'), ('cells', 'predict_cells'), ('templates', 'predict_cells')],
)
def test_weights(again, purpose, first_missed):
    models = {name: ModelData.shipped(name) for name in ModelData.PURPOSES}
    models[purpose] = same_weights_in_another_file(purpose)
    stages = taken_over(again(models=models))
    place = STAGES.index(first_missed)
    assert stages[:place] == STAGES[:place]
    assert first_missed not in stages
    assert ('reconstruct' in stages) is (purpose != 'templates')


def test_potential(again):
    assert taken_over(again(potential=same_potential(rewrite=True))) == STAGES[:4]


def test_name_of_the_potential_is_not_its_content(again):
    assert 'relax' in taken_over(again(potential=same_potential(name='mine')))


def test_version_of_an_algorithm(again, monkeypatch):
    from aiida_alphacrystal.calcfunctions import parameters

    versions = {**parameters.ALGORITHM_VERSIONS, 'relax': parameters.ALGORITHM_VERSIONS['relax'] + 1}
    monkeypatch.setattr(parameters, 'ALGORITHM_VERSIONS', versions)
    stages = taken_over(again())
    assert [stage for stage in STAGES if stage not in stages] == ['relax']
