"""Find what a user names by its primary key or its UUID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiida_alphacrystal.cli.errors import BadInput, Failure

if TYPE_CHECKING:
    from aiida.orm import Node, WorkChainNode

__all__ = ('PREDICTION', 'REFINEMENT', 'SCREENING', 'check_ended_well', 'check_identifier', 'find_node')

#: Process types of our work chains.
PREDICTION = 'aiida.workflows:alphacrystal.predict'
REFINEMENT = 'aiida.workflows:alphacrystal.refine'
SCREENING = 'aiida.workflows:alphacrystal.screen'


def check_identifier(identifier: str) -> str:
    """Return what a user has named, which can be checked before a profile is loaded.

    :param identifier: as it was given.
    :raises BadInput: if it is empty.
    """
    name = identifier.strip()
    if not name:
        raise BadInput('The identifier is empty: give the PK or UUID that `predict` printed.')
    return name


def find_node(identifier: str, profile: str) -> Node:
    """Return the node that an identifier stands for.

    :param identifier: primary key, or the beginning of a UUID.
    :param profile: name of the loaded profile.
    :raises BadInput: if there is none, or several.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import load_node

    name = check_identifier(identifier)
    try:
        return load_node(int(name)) if name.isdecimal() and len(name) < 19 else load_node(name)
    except MultipleObjectsError as exception:
        raise BadInput(f'Several nodes begin with {name!r}: give more of the UUID.') from exception
    except (NotExistent, ValueError, TypeError) as exception:
        raise BadInput(
            f'There is no node {name!r} in the profile {profile!r}: `verdi process list -a` lists all processes.'
        ) from exception


def check_ended_well(node: WorkChainNode, option: str) -> None:
    """See that a work chain has a result.

    :param node: the work chain.
    :param option: option that names the profile in a command, empty for the default profile.
    :raises Failure: if it has not finished, or it failed.
    """
    from aiida_alphacrystal.cli.results import describe_failure

    if not node.is_terminated:
        state = node.process_state.value if node.process_state else 'new'
        raise Failure(
            f'Work chain {node.pk} has not finished yet (it is {state}): '
            f'follow it with `verdi{option} process status {node.pk}`.'
        )
    if not node.is_finished_ok:
        raise Failure(describe_failure(node, option))
