"""The page as text: nothing runs that should not, nothing is loaded, and it stays small."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_alphacrystal.report.page.render import _ROW_BYTES, MAX_BYTES, MAX_ROWS, _formula, _spacegroup, render_page

LOADING = {'src', 'srcset', 'href', 'action', 'formaction', 'data', 'poster', 'background', 'xlink:href'}
MARKUP = r'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\bfetch\b|https?:(?!//www\.w3\.org/2000/svg)'


class Reader(HTMLParser):
    """Collect what a browser would see."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.scripts, self.loaded, self.handlers, self.policy, self.texts = [], [], [], '', []
        self._inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.loaded += [(tag, value) for name, value in attrs if name in LOADING]
        self.handlers += [name for name, _ in attrs if name.startswith('on')]
        if values.get('http-equiv') == 'Content-Security-Policy':
            self.policy = values['content']
        if tag == 'script':
            self._inside = True
            self.scripts.append([values.get('type', ''), ''])

    def handle_endtag(self, tag):
        if tag == 'script':
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1][1] += data
        else:
            self.texts.append(data)

    @property
    def data(self):
        return json.loads(self.scripts[0][1])


def with_facts(page, **facts):
    return dataclasses.replace(page, facts={**page.facts, **facts})


@pytest.fixture(params=['page', 'screening_page'])
def any_page(request):
    return request.getfixturevalue(request.param)


def test_same_content_gives_the_same_text(any_page):
    assert render_page(copy.deepcopy(any_page)) == render_page(any_page)


def test_nothing_is_loaded(any_page):
    text = render_page(any_page)
    reader = Reader(text)
    assert reader.loaded == [('a', '#main')]
    assert reader.handlers == []
    style = text.split('<style>')[1].split('</style>')[0]
    assert 'url(' not in style
    assert '@import' not in style


