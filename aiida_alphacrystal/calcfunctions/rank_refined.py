"""The ranking by DFT energies as a calcfunction."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_alphacrystal.calcfunctions import convert
from aiida_alphacrystal.calcfunctions.exit_codes import exit_code_for
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('rank_refined',)


@calcfunction
def rank_refined(
    parameters: orm.Dict, ranking: orm.Dict | None = None, **namespaces: Any
) -> dict[str, orm.Dict] | ExitCode:
    """Rank structures by their energy after a refinement, and compare with the ranking of the prediction.

    :param parameters: ``refiner``, its name; ``failed``, the exit status and the reason of every calculation that
        failed, by label; ``algorithm_version``.
    :param ranking: as ``rank`` returns it; the labels are in the order of the prediction without it.
    :param namespaces: ``predicted``, the structures by their labels; ``refined``, the nodes that hold what became of
        each, by label and by the names that the refiner gives them.
    :return: ``ranking``, one row per structure, the lowest energy first and those that failed last; energies in
        eV/atom, volumes in A^3/atom, forces in eV/A.
    """
    from aiida_alphacrystal.engine.refinement import rank_refined as rank_places
    from aiida_alphacrystal.refiners import get_refiner

    predicted = namespaces['predicted']
    failed = {label: dict(fate) for label, fate in parameters['failed'].items()}
    refined = {}
    try:
        refiner = get_refiner(parameters['refiner'])
    except AlphaCrystalError as error:
        return exit_code_for(error)
    for label, nodes in sorted(namespaces.get('refined', {}).items()):
        try:
            refined[label] = refiner.read(nodes, predicted[label])
        except AlphaCrystalError as error:
            failed[label] = {'exit_status': 0, 'reason': str(error)}
    places = rank_places(convert.structures_from_nodes(predicted), refined)
    return {'ranking': convert.refined_ranking_to_node(places, failed, convert.in_order(predicted), ranking)}
