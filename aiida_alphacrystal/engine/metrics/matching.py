"""The match criterion of the package.

Two crystals match when pymatgen's ``StructureMatcher`` with the tolerances of CDVAE (T. Xie et al., ICLR 2022,
https://doi.org/10.48550/arXiv.2110.06197) and DiffCSP (R. Jiao et al., NeurIPS 2023,
https://doi.org/10.48550/arXiv.2309.04475) finds a root mean square displacement. Its method ``fit`` is not that
criterion: it holds the largest displacement against the same tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pymatgen.analysis.structure_matcher import StructureMatcher

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ('MATCH_TOLERANCE', 'STRICT_RMS', 'first_match', 'normalised_rms', 'reduced_structure', 'structure_matcher')

#: Largest normalised displacement of a match.
MATCH_TOLERANCE = 0.5

#: Below this normalised displacement a match is strict; the criterion itself is lenient.
STRICT_RMS = 0.1


def structure_matcher(primitive_cell: bool = True) -> StructureMatcher:
    """Return a matcher with the tolerances of the criterion.

    :param primitive_cell: whether it looks for the primitive cells first; it need not where they are given.
    """
    return StructureMatcher(ltol=0.3, stol=MATCH_TOLERANCE, angle_tol=10, primitive_cell=primitive_cell)


_MATCHER = structure_matcher()


def reduced_structure(structure: Structure) -> Structure:
    """Return the primitive cell that a matcher makes of a structure before it compares it.

    Reducing takes longer than comparing, so structures that are compared with many are reduced once, and compared
    with ``fit(first, second, skip_structure_reduction=True)``.

    :param structure: any cell.
    """
    reduced: Structure = structure.get_reduced_structure(reduction_algo='niggli').get_primitive_structure()
    return reduced


def normalised_rms(predicted: Structure, truth: Structure) -> float | None:
    """Return the root mean square displacement of the atoms of two crystals, None where they do not match.

    Both are reduced to primitive cells and scaled to one volume first.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    :return: the displacement in units of the cube root of the volume per atom.
    """
    found = _MATCHER.get_rms_dist(predicted, truth)  # type: ignore[no-untyped-call]
    return None if found is None else float(found[0])


def first_match(candidates: Iterable[Structure], truth: Structure) -> int | None:
    """Return the rank of the first candidate that matches, from 1, None where none does.

    :param candidates: predicted crystals, best first; none after the match is asked for.
    :param truth: the known crystal.
    """
    ranked = enumerate(candidates, start=1)
    return next((rank for rank, candidate in ranked if normalised_rms(candidate, truth) is not None), None)
