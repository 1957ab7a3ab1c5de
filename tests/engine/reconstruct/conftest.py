"""Crystals and a prototype library for the tests of the reconstruction."""

import pytest

from aiida_alphacrystal.engine.datasets import read_crystals
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.training import train_templates


@pytest.fixture(scope='session')
def crystals(crystals_file):
    """Return the textbook crystals."""
    return read_crystals(crystals_file)


@pytest.fixture(scope='session')
def library_dir(crystals, tmp_path_factory):
    """Return the directory of a library of the textbook crystals."""
    directory = tmp_path_factory.mktemp('library')
    train_templates(crystals, {'file': 'textbook'}, directory)
    return directory


@pytest.fixture(scope='session')
def library(library_dir):
    """Return a library of the textbook crystals."""
    return load_library(library_dir / 'templates.safetensors')
