"""Stage 6 as a calcfunction."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.calcfunctions.parameters import read_settings
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('rank',)


@calcfunction
def rank(candidates: orm.Dict, relaxations: orm.ArrayData, parameters: orm.Dict) -> dict[str, Any] | ExitCode:
    """Rank the distinct relaxed structures.

    :param candidates: as ``reconstruct`` returns them.
    :param relaxations: as ``relax`` returns them, with the relaxed structures.
    :param parameters: ``rank`` and ``algorithm_version``.
    :return: ``ranking``, one row per distinct structure, the best first (energies in eV/atom, volumes in A^3/atom), and
        ``structures``, these structures by the labels ``rank_01``, ``rank_02``, ...
    """
    from aiida_alphacrystal.engine.rank import rank_candidates
    from aiida_alphacrystal.engine.rank_model import with_weights

    try:
        pool = convert.relaxed_pool(candidates, relaxations)
        settings = with_weights(read_settings(parameters).rank, pool.potential['sha256'])
        ranked = rank_candidates(pool.facts, pool.relaxations, pool.energies, settings)
    except AlphaCrystalError as error:
        return exit_code_for(error)
    return convert.ranking_to_nodes(pool, ranked)
