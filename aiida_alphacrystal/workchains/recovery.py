"""Go on after the worker that ran a work chain has been killed.

A work chain that is taken up again repeats the step in which its worker died. What that step had called is still in
the database: finished, and then it is not computed a second time; or looking as if it ran, which it never will again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiida import orm
from aiida.common import LinkType

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

__all__ = ('abandon', 'called_before', 'finished_before')


def called_before(caller: ProcessNode, label: str) -> list[ProcessNode]:
    """Return what a process has called under a label, in the order in which it was called.

    :param caller: the process.
    :param label: of the call.
    """
    links = caller.base.links.get_outgoing(
        node_class=orm.ProcessNode, link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK), link_label_filter=label
    )
    return sorted(links.all_nodes(), key=lambda node: node.pk)


def finished_before(caller: ProcessNode, label: str) -> ProcessNode | None:
    """Return a process function that an earlier try of this step has finished; one that it left behind is ended.

    :param caller: the work chain whose step is repeated.
    :param label: of the call.
    """
    finished = None
    for node in called_before(caller, label):
        if not node.is_terminated:
            abandon(node, 'The daemon worker that ran it was killed')
        elif node.is_finished_ok:
            finished = node
    return finished


def abandon(node: ProcessNode, status: str) -> None:
    """Mark a process that nobody runs any longer as killed.

    :param node: the process.
    :param status: why, for its list entry.
    """
    from plumpy.process_states import ProcessState

    node.set_process_state(ProcessState.KILLED)
    node.set_process_status(status)
    node.delete_checkpoint()
    node.seal()
