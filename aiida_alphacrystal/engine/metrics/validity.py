"""The filter that published benchmarks of structure prediction apply before they count a match.

DiffCSP and FlowMM, after CDVAE (T. Xie et al., ICLR 2022, https://doi.org/10.48550/arXiv.2110.06197), count a match
only where predicted and known crystal are both valid: charges that can balance by SMACT (D. W. Davies et al., J. Open
Source Softw. 4, 1361, 2019, https://doi.org/10.21105/joss.01361), and no two atoms within half an angstrom. Their
further condition, that a CrystalNN fingerprint can be computed, is not asked for here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from aiida_alphacrystal.engine.distances import minimum_image_distances

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

__all__ = ('composition_is_valid', 'geometry_is_valid')

#: Shortest distance (A) between two atoms, and smallest cell (cubic A), that pass.
_SHORTEST, _SMALLEST = 0.5, 0.1


def composition_is_valid(composition: Composition) -> bool:
    """Return whether the charges of a composition can balance, with electronegativities in order, or all are metals.

    :param composition: of the crystal.
    """
    return _smact_valid(composition.reduced_formula)


@functools.lru_cache(maxsize=4096)
def _smact_valid(formula: str) -> bool:
    from smact.screening import smact_validity

    return bool(smact_validity(formula, use_pauling_test=True, include_alloys=True, oxidation_states_set='smact14'))


def geometry_is_valid(structure: Structure) -> bool:
    """Return whether no two atoms are closer than half an angstrom and the cell has a volume.

    :param structure: the crystal.
    """
    if structure.volume < _SMALLEST:
        return False
    distances = minimum_image_distances(structure.lattice.matrix, structure.frac_coords)
    return bool(np.min(distances) > _SHORTEST)
