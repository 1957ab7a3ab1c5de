"""Prototypes that vote in the tests of the cells."""

import pytest

from aiida_alphacrystal.engine.cells import TemplateVotes
from aiida_alphacrystal.engine.reconstruct.library import load_library


@pytest.fixture(scope='session')
def library():
    """Return the prototypes of the package."""
    return load_library()


@pytest.fixture(scope='session')
def voters(library):
    """Return them as voters."""
    return TemplateVotes(library)
