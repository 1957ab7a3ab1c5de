"""Tests of the names of where candidates come from."""

import pytest

from aiida_alphacrystal.engine.candidate_sources import read_sources
from aiida_alphacrystal.engine.errors import SettingsError


def test_sources_are_names_with_commas():
    assert read_sources('templates') == ('templates',)
    assert read_sources(' templates, reconstruct,templates') == ('templates', 'reconstruct')
    assert read_sources('random') == ('random',)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'no source of candidates'),
        ('magic', "'?magic'? is no source"),
        ('templates,random', 'give each of them alone'),
        ('nearest-template,random', 'give each of them alone'),
    ],
)
def test_other_sources_are_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        read_sources(text)
