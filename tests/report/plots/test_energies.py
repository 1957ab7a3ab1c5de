"""The picture of the energies of all candidates."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.colors import to_hex

from aiida_alphacrystal.report.candidates import CandidateEnergies, CandidateEnergy
from aiida_alphacrystal.report.plots import draw_energies
from aiida_alphacrystal.report.plots.style import COLOURS, SOURCES

ROWS = (
    CandidateEnergy('c_001', 'template', -1.9, -2.0, None, 1),
    CandidateEnergy('c_002', 'descent', -1.5, -2.1, None, 2),
    CandidateEnergy('c_003', 'free', 40.0, -1.8, None, None),
    CandidateEnergy('c_004', 'genetic', -1.7, None, 'its volume changed by a factor of 4.00', None),
    CandidateEnergy('c_005', 'template', None, None, 'two atoms (Na-Cl) are 0.20 A apart at the start', None),
)


def energies(*rows):
    return CandidateEnergies('NaCl', 'chgnet', rows)


def points(axes, hollow):
    """Return place, height, colour and marker of what is drawn at single places."""
    found = []
    for line in axes.lines:
        alone = len(line.get_xdata()) == 1 and line.get_marker() != 'x'
        if alone and (to_hex(line.get_markerfacecolor()) == '#ffffff') is hollow:
            (x,), (y,) = line.get_xdata(), line.get_ydata()
            found.append((x, y, to_hex(line.get_color()).upper(), line.get_marker()))
    return found


def test_before_and_after_by_source():
    (axes,) = draw_energies(energies(*ROWS)).axes
    after, before = points(axes, hollow=False), points(axes, hollow=True)
    assert after == [
        (1, -2.1, *SOURCES['descent']),
        (2, -2.0, *SOURCES['template']),
        (3, -1.8, *SOURCES['free']),
    ]
    edge = -1.8 + 0.3  # as far above the worst relaxed energy as the best is below it
    assert [point[:2] for point in before] == [
        (1, -1.5),
        (2, -1.9),
        (3, pytest.approx(edge)),
        (4, -1.7),
    ]
    assert [point[2:] for point in before] == [SOURCES[name] for name in ('descent', 'template', 'free', 'genetic')]
    crosses = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == 'x']
    assert crosses == [4, 5]
    lines = [list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert lines == [[-1.5, -2.1], [-1.9, -2.0], [pytest.approx(edge), -1.8]]


def test_ranks_and_words():
    figure = draw_energies(energies(*ROWS))
    (axes,) = figure.axes
    ranks = {text.get_text(): text.xy for text in axes.texts if text.get_text()}
    assert ranks == {'1': (2, -2.0), '2': (1, -2.1)}
    assert axes.get_title() == 'NaCl: 5 candidates relaxed with chgnet'
    assert axes.get_ylabel() == 'formation energy (eV/atom)'
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        'template (2)',
        'descent (1)',
        'genetic (1)',
        'free (1)',
        'before (hollow)',
        'after (filled)',
        'began above the edge',
        'failed (2)',
        'rank of the structure',
    ]


def test_a_prediction_of_an_earlier_version_has_no_energies_before():
    rows = [CandidateEnergy(f'c_{place}', 'template', None, -place / 10, None, None) for place in range(1, 4)]
    (axes,) = draw_energies(energies(*rows)).axes
    assert points(axes, hollow=True) == []
    assert [point[:2] for point in points(axes, hollow=False)] == [(1, -0.3), (2, -0.2), (3, -0.1)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ['template (3)', 'after (filled)']
    assert not energies(*rows).knows_before


def test_nothing_but_failures():
    (axes,) = draw_energies(energies(ROWS[4])).axes
    assert [line.get_marker() for line in axes.lines] == ['x']


def test_a_source_of_your_own_and_a_name_with_dollars():
    report = CandidateEnergies('NaCl', 'm$3$gnet', (CandidateEnergy('c_001', 'mine', -1.0, -2.0, None, 1),))
    (axes,) = draw_energies(report).axes
    assert axes.get_title() == 'NaCl: 1 candidate relaxed with m$3$gnet'
    assert points(axes, hollow=False) == [(1, -2.0, COLOURS[6], 'v')]


def test_many_ranks_do_not_touch(inked):
    rows = [
        CandidateEnergy(f'c_{place:03}', 'template', -1.0 - place / 50, -2.0 - place / 100, None, place)
        for place in range(1, 21)
    ]
    rows += [CandidateEnergy(f'd_{place:03}', 'descent', 3.0, -1.8, None, None) for place in range(50)]
    boxes = [entry for entry in inked(draw_energies(energies(*rows))) if entry[0].isdecimal() and len(entry[0]) < 3]
    for (one, first), (two, second) in itertools.combinations(boxes, 2):
        assert not first.padded(-1).overlaps(second.padded(-1)), (one, two)
