"""Draw the provenance of a structure from its composition to its DFT energy (needs graphviz).

In the root of the repository, with the code ``pw@localhost`` and the family ``PBE`` of ``docs/howto/refine.md``:
``verdi run docs/images/make_refine_provenance.py``.
"""

from __future__ import annotations

from pathlib import Path

from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from aiida.tools.visualization import Graph

from aiida_alphacrystal.workchains.refine import refinement_inputs

FEW_CANDIDATES = {
    'cells': {'max_hypotheses': 2},
    'templates': {'max_candidates': 1},
    'search': {'max_candidates': 0},
    'rank': {'top': 1},
}


def main() -> None:
    """Predict and refine SiC with one candidate and draw what led to the refined ranking."""
    refine = refinement_inputs('pw@localhost', protocol='fast', overrides={'pseudo_family': 'PBE'}, top=1)
    refine['reuse'] = False  # or the picture shows an earlier run as well
    builder = WorkflowFactory('alphacrystal.predict').get_builder_from_protocol(
        {'Si': 1, 'C': 1}, protocol='fast', overrides=FEW_CANDIDATES, refine=refine
    )
    outputs, node = run_get_node(builder)
    if not node.is_finished_ok:
        raise SystemExit(node.exit_message)
    graph = Graph(graph_attr={'rankdir': 'TB', 'dpi': '75'})
    graph.recurse_ancestors(outputs['refine']['ranking'], annotate_links='both', link_types=('input_calc', 'create'))
    target = Path('docs/images/refine_provenance')
    graph.graphviz.render(target, format='png', cleanup=True)
    print(f'Wrote {target}.png')


main()
