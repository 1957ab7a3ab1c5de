"""Files of figures: the same every time, and their text is text."""

from __future__ import annotations

import sys

import pytest

from aiida_alphacrystal.report.plots import PLOT_FORMATS, draw_energies, save_figure
from tests.report.plots.test_energies import ROWS, energies

BEGINNINGS = {'.png': b'\x89PNG', '.svg': b'<?xml', '.pdf': b'%PDF'}


@pytest.mark.parametrize('ending', PLOT_FORMATS)
def test_the_same_figure_gives_the_same_bytes(tmp_path, ending):
    paths = [tmp_path / f'{name}{ending}' for name in ('one', 'two')]
    for path in paths:
        save_figure(draw_energies(energies(*ROWS)), path)
    one, two = (path.read_bytes() for path in paths)
    assert one == two
    assert one.startswith(BEGINNINGS[ending])


def test_upper_case_endings(tmp_path):
    save_figure(draw_energies(energies(*ROWS)), tmp_path / 'one.PNG')
    assert (tmp_path / 'one.PNG').read_bytes().startswith(BEGINNINGS['.png'])


def test_text_stays_text(tmp_path):
    save_figure(draw_energies(energies(*ROWS)), tmp_path / 'one.svg')
    content = (tmp_path / 'one.svg').read_text()
    assert 'formation energy (eV/atom)</text>' in content
    assert '<dc:date>' not in content


def test_no_global_figure_is_made(tmp_path):
    pyplot = sys.modules.get('matplotlib.pyplot')
    before = pyplot.get_fignums() if pyplot else []
    save_figure(draw_energies(energies(*ROWS)), tmp_path / 'one.png')
    pyplot = sys.modules.get('matplotlib.pyplot')
    assert (pyplot.get_fignums() if pyplot else []) == before
