"""The command that places a prediction beside the convex hull."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Failure

if TYPE_CHECKING:
    from aiida.orm import ArrayData, WorkChainNode

__all__ = ('cmd_hull',)

#: The known compounds take so many steps at least, also where the candidates of the prediction took fewer or none.
_LEAST_STEPS = 100


@click.command('hull')
@click.argument('identifier', metavar='PK|UUID')
@params.TOP
@click.option(
    '--predictions/--no-predictions',
    default=True,
    help='Whether other predictions of the profile with the same potential compete as well.',
)
@params.FORMAT
@params.PROFILE
@click.pass_context
def cmd_hull(
    ctx: click.Context,
    *,
    identifier: str,
    top: int | None,
    predictions: bool,
    output_format: str,
    profile: str | None,
) -> None:
    """Tell whether the structures of a prediction are stable against other compounds.

    The known compounds of its elements, from the prototype library of the prediction, are relaxed with its potential;
    they and the elements make the convex hull. What has been relaxed once is taken over the next time.

    PK|UUID is what `predict` printed.
    """
    from aiida_alphacrystal.cli.nodes import PREDICTION, check_ended_well, check_identifier, find_node
    from aiida_alphacrystal.cli.profile import load_profile, profile_option
    from aiida_alphacrystal.cli.progress import StageProgress
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.progress import reporting
    from aiida_alphacrystal.report.hull import print_hull, read_hull
    from aiida_alphacrystal.report.tables import print_json

    check_identifier(identifier)
    with clean_stdout():
        name = load_profile(profile, create=False, debug=ctx.obj['debug'])
        node = find_node(identifier, name)
        if getattr(node, 'process_type', None) != PREDICTION:
            raise BadInput(f'Node {identifier} is a {type(node).__name__}, not a prediction of aiida-alphacrystal.')
        check_ended_well(node, profile_option(name))
        with StageProgress({'relax': 'Relaxing the known compounds'}) as bar, reporting(bar):
            competing = _relax_competing(node)
        others = _others(node) if predictions else []
        report = read_hull(node, competing, others, top)
    if output_format == 'json':
        print_json(report.to_dict())
    else:
        print_hull(report)


def _relax_competing(node: WorkChainNode) -> ArrayData:
    """Return the relaxed known compounds of the elements of a prediction, from the database where it has them.

    :raises Failure: if they could not be relaxed.
    """
    import dataclasses

    from aiida import orm
    from aiida.engine import run_get_node
    from aiida.manage.caching import enable_caching

    from aiida_alphacrystal.calcfunctions.parameters import read_settings, stage_parameters_node
    from aiida_alphacrystal.calcfunctions.relax_competing import relax_competing

    settings = read_settings(node.inputs.parameters)
    relaxed = dataclasses.replace(settings.relax, max_steps=max(settings.relax.max_steps, _LEAST_STEPS))
    parameters = stage_parameters_node('relax_competing', dataclasses.replace(settings, relax=relaxed))
    with enable_caching():
        outputs, made = run_get_node(
            relax_competing,
            templates=node.inputs.models.templates,
            potential=node.inputs.potential,
            chemical_system=orm.Str(_chemical_system(node)),
            parameters=parameters,
        )
    if not made.is_finished_ok:
        raise Failure(f'The known compounds could not be relaxed: {made.exit_message}')
    competing: ArrayData = outputs['competing']
    return competing


def _others(node: WorkChainNode) -> list[tuple[str, float]]:
    """Return the other predictions that compete."""
    from aiida_alphacrystal.query import competing_predictions

    return competing_predictions(_chemical_system(node), node.outputs.ranking['potential']['sha256'], node.pk)


def _chemical_system(node: WorkChainNode) -> str:
    from aiida_alphacrystal.engine.composition import parse_formula

    return parse_formula(node.outputs.ranking['formula']).chemical_system
