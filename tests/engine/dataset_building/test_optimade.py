"""An OPTIMADE provider, played by a server on this machine from recorded responses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_alphacrystal.engine.dataset_building import Entry, OptimadeSource, UnreachableError, UnusableError
from aiida_alphacrystal.engine.dataset_building.optimade import read_structure
from aiida_alphacrystal.engine.datasets import DatasetError
from tests.local_server import RECORDED, Answer, optimade

FIRST = json.loads((RECORDED / 'optimade' / 'page_1.json').read_text())['data'][1]['attributes']


def outcome(entry):
    try:
        crystal = entry.read()
    except UnusableError as reason:
        return entry.name, str(reason)
    return entry.name, crystal.natoms, crystal.spacegroup, crystal.formation_energy_per_atom, crystal.e_above_hull


def source_at(server, **options):
    return OptimadeSource(server.base, back_off=0.001, **options)


def test_all_pages(serve):
    server = serve(optimade)
    source = source_at(server, query='nelements=2', energy_field='_tst_energy', hull_field='_tst_hull')
    first, second = source.pages(None)
    assert [outcome(entry) for entry in (*first.entries, *second.entries)] == [
        ('tst-1', 2, 225, -2.1, 0.0),
        ('tst-2', 5, 221, -3.5, 0.02),
        ('tst-3', 'several elements share a site'),
        ('tst-4', 2, 216, -0.9, 0.01),
        ('tst-5', 'not periodic in all three directions'),
        ('tst-6', 'no lattice, positions and species as OPTIMADE defines them'),
    ]
    assert first.facts == {'provider': 'Textbook crystals', 'api_version': '1.2.0', 'licence': 'CC-BY-4.0'}
    assert (first.total, second.total, second.after, second.facts) == (6, 6, None, {})
    asked = [(request.path, request.parameters.get('filter')) for request in server.requests]
    assert asked == [('/v1/info', None), ('/v1/structures', 'nelements=2'), ('/v1/structures', None)]
    fields = server.requests[1].parameters['response_fields'].split(',')
    assert {'lattice_vectors', 'species', '_tst_energy', '_tst_hull'} <= set(fields)


def test_going_on_asks_for_the_next_page_only(serve):
    server = serve(optimade)
    first = next(source_at(server).pages(None))
    server.requests.clear()
    (second,) = source_at(server).pages(first.after)
    assert [entry.name for entry in second.entries] == ['tst-4', 'tst-5', 'tst-6']
    assert [request.parameters for request in server.requests] == [{'page_number': '2'}]


@pytest.mark.parametrize('end', ['', '/', '/v1', '/v1/'])
def test_base_urls(serve, end):
    server = serve(optimade)
    list(OptimadeSource(server.base + end).pages(None))
    assert server.requests[0].path == '/v1/info'


@pytest.mark.parametrize(
    ('answer', 'message', 'kind', 'attempts'),
    [
        (Answer({}, 429), 'asks for fewer requests (HTTP 429)', UnreachableError, 5),
        (Answer('', 503), 'fails (HTTP 503), also when asked several times', UnreachableError, 5),
        (
            Answer({'errors': [{'title': 'Bad Request', 'detail': 'No such\nfield.'}]}, 400),
            'does not accept the query (HTTP 400, No such field): see whether address and filter are right',
            DatasetError,
            1,
        ),
        (Answer('<html>', 404), 'does not accept the query (HTTP 404)', DatasetError, 1),
        (Answer('', 403), 'refuses access (HTTP 403)', DatasetError, 1),
        (Answer('<html>'), 'answers with something that is no JSON object', DatasetError, 1),
        (Answer([1]), 'answers with something that is no JSON object', DatasetError, 1),
        (Answer({'data': None}), '/v1/info is not an answer of OPTIMADE', DatasetError, 1),
    ],
)
def test_what_can_go_wrong_is_one_sentence(serve, answer, message, kind, attempts):
    server = serve(lambda request: answer)
    with pytest.raises(DatasetError) as error:
        list(source_at(server).pages(None))
    assert message in str(error.value)
    assert type(error.value) is kind
    assert '\n' not in str(error.value)
    assert len(server.requests) == attempts


def test_a_server_that_fails_for_a_moment_is_asked_again(serve):
    waits = iter([Answer('', 503), Answer('', 429, {'Retry-After': '0'})])
    server = serve(lambda request: next(waits, None) or optimade(request))
    assert len(list(source_at(server).pages(None))) == 2
    assert len(server.requests) == 5


def test_nobody_there():
    with pytest.raises(UnreachableError, match=r'127\.0\.0\.1:9 cannot be reached: see whether this machine'):
        list(OptimadeSource('http://127.0.0.1:9', back_off=0.001).pages(None))


@pytest.mark.parametrize('url', ['example.org', 'ftp://example.org', 'https://', ''])
def test_no_address(url):
    with pytest.raises(DatasetError, match='is no base URL of an OPTIMADE provider'):
        OptimadeSource(url)


@pytest.mark.parametrize('data', [None, {}, [1], 'x'])
def test_a_foreign_page(serve, data):
    server = serve(lambda request: optimade(request) if request.path == '/v1/info' else Answer({'data': data}))
    with pytest.raises(DatasetError, match='is not an answer of OPTIMADE'):
        list(source_at(server).pages(None))


@pytest.mark.parametrize('link', ['http://elsewhere.example/v1/structures', {'href': 'http://localhost:1/v1'}])
def test_no_other_host_is_asked(serve, link):
    page = {'data': [{'id': 'x', 'attributes': FIRST}], 'links': {'next': link}}
    server = serve(lambda request: optimade(request) if request.path == '/v1/info' else Answer(page))
    with pytest.raises(DatasetError, match='the same one or at another host'):
        list(source_at(server).pages(None))
    assert len(server.requests) == 2


def changed(field, value):
    return {**FIRST, field: value}


SPECIES = FIRST['species']


@pytest.mark.parametrize(
    ('attributes', 'reason'),
    [
        (changed('structure_features', ['assemblies']), 'sites that depend on each other, or atoms without positions'),
        (
            changed('species', [{**SPECIES[0], 'chemical_symbols': ['O', 'vacancy'], 'concentration': [0.9, 0.1]}]),
            'a site is only partly occupied',
        ),
        (changed('species', [{**SPECIES[0], 'concentration': [0.9]}]), 'a site is only partly occupied'),
        (changed('species', [{**SPECIES[0], 'chemical_symbols': ['X']}]), 'the element X is not known'),
        (changed('lattice_vectors', [[1, 0, 0]] * 3), 'no lattice, positions and species as OPTIMADE defines them'),
    ],
)
def test_unusable(attributes, reason):
    with pytest.raises(UnusableError) as error:
        read_structure('x', attributes)
    assert str(error.value) == reason


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(sorted(FIRST)), value=ANYTHING)
def test_anything_is_a_crystal_or_has_a_reason(field, value):
    _, found = outcome(Entry('x', lambda: read_structure('x', changed(field, value))))[:2]
    assert found == 5 or len(found) > 9
