"""Predict the crystals of one formula and print the ranking.

Usage: ``verdi run examples/predict_formula.py [FORMULA] [PROTOCOL]``, such as ``SrTiO3 balanced``.
"""

from __future__ import annotations

import sys

from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory


def main(formula: str = 'NaCl', protocol: str = 'fast') -> None:
    """Run a prediction in this process.

    :param formula: such as ``SrTiO3``.
    :param protocol: ``fast``, ``balanced`` or ``stringent``.
    """
    builder = WorkflowFactory('alphacrystal.predict').get_builder_from_protocol(formula, protocol, seed=1)
    outputs, node = run_get_node(builder)
    if not node.is_finished_ok:
        sys.exit(f'The prediction <{node.pk}> failed with exit status {node.exit_status}: {node.exit_message}')
    print(f'Prediction <{node.pk}> of {formula} with the potential {outputs["ranking"]["potential"]["name"]}')
    print('rank  space group  eV/atom   A^3/atom  source    node')
    for row in outputs['ranking']['rows']:
        structure = outputs['structures'][f'rank_{row["rank"]:02d}']
        print(
            f'{row["rank"]:4d}  {row["spacegroup_symbol"]:11s} {row["formation_energy_per_atom"]:8.4f} '
            f'{row["volume_per_atom"]:9.3f}  {row["source"]:8s}  {structure.pk}'
        )


if __name__ == '__main__':
    main(*sys.argv[1:])
