"""Where a predicted structure came from, step by step back to the formula."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiida import orm

__all__ = ('GRAPH_FORMATS', 'Origin', 'draw_origins', 'trace_origins')

#: Kinds of files that a graph can be written to, by the ending of their name.
GRAPH_FORMATS = ('dot', 'svg', 'png', 'pdf')

#: Label of a ranked structure among the outputs of the step that has ranked it.
_RANKED = re.compile('(?P<namespace>.*)(structures|ranked)__rank_(?P<rank>[0-9]+)')


@dataclasses.dataclass(frozen=True)
class Origin:
    """A node, and what it was made from.

    :param pk: its primary key.
    :param uuid: its universally unique identifier.
    :param role: label of the link to what was made from it.
    :param text: what it is.
    :param origins: what it was made from.
    :param step: whether it is a step, not data.
    :param repeated: whether its origins stand elsewhere in the tree.
    """

    pk: int
    uuid: str
    role: str
    text: str
    origins: tuple[Origin, ...] = ()
    step: bool = False
    repeated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values, ready for JSON."""
        return dataclasses.asdict(self)

    def walk(self) -> Iterator[tuple[Origin, Origin]]:
        """Yield every pair of a node and one that it was made from."""
        for origin in self.origins:
            yield self, origin
            yield from origin.walk()


def trace_origins(node: orm.Data, role: str = 'structure') -> Origin:
    """Return a node with everything that it was made from, as a tree.

    Where it was ranked, the tree says which candidate it was.

    :param node: such as a ranked structure of a prediction.
    :param role: what it is called.
    """
    return _trace(node, role, set())


def _trace(node: orm.Data, role: str, seen: set[int]) -> Origin:
    creation = _creation(node)
    pk, text = int(node.pk or 0), _describe(node)
    if creation is None:
        return Origin(pk, node.uuid, role, text)
    step, label = creation
    if pk in seen:
        return Origin(pk, node.uuid, role, text, repeated=True)
    seen.add(pk)
    if step.pk in seen:
        origin = Origin(int(step.pk or 0), step.uuid, label, _describe(step), step=True, repeated=True)
    else:
        seen.add(int(step.pk or 0))
        candidate = _candidate(step, label)
        text_of_step = _describe(step) + (f', candidate {candidate}' if candidate else '')
        traced = tuple(_trace(entry, name, seen) for name, entry in _inputs(step))
        origin = Origin(int(step.pk or 0), step.uuid, label, text_of_step, traced, step=True)
    return Origin(pk, node.uuid, role, text, (origin,))


def _creation(node: orm.Data) -> tuple[orm.CalculationNode, str] | None:
    """Return the step that made a node, and what the node was called among its outputs."""
    from aiida.common import LinkType

    link = node.base.links.get_incoming(link_type=LinkType.CREATE).first()
    return None if link is None else (link.node, link.link_label)


def _candidate(step: orm.CalculationNode, output: str) -> str | None:
    """Return the label of the candidate that a ranked structure was, None where a step has not ranked."""
    from aiida.common import LinkType

    found = _RANKED.fullmatch(output)
    if found is None:
        return None
    label = f'{found["namespace"]}ranking'
    ranking = step.base.links.get_outgoing(link_type=LinkType.CREATE, link_label_filter=label).first()
    if ranking is None:
        return None
    return next(row['label'] for row in ranking.node['rows'] if row['rank'] == int(found['rank']))


def _inputs(step: orm.CalculationNode) -> list[tuple[str, orm.Data]]:
    """Return the inputs of a step by their labels, the parameters last."""
    from aiida.common import LinkType

    links = step.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()
    links.sort(key=lambda link: (link.link_label == 'parameters', int(link.node.pk)))
    return [(link.link_label, link.node) for link in links]


def _describe(node: orm.Node) -> str:
    """Return what a node is, in a few words."""
    from aiida import orm

    if isinstance(node, orm.ProcessNode):
        return str(node.process_label)
    if isinstance(node, orm.StructureData):
        return f'{node.get_formula()}, {len(node.sites)} atoms'
    if isinstance(node, orm.Str | orm.Int | orm.Float | orm.Bool):
        return str(node.value)
    if isinstance(node, orm.Dict):
        rows = node.get_dict().get('rows')
        return ', '.join(sorted(node.keys())) if rows is None else f'{len(rows)} rows'
    for name, noun in (('labels', 'candidates'), ('rows', 'rows')):
        listed = node.base.attributes.get(name, None)
        if listed is not None:
            return f'{len(listed)} {noun}'
    return str(node.get_description()) or type(node).__name__


def draw_origins(origin: Origin, path: Path) -> None:
    """Draw a tree of origins as a graph of AiiDA.

    :param origin: the root.
    :param path: file to write, which ends with one of ``GRAPH_FORMATS`` after its dot.
    :raises OSError: if it cannot be written.
    :raises RuntimeError: if the program ``dot`` of Graphviz is not installed and the file is a picture.
    """
    from aiida.common import LinkType
    from aiida.orm.utils.links import LinkPair
    from aiida.tools.visualization import Graph
    from graphviz import ExecutableNotFound

    graph = Graph(graph_attr={'rankdir': 'TB'})
    graph.add_node(origin.pk, style_override={'penwidth': '3'})
    for made, source in origin.walk():
        graph.add_node(source.pk)
        link = LinkPair(LinkType.CREATE if source.step else LinkType.INPUT_CALC, source.role)
        graph.add_edge(source.pk, made.pk, link, style={'label': source.role})
    kind = path.suffix.removeprefix('.').lower()
    if kind == 'dot':
        path.write_text(graph.graphviz.source, encoding='utf-8')
        return
    try:
        path.write_bytes(graph.graphviz.pipe(format=kind))
    except ExecutableNotFound as error:
        raise RuntimeError('The program dot of Graphviz is not installed: install it, or write a .dot file.') from error
