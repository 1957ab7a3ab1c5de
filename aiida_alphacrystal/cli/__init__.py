"""The command line ``aiida-alphacrystal``.

Only click is imported when a command starts; AiiDA, torch and pymatgen are imported inside the functions that need
them, so that ``--help`` answers at once.
"""

from __future__ import annotations

from aiida_alphacrystal.cli.root import cmd_root, main

__all__ = ('cmd_root', 'main')
