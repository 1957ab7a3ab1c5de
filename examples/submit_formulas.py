"""Hand the predictions of several formulas to the daemon, which works on them while you do something else.

Usage: ``verdi daemon start`` and ``verdi run examples/submit_formulas.py [FORMULA ...]``, such as ``NaCl MgO GaAs``.
"""

from __future__ import annotations

import sys

from aiida import orm
from aiida.engine import submit
from aiida.plugins import WorkflowFactory

GROUP = 'alphacrystal/examples'


def main(*formulas: str) -> None:
    """Submit one prediction for each formula and collect them in a group.

    :param formulas: such as ``NaCl``.
    """
    workchain = WorkflowFactory('alphacrystal.predict')
    group, _ = orm.Group.collection.get_or_create(label=GROUP)
    for formula in formulas or ('NaCl', 'MgO', 'GaAs'):
        node = submit(workchain.get_builder_from_protocol(formula, 'fast', seed=1))
        node.label = f'{formula}, fast'
        group.add_nodes(node)
        print(f'Submitted {formula} as <{node.pk}>')
    print(f'Follow them with: verdi process list --all --group {GROUP}')


if __name__ == '__main__':
    main(*sys.argv[1:])
