"""The command that prints a prediction again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Failure

if TYPE_CHECKING:
    from aiida.orm import WorkChainNode

__all__ = ('cmd_show',)

_PROCESS_TYPE = 'aiida.workflows:alphacrystal.predict'


@click.command('show')
@click.argument('identifier', metavar='PK|UUID')
@params.TOP
@params.FORMAT
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
    """Print the result of an earlier prediction again.

    PK|UUID is what `predict` printed; `verdi process list -a` lists all of them.
    """
    from aiida_alphacrystal.cli.profile import load_profile, profile_option
    from aiida_alphacrystal.cli.results import describe_failure, show_result
    from aiida_alphacrystal.cli.streams import clean_stdout

    if not identifier.strip():
        raise BadInput('The identifier is empty: give the PK or UUID that `predict` printed.')
    with clean_stdout():
        name = load_profile(profile, create=False, debug=ctx.obj['debug'])
        node = _load(identifier.strip(), name)
    option = profile_option(name)
    if not node.is_terminated:
        state = node.process_state.value if node.process_state else 'new'
        raise Failure(
            f'Work chain {node.pk} has not finished yet (it is {state}): '
            f'follow it with `verdi{option} process status {node.pk}`.'
        )
    if not node.is_finished_ok:
        raise Failure(describe_failure(node, option))
    params.writable_directory(output)
    show_result(node, top, output_format, output, option)


def _load(identifier: str, profile: str) -> WorkChainNode:
    """Return the prediction that an identifier stands for.

    :raises BadInput: if there is none.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import WorkChainNode, load_node

    try:
        node = load_node(int(identifier)) if identifier.isdecimal() and len(identifier) < 19 else load_node(identifier)
    except MultipleObjectsError as exception:
        raise BadInput(f'Several nodes begin with {identifier!r}: give more of the UUID.') from exception
    except (NotExistent, ValueError, TypeError) as exception:
        raise BadInput(
            f'There is no node {identifier!r} in the profile {profile!r}: `verdi process list -a` lists all processes.'
        ) from exception
    if not isinstance(node, WorkChainNode) or node.process_type != _PROCESS_TYPE:
        raise BadInput(f'Node {identifier} is a {type(node).__name__}, not a prediction of aiida-alphacrystal.')
    return node
