"""Fixtures of a hand-off to DFT."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily, PseudoPotentialFamily

#: All that is read of a pseudopotential before a calculation: version 2 of the format has a header of attributes.
UPF = '<UPF version="2.0.1"><PP_HEADER element="{element}" z_valence="{valence}" functional="{functional}"/></UPF>\n'


@pytest.fixture
def make_family(aiida_profile, tmp_path):
    """Return a function that makes a family of pseudopotentials from the functional of every element."""
    made = []

    def make(label, cutoffs=True, **functionals):
        directory = tmp_path / label
        directory.mkdir()
        for element, functional in functionals.items():
            (directory / f'{element}.upf').write_text(UPF.format(element=element, valence=4.0, functional=functional))
        kind = CutoffsPseudoPotentialFamily if cutoffs else PseudoPotentialFamily
        family = kind.create_from_folder(directory, label, pseudo_type=UpfData)
        made.append(family)
        if cutoffs:
            values = {element: {'cutoff_wfc': 30.0, 'cutoff_rho': 240.0} for element in functionals}
            family.set_cutoffs(values, 'standard', unit='Ry')
        return family

    yield make
    for family in made:
        orm.Group.collection.delete(family.pk)


@pytest.fixture
def silicon_carbide():
    """Return zinc blende SiC."""
    half = 4.35 / 2
    structure = orm.StructureData(cell=[[0, half, half], [half, 0, half], [half, half, 0]])
    structure.append_atom(position=(0, 0, 0), symbols='Si')
    structure.append_atom(position=(half / 2, half / 2, half / 2), symbols='C')
    return structure
