"""The tables of the reference hold everything that the code has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from aiida_alphacrystal.engine.settings import PredictionSettings


@pytest.fixture(scope='module')
def reference():
    pytest.importorskip('sphinx', reason='the extra `docs` is not installed')
    path = Path(__file__).parents[2] / 'docs' / '_extensions' / 'generated_reference.py'
    spec = importlib.util.spec_from_file_location('generated_reference', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_explained(reference):
    rows = {path: rest for path, *rest in reference.setting_rows()}
    sections = PredictionSettings().to_dict()
    paths = {
        f'`{section}.{name}`' if isinstance(values, dict) else f'`{section}`'
        for section, values in sections.items()
        for name in (values if isinstance(values, dict) else [''])
    }
    assert rows.keys() == paths
    assert all(meaning.endswith('.') for _, _, meaning in rows.values())
    assert rows['`rank.top`'] == ['`10`', '1 to 500', 'How many distinct structures the ranking holds.']
    assert rows['`search.method`'][1] == 'descent, genetic'


def test_protocols_show_what_they_change(reference):
    protocols, rows = reference.protocol_rows()
    assert protocols == ['fast', 'balanced', 'stringent', 'paper']
    values = {path: cells for path, *cells in rows}
    assert values['`rank.top`'] == ['`5`', '`10`', '`20`', '`20`']
    assert values['`search.method`'][3] == "`'genetic'`"
    assert values['`templates.decorations`'] == ['', '`True`', '', '']


def test_every_exit_code_is_explained(reference, aiida_profile):
    rows = reference.exit_code_rows()
    known = {(status, label): (names, meaning) for status, label, names, meaning in rows}
    assert all(meaning and '{' not in meaning for _, meaning in known.values())
    assert known['310', '`ERROR_STAGE_FAILED`'][1].startswith('A stage failed')
    names, meaning = known['201', '`ERROR_INVALID_FORMULA`']
    assert meaning == 'A formula cannot be read as a stoichiometric compound.'
    assert names == 'every process'
    assert known['420', '`ERROR_ALL_RELAXATIONS_FAILED`'][0] == '`predict`'
    assert known['440', '`ERROR_OUT_OF_WALLTIME`'][0] == 'the job `predict`'
