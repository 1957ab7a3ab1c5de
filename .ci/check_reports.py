"""Check the size of report pages, that each is whole, and that none loads anything."""

# ruff: noqa: S101, T201

from __future__ import annotations

import re
import sys
from pathlib import Path

MAX_BYTES = 3_000_000


def main(*paths: str) -> None:
    """Check the pages.

    :param paths: the files.
    """
    for path in paths:
        content = Path(path).read_bytes()
        text = content.decode()
        assert len(content) < MAX_BYTES, len(content)
        assert text.rstrip().endswith('</html>')
        assert "connect-src 'none'" in text
        before_scripts = text.split('<script', 1)[0]
        assert not re.search(r'(src|href)=(?!"#main")|url\(|@import', before_scripts)
        print(f'{path}: {len(content) / 1e6:.2f} MB')


if __name__ == '__main__':
    main(*sys.argv[1:])
