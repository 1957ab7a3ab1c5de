"""The command that prints a result again."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput

__all__ = ('cmd_show',)


@click.command('show')
@click.argument('identifier', metavar='PK|UUID')
@params.TOP
@params.TABLE_FORMAT
@params.OUTPUT
@params.PROFILE
@click.pass_context
def cmd_show(
    ctx: click.Context,
    *,
    identifier: str,
    top: int | None,
    output_format: str,
    output: Path | None,
    profile: str | None,
) -> None:
    """Print the result of an earlier prediction, screening or refinement again.

    PK|UUID is what `predict`, `screen` or `refine` printed; `verdi process list -a` lists all of them.
    """
    from aiida_alphacrystal.cli.nodes import (
        PREDICTION,
        REFINEMENT,
        SCREENING,
        check_ended_well,
        check_identifier,
        find_node,
    )
    from aiida_alphacrystal.cli.profile import load_profile, profile_option
    from aiida_alphacrystal.cli.results import check_screened, show_refinement, show_result, show_screening
    from aiida_alphacrystal.cli.streams import clean_stdout

    check_identifier(identifier)
    with clean_stdout():
        name = load_profile(profile, create=False, debug=ctx.obj['debug'])
        node = find_node(identifier, name)
    kind = getattr(node, 'process_type', None)
    option = profile_option(name)
    if kind == SCREENING:
        if top is not None or output is not None:
            raise BadInput('A screening has many predictions: give --top and --output with the node of one of them.')
        check_screened(node, option)
        show_screening(node, output_format, option)
        return
    shows = {PREDICTION: show_result, REFINEMENT: show_refinement}
    show = shows.get(kind)
    if show is None:
        raise BadInput(
            f'Node {identifier} is a {type(node).__name__}, not a prediction, screening or refinement of '
            'aiida-alphacrystal.'
        )
    if output_format == 'csv':
        raise BadInput('Only a screening is printed as CSV: give --format json.')
    check_ended_well(node, option)
    params.writable_directory(output)
    show(node, top, output_format, output, option)
