"""Find a calculation that has been done before, so that a refinement that is submitted again goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common import LinkType
from aiida.common.hashing import make_hash

if TYPE_CHECKING:
    from aiida.engine import ProcessBuilder

__all__ = ('find_finished',)

#: The extra in which AiiDA keeps the hash of the content of a node.
_HASH = '_aiida_hash'


def find_finished(builder: ProcessBuilder, structure: orm.StructureData) -> orm.WorkChainNode | None:
    """Return the latest work chain that has finished well with the same inputs, None where there is none.

    Inputs are the same when their content is; options of the scheduler are not looked at.

    :param builder: the work chain with all of its inputs.
    :param structure: the stored structure that it would refine.
    """
    wanted = {label: _fingerprint(node) for label, node in _flatten(builder._inputs(prune=True))}
    query = orm.QueryBuilder()
    query.append(orm.StructureData, filters={f'extras.{_HASH}': structure.base.caching.get_hash()}, tag='structure')
    query.append(
        orm.WorkChainNode,
        with_incoming='structure',
        filters={
            'process_type': builder.process_class.build_process_type(),
            'attributes.process_state': 'finished',
            'attributes.exit_status': 0,
        },
        tag='process',
    )
    query.order_by({'process': {'id': 'desc'}})
    return next((node for node in query.all(flat=True) if _fingerprints(node) == wanted), None)


def _fingerprints(node: orm.WorkChainNode) -> dict[str, str]:
    """Return what tells the inputs of a work chain from others, by their labels."""
    links = node.base.links.get_incoming(link_type=LinkType.INPUT_WORK).all()
    return {link.link_label: _fingerprint(link.node) for link in links}


def _fingerprint(node: orm.Node) -> str:
    return make_hash(node.base.caching.get_objects_to_hash())  # what compute_hash does, also before storing


def _flatten(inputs: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, orm.Data]]:
    """Yield the nodes among nested inputs with the labels of their links."""
    for key, value in inputs.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f'{prefix}{key}__')
        elif isinstance(value, orm.Data):
            yield f'{prefix}{key}', value
