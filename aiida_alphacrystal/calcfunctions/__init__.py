"""One thin, provenance-tracked function per stage: nodes in, nodes out, the science is in the engine."""

from __future__ import annotations

from aiida_alphacrystal.calcfunctions.compare import compare
from aiida_alphacrystal.calcfunctions.featurize import featurize
from aiida_alphacrystal.calcfunctions.predict_cells import predict_cells
from aiida_alphacrystal.calcfunctions.predict_distances import predict_distances
from aiida_alphacrystal.calcfunctions.rank import rank
from aiida_alphacrystal.calcfunctions.rank_refined import rank_refined
from aiida_alphacrystal.calcfunctions.reconstruct import reconstruct
from aiida_alphacrystal.calcfunctions.relax import relax
from aiida_alphacrystal.calcfunctions.relax_competing import relax_competing
from aiida_alphacrystal.calcfunctions.tabulate import join_tables, tabulate
from aiida_alphacrystal.calcfunctions.to_primitive import to_primitive

__all__ = (
    'compare',
    'featurize',
    'join_tables',
    'predict_cells',
    'predict_distances',
    'rank',
    'rank_refined',
    'reconstruct',
    'relax',
    'relax_competing',
    'tabulate',
    'to_primitive',
)
