"""The eight metrics by which the paper compares a predicted crystal with the known one.

Their definitions are those of CSPBenchMetrics (L. Wei, Q. Li, S. S. Omee, J. Hu, Comput. Mater. Sci. 235, 112802, 2024,
https://doi.org/10.1016/j.commatsci.2024.112802). Its programs work on the cells as the files hold them; here every
number belongs to the crystals, so that it does not change with the cell, the origin, the orientation or the order of
the atoms.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.atom_matching import match_atoms
from aiida_alphacrystal.engine.distances import minimum_image_distances
from aiida_alphacrystal.engine.errors import AlphaCrystalError, one_sentence
from aiida_alphacrystal.engine.metrics.matching import normalised_rms
from aiida_alphacrystal.engine.metrics.superposition import Superposition, superpose
from aiida_alphacrystal.engine.metrics.wyckoff_errors import wyckoff_mse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymatgen.core import Structure

__all__ = (
    'OVERLAP_CUTOFF',
    'Comparison',
    'ComparisonError',
    'compare',
    'distance_map_overlap',
    'fingerprint_distance',
    'ofm_distance',
    'sinkhorn_distance',
)

FloatArray = npt.NDArray[np.float64]

#: Atoms closer than this (A) are in contact, equation 4 of the paper.
OVERLAP_CUTOFF = 8.0

#: Entropy regularisation of the Sinkhorn distance, A, and the steps after which it is left as it is.
_REGULARISATION, _SINKHORN_STEPS = 1e-3, 2000


class ComparisonError(AlphaCrystalError):
    """Two crystals cannot be compared."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far a predicted crystal is from the known one.

    None stands where a metric has no value; ``reasons`` says why.

    :param match: whether they match by the criterion of the package.
    :param rms: normalised root mean square displacement.
    :param superpose_distance: A.
    :param energy_distance: eV/atom.
    :param sinkhorn_distance: A.
    :param fingerprint_distance: between site fingerprints, without unit.
    :param ofm_distance: between orbital field matrices, without unit.
    :param wyckoff_mse: of fractional coordinates.
    :param wyckoff_rmse: its square root.
    :param distance_map_overlap: from 0 to 1; 1 for equal crystals.
    :param reasons: metric without a value to one sentence.
    """

    match: bool
    rms: float | None
    superpose_distance: float | None
    energy_distance: float | None
    sinkhorn_distance: float | None
    fingerprint_distance: float | None
    ofm_distance: float | None
    wyckoff_mse: float | None
    wyckoff_rmse: float | None
    distance_map_overlap: float | None
    reasons: dict[str, str]


def compare(predicted: Structure, truth: Structure, energy: Callable[[Structure], float] | None = None) -> Comparison:
    """Compare a predicted crystal with the known one.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    :param energy: returns the energy of a crystal, eV/atom; None leaves the energy distance out.
    :raises ComparisonError: if a site is partly occupied or the compositions differ.
    """
    _check(predicted, truth)
    predicted, truth = predicted.get_primitive_structure(), truth.get_primitive_structure()
    superposition = superpose(predicted, truth)
    rms = normalised_rms(predicted, truth)
    reasons: dict[str, str] = {}
    squared = wyckoff_mse(predicted, truth)
    if squared is None:
        reasons['wyckoff_mse'] = reasons['wyckoff_rmse'] = (
            'The space groups differ, or the orbits that the atoms are on.'
        )
    overlap = distance_map_overlap(predicted, truth)
    if overlap is None:
        reasons['distance_map_overlap'] = 'The primitive cells hold different numbers of atoms.'
    if energy is None:
        reasons['energy_distance'] = 'No potential was given.'

    def attempt(name: str, metric: Callable[[], float]) -> float | None:
        """Return a metric of another library, None with a reason where that fails on this crystal."""
        try:
            return metric()
        except Exception as error:  # neighbour searches of many kinds, which fail in many ways
            reasons[name] = f'It cannot be computed ({one_sentence(error)}).'
            return None

    return Comparison(
        match=rms is not None,
        rms=rms,
        superpose_distance=superposition.rms,
        energy_distance=None
        if energy is None
        else attempt('energy_distance', lambda: abs(energy(predicted) - energy(truth))),
        sinkhorn_distance=sinkhorn_distance(superposition),
        fingerprint_distance=attempt('fingerprint_distance', lambda: fingerprint_distance(predicted, truth)),
        ofm_distance=attempt('ofm_distance', lambda: ofm_distance(predicted, truth)),
        wyckoff_mse=squared,
        wyckoff_rmse=None if squared is None else math.sqrt(squared),
        distance_map_overlap=overlap,
        reasons=reasons,
    )


def sinkhorn_distance(superposition: Superposition) -> float:
    """Return the cost of carrying the atoms of one crystal to those of the other, in A.

    ``sum over i, j of P_ij |a_i - b_j|`` where the plan P is the one that minimises this cost less 1e-3 A times its
    entropy, every atom being given away and filled once (M. Cuturi, NeurIPS 2013,
    https://doi.org/10.48550/arXiv.1306.0895). As in CSPBenchMetrics elements are not told apart and the sum is not
    divided by the number of atoms. The atoms are those that the superposition pairs.

    :param superposition: of the two crystals.
    """
    import ot

    cost = np.linalg.norm(superposition.truth[:, None] - superposition.predicted, axis=-1)
    masses = np.ones(len(cost))
    plan = ot.sinkhorn(
        masses,
        masses,
        cost,
        reg=_REGULARISATION,
        method='sinkhorn_log',
        numItermax=_SINKHORN_STEPS,
        warn=False,
    )
    return float((plan * cost).sum())


def fingerprint_distance(predicted: Structure, truth: Structure) -> float:
    """Return the Euclidean distance between the site fingerprints of two crystals.

    ``|f(predicted) - f(known)|``, f being mean, standard deviation, minimum and maximum over the sites of the local
    order parameters around each (N. E. R. Zimmermann, A. Jain, RSC Adv. 10, 6063, 2020,
    https://doi.org/10.1039/C9RA07755C), as matminer computes them.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    """
    return _distance(_site_fingerprint(), predicted, truth)


def ofm_distance(predicted: Structure, truth: Structure) -> float:
    """Return the Euclidean distance between the orbital field matrices of two crystals.

    ``|M(predicted) - M(known)|``, M being the mean over the sites of the outer product of the valence shells of an atom
    and of its neighbours, weighted by solid angles (T. L. Pham et al., Sci. Technol. Adv. Mater. 18, 756, 2017,
    https://doi.org/10.1080/14686996.2017.1378060), as matminer computes it.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    """
    return _distance(_orbital_field_matrix(), predicted, truth)


def distance_map_overlap(predicted: Structure, truth: Structure, cutoff: float = OVERLAP_CUTOFF) -> float | None:
    """Return how far the pairs of atoms in contact agree, from 0 to 1.

    ``2 |A and B| / (|A| + |B|)``, A and B being the pairs of different atoms of the primitive cells that are closer
    than the cutoff: equation 4 of AlphaCrystal-II (https://doi.org/10.48550/arXiv.2404.04810). The atoms of each
    element are paired so that their distances agree.

    :param predicted: the predicted crystal.
    :param truth: the known crystal.
    :param cutoff: A.
    :return: None where the cells hold different numbers of atoms.
    """
    if len(predicted) != len(truth):
        return None
    first, second = (structure.get_sorted_structure(key=_symbol) for structure in (predicted, truth))
    found, expected = (minimum_image_distances(one.lattice.matrix, one.frac_coords) for one in (first, second))
    order = match_atoms(found, expected, [_symbol(site) for site in second])
    pairs = np.triu_indices(len(second), 1)
    close, known = found[np.ix_(order, order)][pairs] < cutoff, expected[pairs] < cutoff
    total = int(close.sum() + known.sum())
    return 1.0 if total == 0 else 2.0 * int((close & known).sum()) / total


def _check(predicted: Structure, truth: Structure) -> None:
    for name, structure in (('predicted', predicted), ('known', truth)):
        if not structure.is_ordered:
            raise ComparisonError(f'The {name} crystal has sites that are partly occupied: give one without.')
    first, second = (structure.composition.reduced_formula for structure in (predicted, truth))
    if first != second:
        raise ComparisonError(f'{first} cannot be compared with {second}: give two crystals of one composition.')


def _symbol(site: Any) -> str:
    return str(site.specie.symbol)


def _distance(featurizer: Any, predicted: Structure, truth: Structure) -> float:
    """Return the Euclidean distance between the features of two crystals."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        first, second = (
            np.array(featurizer.featurize(structure), dtype=np.float64) for structure in (predicted, truth)
        )
    return float(np.linalg.norm(first - second))


@functools.cache
def _site_fingerprint() -> Any:
    """Return the featurizer of CSPBenchMetrics."""
    from matminer.featurizers.site import CrystalNNFingerprint
    from matminer.featurizers.structure import SiteStatsFingerprint

    sites = CrystalNNFingerprint.from_preset('ops', distance_cutoffs=None, x_diff_weight=0)
    return SiteStatsFingerprint(sites, stats=('mean', 'std_dev', 'minimum', 'maximum'))


@functools.cache
def _orbital_field_matrix() -> Any:
    from matminer.featurizers.structure import OrbitalFieldMatrix

    return OrbitalFieldMatrix()
