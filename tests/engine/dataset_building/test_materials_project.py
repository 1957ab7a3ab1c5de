"""The Materials Project, played by a server on this machine from recorded responses, through its own client."""

from __future__ import annotations

import pytest

from aiida_alphacrystal.engine.dataset_building import Filters, MaterialsProjectSource, UnreachableError
from aiida_alphacrystal.engine.datasets import DatasetError
from tests.local_server import Answer, materials_project

KEY = 'k' * 32


@pytest.fixture
def server(serve, monkeypatch):
    """Start a server that the client takes for the Materials Project."""
    settings = pytest.importorskip('mp_api.client.core.settings', reason='the extra `datasets` is not installed')
    server = serve(materials_project)
    monkeypatch.setattr(settings.MAPI_CLIENT_SETTINGS, 'ENDPOINT', server.base)
    monkeypatch.setenv('MP_API_ENDPOINT', server.base)
    return server


def source(filters=None, **options):
    return MaterialsProjectSource(KEY, filters or Filters(), page_size=3, back_off=0.001, **options)


def test_all_pages(server):
    first, second = source().pages(None)
    crystals = [entry.read() for page in (first, second) for entry in page.entries]
    assert [(one.material_id, one.natoms, one.spacegroup) for one in crystals] == [
        ('mp-9000001', 2, 225),
        ('mp-9000002', 2, 221),
        ('mp-9000003', 5, 221),
        ('mp-9000004', 2, 216),
        ('mp-9000005', 2, 225),
    ]
    assert (crystals[4].formation_energy_per_atom, crystals[4].e_above_hull) == (-2.05, 0.05)
    assert (first.after, second.after, first.total) == (1, None, 5)
    assert first.facts == {'database_version': '2026.01.01', 'matching': 5}


def test_the_server_is_asked_to_filter(server):
    filters = Filters.from_presets(['mp12', 'cubic', 'binary', 'ternary'], max_above_hull=0.1)
    list(source(filters, elements=('Na', 'Cl'), chemsys='Cl-Na').pages(None))
    count, page, _ = (request.parameters for request in server.requests if request.path != '/heartbeat')
    wanted = {
        'nsites_min': '1',
        'nsites_max': '12',
        'nelements_min': '2',
        'nelements_max': '3',
        'energy_above_hull_min': '0',
        'energy_above_hull_max': '0.1',
        'crystal_system': 'Cubic',
        'elements': 'Na,Cl',
        'chemsys': 'Cl-Na',
        'deprecated': 'False',
        'batch_id_not_eq': 'gnome_r2scan_statics',
    }
    assert wanted.items() <= page.items()
    assert wanted == {name: value for name, value in count.items() if not name.startswith('_')}
    assert page['_fields'] == 'material_id,structure,formation_energy_per_atom,energy_above_hull'


def test_going_on(server):
    (second,) = source().pages(1)
    assert [entry.name for entry in second.entries] == ['mp-9000004', 'mp-9000005']
    assert [request.parameters['_page'] for request in server.requests if '_page' in request.parameters] == ['2']


@pytest.mark.parametrize(
    ('answer', 'message', 'kind', 'attempts'),
    [
        (Answer({'detail': 'Invalid key.'}, 401), 'refuses access (HTTP 401, Invalid key)', DatasetError, 1),
        (Answer('', 403), 'refuses access (HTTP 403', DatasetError, 1),
        (Answer({}, 429), 'asks for fewer requests (HTTP 429', UnreachableError, 5),
        (Answer('', 500), 'fails (HTTP 500', UnreachableError, 5),
        (Answer('<html>'), 'answers with something that is not of the Materials Project', DatasetError, 1),
        (Answer({'meta': {}}), 'answers with something that is not of the Materials Project', DatasetError, 1),
    ],
)
def test_what_can_go_wrong_is_one_sentence(server, answer, message, kind, attempts):
    server.answer = lambda request: materials_project(request) if request.path == '/heartbeat' else answer
    with pytest.raises(DatasetError) as error:
        list(source().pages(None))
    assert message in str(error.value)
    assert type(error.value) is kind
    assert '\n' not in str(error.value)
    assert sum(request.path != '/heartbeat' for request in server.requests) == attempts


def test_a_page_that_is_not_full_is_noticed(server):
    def short(request):
        answer = materials_project(request)
        return Answer({**answer.content, 'data': answer.content['data'][:2]}) if request.parameters else answer

    server.answer = short
    with pytest.raises(UnreachableError, match='has sent 2 materials in place of 3 on page 1'):
        list(source().pages(None))


def test_a_key_has_32_characters_and_is_told_nobody():
    with pytest.raises(DatasetError, match='has 3 characters in place of 32'):
        MaterialsProjectSource('abc', Filters())
    assert KEY not in repr(source())
    assert KEY not in str(source().describe())
