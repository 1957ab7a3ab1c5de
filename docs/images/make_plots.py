"""Predict a crystal and draw it as the how-to about plots does.

In the root of the repository: ``verdi run docs/images/make_plots.py``.
"""

from __future__ import annotations

import subprocess
import sys

from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory

PICTURES = ('distances', 'energies', 'structure')


def main() -> None:
    """Predict SrTiO3 with the protocol ``fast`` and draw the result."""
    _, node = run_get_node(WorkflowFactory('alphacrystal.predict').get_builder_from_protocol('SrTiO3', protocol='fast'))
    for kind in PICTURES:
        words = ['plot', kind, str(node.pk), '-o', f'docs/images/plot_{kind}.png']
        subprocess.run([sys.executable, '-m', 'aiida_alphacrystal.cli', *words], check=True)  # noqa: S603


main()
