"""A whole data set."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiida_alphacrystal.engine.dataset_building import (
    DatasetJournal,
    DatasetSettings,
    Filters,
    FolderSource,
    GivenCrystals,
    OptimadeSource,
    Source,
    Split,
    build_dataset,
)
from aiida_alphacrystal.engine.datasets import DatasetError, file_sha256, read_crystals
from aiida_alphacrystal.engine.journal import JournalError
from aiida_alphacrystal.engine.progress import reporting
from tests.local_server import Answer, optimade

SHARED = Path(__file__).parents[3] / '..' / 'shared' / 'data'
FILES = ('train.jsonl.gz', 'val.jsonl.gz', 'test.jsonl.gz')
SETTINGS = DatasetSettings(split=Split(0.25, 0.25))


def test_files_and_card(source, tmp_path):
    card = build_dataset(source, dataclasses.replace(SETTINGS, stated='made by hand'), tmp_path)
    assert card == json.loads((tmp_path / 'card.json').read_text())
    assert card['source'] == {'kind': 'salts', 'stated': 'made by hand'}
    counts = card['counts']
    assert (counts['read'], counts['duplicates'], sum(counts['written'].values())) == (13, 0, 12)
    assert counts['left_out'] == {'several elements share a site': 1}
    assert card['left_out'] == [{'material_id': 'alloy', 'reason': 'several elements share a site'}]
    assert list(card['files']) == list(FILES)
    formulas = []
    for name, facts in card['files'].items():
        content = (tmp_path / name).read_bytes()
        assert facts['sha256'] == hashlib.sha256(content).hexdigest() == file_sha256(tmp_path / name)
        crystals = read_crystals(tmp_path / name)
        assert len(crystals) == facts['crystals'] > 0
        formulas.append({crystal.formula.reduced for crystal in crystals})
    assert sum(map(len, formulas)) == len(set.union(*formulas)) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, 'card.json', 'pages.jsonl', 'plan.json'])


def test_the_same_bytes_wherever_they_are_written(source, tmp_path):
    for name in ('one', 'other'):
        build_dataset(source, SETTINGS, tmp_path / name)
    for name in FILES:
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'other' / name).read_bytes()
    assert gzip.decompress((tmp_path / 'one' / FILES[0]).read_bytes()).startswith(b'{"material_id":"')


def test_parts_without_a_share_are_not_written(source, tmp_path):
    card = build_dataset(source, DatasetSettings(split=Split(0, 0)), tmp_path)
    assert card['counts']['written'] == {'train': 12}
    assert not (tmp_path / 'val.jsonl.gz').exists()


def test_filters_count(source, tmp_path):
    filters = Filters(max_above_hull=0.0, elements=(3,))
    with pytest.raises(DatasetError, match=r'None of the 13 entries .* 12 times: not of 3 elements\): ask for others'):
        build_dataset(source, DatasetSettings(filters), tmp_path)


def test_an_empty_source(tmp_path):
    with pytest.raises(DatasetError, match='The source holds no crystal'):
        build_dataset(GivenCrystals({}, ()), DatasetSettings(), tmp_path)


def test_a_limit_stops_the_reading(salts, tmp_path):
    card = build_dataset(GivenCrystals({}, salts), DatasetSettings(split=Split(0, 0), limit=5), tmp_path)
    assert (card['counts']['read'], card['counts']['written']) == (5, {'train': 5})
    assert [one.material_id for one in read_crystals(tmp_path / FILES[0])] == [one.material_id for one in salts[:5]]
    assert build_dataset(GivenCrystals({}, salts), DatasetSettings(split=Split(0, 0), limit=5), tmp_path) == card


def test_another_data_set_is_refused(source, salts, tmp_path):
    build_dataset(source, SETTINGS, tmp_path)
    before = [(tmp_path / name).read_bytes() for name in FILES]
    changed = dataclasses.replace(SETTINGS, filters=Filters(max_atoms=12))
    with pytest.raises(JournalError, match=r'asked for otherwise \(filters\.max_atoms: 20, not 12\): give another'):
        build_dataset(source, changed, tmp_path)
    with pytest.raises(JournalError, match=r'source\.kind: salts, not others'):
        build_dataset(GivenCrystals({'kind': 'others'}, salts), SETTINGS, tmp_path)
    assert [(tmp_path / name).read_bytes() for name in FILES] == before


def test_two_at_once_are_refused(source, tmp_path):
    with (
        DatasetJournal(tmp_path, {}),
        pytest.raises(JournalError, match='Another command makes a data set in'),
    ):
        build_dataset(source, SETTINGS, tmp_path)


@dataclasses.dataclass(frozen=True)
class Breaking:
    """A source that breaks off after so many pages, and writes down where it was asked to begin."""

    source: Source
    pages_given: int
    begun: list

    def describe(self) -> dict:
        return self.source.describe()

    def pages(self, after) -> Iterator:
        self.begun.append(after)
        for number, page in enumerate(self.source.pages(after)):
            if number == self.pages_given:
                raise KeyboardInterrupt
            yield page


def test_a_stopped_command_goes_on(serve, tmp_path):
    source = OptimadeSource(serve(optimade).base, energy_field='_tst_energy')
    whole = build_dataset(source, SETTINGS, tmp_path / 'whole')
    begun = []
    with pytest.raises(KeyboardInterrupt):
        build_dataset(Breaking(source, 1, begun), SETTINGS, tmp_path / 'stopped')
    assert not (tmp_path / 'stopped' / 'card.json').exists()
    journal = tmp_path / 'stopped' / 'pages.jsonl'
    journal.write_text(journal.read_text() + '{"after": "torn')
    card = build_dataset(Breaking(source, 9, begun), SETTINGS, tmp_path / 'stopped')
    assert begun == [None, f'{source.url}/v1/structures?page_number=2']
    assert card == whole
    build_dataset(Breaking(source, 0, begun), SETTINGS, tmp_path / 'stopped')
    assert len(begun) == 2
    for name in whole['files']:
        assert (tmp_path / 'stopped' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_a_server_that_gives_up_in_the_middle(serve, tmp_path):
    server = serve(lambda request: Answer('', 503) if 'page_number' in request.parameters else optimade(request))
    source = OptimadeSource(server.base, back_off=0.001)
    with pytest.raises(DatasetError, match='HTTP 503'):
        build_dataset(source, SETTINGS, tmp_path)
    server.answer = optimade
    server.requests.clear()
    card = build_dataset(source, SETTINGS, tmp_path)
    assert card['counts']['read'] == 6
    assert card['source']['provider'] == 'Textbook crystals'
    assert len(server.requests) == 1


def test_a_damaged_journal_is_named(source, tmp_path):
    build_dataset(source, SETTINGS, tmp_path)
    (tmp_path / 'pages.jsonl').write_text('{"after": 1}\n')
    with pytest.raises(JournalError, match=r'pages\.jsonl:1 is damaged'):
        build_dataset(source, SETTINGS, tmp_path)


def test_progress_is_told(source, tmp_path):
    told = []
    with reporting(lambda *facts: told.append(facts)):
        build_dataset(source, SETTINGS, tmp_path)
    assert list(dict.fromkeys(stage for stage, *_ in told)) == ['read', 'duplicates', 'write']
    assert told[12] == ('read', 13, 13)
    assert told[-1] == ('write', 3, 3)


@pytest.mark.skipif(not SHARED.is_dir(), reason='the shared crystals are not beside this repository')
def test_the_shared_validation_crystals(tmp_path):
    settings = DatasetSettings(Filters.from_presets(['mp12', 'binary']), Split(0.1, 0.1))
    card = build_dataset(FolderSource(SHARED / 'val.jsonl.gz'), settings, tmp_path)
    counts = card['counts']
    assert counts['read'] == 737
    assert counts['left_out'] == {}
    taken = counts['read'] - sum(counts['filtered'].values())
    assert taken - counts['duplicates'] == sum(counts['written'].values())
    known = {crystal.material_id: crystal for crystal in read_crystals(SHARED / 'val.jsonl.gz')}
    for name in card['files']:
        for crystal in read_crystals(tmp_path / name):
            before = known[crystal.material_id]
            assert crystal.natoms <= min(12, before.natoms)
            assert len(set(crystal.species)) == 2
            assert crystal.formula.reduced == before.formula.reduced
            assert crystal.formation_energy_per_atom == before.formation_energy_per_atom
