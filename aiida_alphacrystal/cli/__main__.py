"""Run the command line as ``python -m aiida_alphacrystal.cli``."""

from __future__ import annotations

from aiida_alphacrystal.cli.root import main

if __name__ == '__main__':
    main()
