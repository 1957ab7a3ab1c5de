"""The command that tells where a structure came from."""

from __future__ import annotations

import json
import re

import pytest


def walk(origin):
    yield origin
    for source in origin['origins']:
        yield from walk(source)


@pytest.fixture(scope='module')
def traced(used_cli, prediction):
    completed = used_cli('provenance', prediction.result['pk'], '--format', 'json')
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_from_the_structure_to_formula_weights_potential_and_seed(traced, prediction):
    assert traced['pk'] == prediction.result['candidates'][0]['pk']
    leaves = {origin['text'] for origin in walk(traced) if not origin['origins'] and not origin['repeated']}
    assert 'NaCl' in leaves
    assert '3' in leaves  # the seed
    for purpose in ('cells', 'distances', 'templates'):
        assert any(text.startswith(f'weights for {purpose}, sha256 ') for text in leaves)
    assert any(text.startswith('potential chgnet') for text in leaves)


def test_every_step_once(traced):
    steps = [origin for origin in walk(traced) if origin['step'] and not origin['repeated']]
    names = [origin['text'].split(',')[0] for origin in steps]
    assert sorted(names) == ['featurize', 'predict_cells', 'predict_distances', 'rank', 'reconstruct', 'relax']


def test_the_candidate_that_became_the_structure(traced):
    rank = traced['origins'][0]
    assert re.fullmatch('rank, candidate c_[0-9]{3}', rank['text'])
    candidates = next(origin for origin in walk(rank) if origin['role'] == 'structures')
    assert re.fullmatch('[1-9][0-9]* candidates', candidates['text'])
    assert candidates['origins'][0]['text'] == 'reconstruct'


def test_tree(used_cli, prediction):
    completed = used_cli('provenance', prediction.result['candidates'][0]['pk'])
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.splitlines()[0].startswith('structure: ClNa')
    assert 'formula: NaCl' in completed.stdout
    assert 'its origins stand above' in completed.stdout


def test_rank(used_cli, prediction):
    completed = used_cli('provenance', prediction.result['pk'], '--rank', 2, '--format', 'json')
    assert json.loads(completed.stdout)['pk'] == prediction.result['candidates'][1]['pk']


def test_graph(used_cli, prediction, traced, tmp_path):
    path = tmp_path / 'graph.dot'
    completed = used_cli('provenance', prediction.result['pk'], '--output', path)
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == f'Wrote {path}.\n'
    text = path.read_text()
    assert text.startswith('digraph {')
    for origin in walk(traced):
        assert f'({origin["pk"]})' in text


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ((99999999,), "There is no node '99999999'"),
        (('PK', '--rank', 400), 'and no rank_400'),
        (('STRUCTURE', '--rank', 1), '--rank chooses a structure of a prediction'),
        (('PK', '--output', 'graph.txt'), 'give a name that ends with .dot, .svg or .png'),
        (('PK', '--output', '/nowhere/graph.dot'), "'/nowhere/graph.dot' cannot be written"),
        ((' ',), 'The identifier is empty'),
    ],
)
def test_bad_input(used_cli, prediction, arguments, sentence):
    nodes = {'PK': prediction.result['pk'], 'STRUCTURE': prediction.result['candidates'][0]['pk']}
    completed = used_cli('provenance', *(nodes.get(word, word) for word in arguments))
    assert completed.returncode == 2
    assert completed.stdout == ''
    assert sentence in completed.stderr
    assert completed.stderr.count('\n') == 1


def test_what_is_neither(used_cli, prediction, traced):
    formula = next(origin['pk'] for origin in walk(traced) if origin['role'] == 'formula')
    completed = used_cli('provenance', formula)
    assert completed.returncode == 2
    assert 'is a Str: give a prediction or a structure.' in completed.stderr
