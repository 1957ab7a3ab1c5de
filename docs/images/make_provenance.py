"""Draw the provenance of a small prediction (needs graphviz).

In the root of the repository: ``verdi run docs/images/make_provenance.py``.
"""

from __future__ import annotations

from pathlib import Path

from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from aiida.tools.visualization import Graph

FEW_CANDIDATES = {
    'cells': {'max_hypotheses': 3},
    'templates': {'max_candidates': 3},
    'search': {'max_candidates': 0},
    'rank': {'top': 2},
}


def main() -> None:
    """Predict SrTiO3 with three candidates and draw everything that led to the ranking."""
    builder = WorkflowFactory('alphacrystal.predict').get_builder_from_protocol(
        'SrTiO3', protocol='fast', overrides=FEW_CANDIDATES
    )
    _, node = run_get_node(builder)
    graph = Graph(graph_attr={'rankdir': 'TB', 'dpi': '110'})
    graph.recurse_ancestors(node, annotate_links='both')
    graph.recurse_descendants(node, annotate_links='both', include_process_inputs=True)
    target = Path('docs/images/provenance')
    graph.graphviz.render(target, format='png', cleanup=True)
    print(f'Wrote {target}.png')


main()