def test_policy_allows_our_scripts_and_no_request(any_page):
    reader = Reader(render_page(any_page))
    hashes = re.findall(r"'sha256-([^']+)'", reader.policy)
    bodies = [body for kind, body in reader.scripts if kind != 'application/json']
    assert hashes == [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert "default-src 'none'" in reader.policy
    assert "connect-src 'none'" in reader.policy
    assert 'unsafe-eval' not in reader.policy
    assert re.search(r"script-src[^;]*'unsafe-inline'", reader.policy) is None


def test_text_of_users_stays_text(any_page, evil):
    facts = dict.fromkeys(['label', 'description', 'potential_notice', 'group', 'exit_message'], evil)
    text = render_page(with_facts(any_page, **facts, potential={**any_page.facts['potential'], 'name': evil}))
    reader = Reader(text)
    assert [kind for kind, _ in reader.scripts] == ['application/json', '', '']
    assert '<img' not in text.split('<script type="application/json"')[0]
    assert reader.handlers == []
    assert sum(part.strip() == evil for part in reader.texts) >= 4
    assert reader.data['facts']['label'] == evil
    assert not set('<>&') & set(reader.scripts[0][1])


def test_a_formula_that_is_a_script(page, evil):
    row = {**page.candidates[0], 'origin': evil, 'source': evil, 'spacegroup_symbol': evil}
    reader = Reader(render_page(dataclasses.replace(with_facts(page, formula=evil), candidates=(row,))))
    assert len(reader.scripts) == 3
    assert reader.handlers == []
    assert reader.data['candidates'][0]['origin'] == evil


@given(st.text())
def test_marks_of_formulas_and_symbols_escape(text):
    for mark in (_formula, _spacegroup):
        plain = re.sub(r'<sub>\w+</sub>|<span class="bar">\w</span>', '', str(mark(text)))
        assert not set('<>"') & set(plain)


def test_marks_of_formulas_and_symbols():
    assert str(_formula('Sr2TiO4')) == 'Sr<sub>2</sub>TiO<sub>4</sub>'
    assert str(_spacegroup('P-3m1')) == 'P<span class="bar">3</span>m1'
    assert str(_spacegroup('P6_3/mmc')) == 'P6<sub>3</sub>/mmc'


def test_all_of_a_prediction_is_there(page):
    reader = Reader(render_page(page))
    assert [row['uuid'] for row in reader.data['candidates']] == ['uuid-21', 'uuid-22', 'uuid-23']
    assert reader.data['candidates'][0]['crystal'] == page.candidates[0]['crystal']
    text = ' '.join(' '.join(reader.texts).split())
    for expected in ('a' * 64, 'b' * 64, 'uuid-11', 'uuid-21', 'aiida-core 2.9', '7 crystals of file', 'seed 3'):
        assert expected in text
    assert 'not drawn' not in text


def test_a_refinement_is_there(page):
    row = {
        'rank': 1,
        'predicted_rank': 2,
        'label': 'rank_02',
        'number_of_atoms': 2,
        'spacegroup': 225,
        'spacegroup_symbol': 'Fm-3m',
        'energy_per_atom': -12.34567,
        'relative_energy': 0.0,
        'predicted_relative_energy': None,
        'volume_per_atom': 22.4,
        'volume_change': 0.01,
        'same_as': None,
        'pk': 77,
        'uuid': 'uuid-77',
        'cif': 'data_',
    }
    refinement = {
        'refined': [row] * 30,
        'kendall_tau': -1.0,
        'refiner': 'test.toy',
        'failed': [{'predicted_rank': 1, 'label': 'rank_01', 'exit_status': 401, 'reason': 'it was too large'}],
        'code': 'pw@localhost',
        'protocol': None,
        'pk': 70,
    }
    reader = Reader(render_page(dataclasses.replace(page, refinements=(refinement,))))
    text = ' '.join(reader.texts)
    for expected in ('Refined with DFT', '\N{MINUS SIGN}12.3457', 'it was too large', 'test.toy with pw@localhost'):
        assert expected in text
    refined = reader.data['refinements'][0]['refined']
    assert [entry['cif'] for entry in refined] == ['data_'] * 20 + [None] * 10


def test_a_long_ranking_stays_small(page):
    best = page.candidates[0]
    cell = best['crystal']['primitive']
    large = {**cell, 'coords': [[0.12345] * 3] * 80, 'species': ['Na'] * 80, 'cif': cell['cif'] * 10}
    row = {**best, 'crystal': {'primitive': large, 'conventional': large}}
    rows = tuple({**row, 'rank': rank, 'uuid': f'uuid-{rank:032d}'} for rank in range(1, 501))
    text = render_page(dataclasses.replace(page, candidates=rows))
    assert len(text.encode()) < MAX_BYTES
    embedded = Reader(text).data['candidates']
    drawn = [row['crystal'] is not None for row in embedded]
    assert len(embedded) == 500
    assert drawn == sorted(drawn, reverse=True)
    assert 20 < sum(drawn) < 500
    assert f'{500 - sum(drawn)} structures further down are listed but not drawn' in text


def test_a_long_screening_stays_small(screening_page):
    row = {**screening_page.rows[1], 'prediction_uuid': 'u' * 36}
    rows = tuple({**row, 'formula': f'Na{number}Cl'} for number in range(10_000))
    crystals = dict.fromkeys([*range(200), 9999], screening_page.crystals[1])
    text = render_page(dataclasses.replace(screening_page, rows=rows, crystals=crystals))
    assert len(text.encode()) < MAX_BYTES
    reader = Reader(text)
    shown = len(reader.data['rows'])
    assert 4_000 < shown <= MAX_ROWS
    assert f'{10_000 - shown} formulas further down the list are left out' in text
    assert sorted(map(int, reader.data['crystals'])) == list(range(200))
    assert f'{shown - 200} structures are listed but not drawn' in text


def test_long_reasons_are_cut(screening_page):
    rows = tuple({**screening_page.rows[2], 'reason': 'x' * 100_000} for _ in range(3))
    embedded = Reader(render_page(dataclasses.replace(screening_page, rows=rows))).data
    column = embedded['columns'].index('reason')
    assert [row[column] for row in embedded['rows']] == ['x' * 200 + ' ...'] * 3


def test_rows_that_are_long_are_fewer(screening_page):
    rows = tuple({**screening_page.rows[1], 'formula': 'Na' * 400} for _ in range(4_000))
    text = render_page(dataclasses.replace(screening_page, rows=rows))
    assert len(json.dumps(Reader(text).data['rows'])) < 1.2 * _ROW_BYTES
    assert len(text.encode()) < MAX_BYTES


def test_the_library_is_the_one_that_is_named():
    vendor = resources.files('aiida_alphacrystal.report.page').joinpath('vendor')
    told = re.search(r'^sha256 +(\w{64})$', vendor.joinpath('README.txt').read_text(), re.MULTILINE)
    assert told[1] == hashlib.sha256(vendor.joinpath('3Dmol-min.js').read_bytes()).hexdigest()
    assert 'University of Pittsburgh' in vendor.joinpath('LICENSE').read_text()


def test_our_scripts_make_no_markup():
    assets = resources.files('aiida_alphacrystal.report.page').joinpath('assets')
    scripts = {entry.name: entry.read_text() for entry in assets.iterdir() if entry.name.endswith('.js')}
    assert len(scripts) == 10
    assert {name for name, script in scripts.items() if re.search(MARKUP, script)} == set()
