"""Predict the crystals of a compound and relax the best two with Quantum ESPRESSO.

Usage: ``verdi run examples/refine_with_quantum_espresso.py [CODE] [FAMILY]``, such as ``pw@localhost PBE``: a code for
pw.x, and a family of pseudopotentials with silicon and carbon. The how-to ``docs/howto/refine.md`` sets both up.
"""

from __future__ import annotations

import sys

from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory

from aiida_alphacrystal.workchains.refine import refinement_inputs

#: The content of the primitive cell; a formula such as SiC would leave its size open.
COMPOSITION = {'Si': 1, 'C': 1}


def main(code: str = 'pw@localhost', family: str = 'PBE') -> None:
    """Run a prediction and its refinement in this process.

    :param code: label of the code.
    :param family: label of the family of pseudopotentials.
    """
    refine = refinement_inputs(code, protocol='fast', overrides={'pseudo_family': family}, top=2)
    builder = WorkflowFactory('alphacrystal.predict').get_builder_from_protocol(
        COMPOSITION, 'fast', seed=1, refine=refine
    )
    outputs, node = run_get_node(builder)
    if not node.is_finished_ok:
        sys.exit(f'The prediction <{node.pk}> failed with exit status {node.exit_status}: {node.exit_message}')
    ranking = outputs['refine']['ranking']
    print(f'Prediction <{node.pk}> of {COMPOSITION}, the best two by DFT energy')
    print('rank  was  space group  DFT eV/atom  above best meV/atom  predicted meV/atom  node')
    for row in ranking['rows']:
        if row['rank'] is None:
            print(f'   -  {row["predicted_rank"]:3d}  failed: {row["reason"]}')
            continue
        structure = outputs['refine']['structures'][f'rank_{row["rank"]:02d}']
        print(
            f'{row["rank"]:4d}  {row["predicted_rank"]:3d}  {row["spacegroup_symbol"]:11s}  '
            f'{row["energy_per_atom"]:11.4f}  {1000 * row["relative_energy"]:19.1f}  '
            f'{1000 * row["predicted_relative_energy"]:18.1f}  {structure.pk}'
        )


if __name__ == '__main__':
    main(*sys.argv[1:])
