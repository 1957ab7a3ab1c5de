"""The display of the progress."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aiida_alphacrystal.cli.progress import PARTS, STAGES, StageProgress
from aiida_alphacrystal.cli.train import _CELL_STAGES
from aiida_alphacrystal.engine.progress import report, reporting


def test_a_line_per_stage(capsys, monkeypatch):
    monkeypatch.delenv('FORCE_COLOR', raising=False)
    with StageProgress() as progress, reporting(progress):
        for stage in STAGES:
            report(stage, 0, 1)
            report('something else', 1, 2)
            report(stage, 1, 1)
    captured = capsys.readouterr()
    assert captured.out == ''
    lines = [f'{number}/6 {text}' for number, text in enumerate(STAGES.values(), start=1)]
    assert captured.err.splitlines() == lines


def test_bars_on_a_terminal_without_colour(capsys, monkeypatch):
    monkeypatch.setenv('TTY_COMPATIBLE', '1')
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('NO_COLOR', '1')
    with StageProgress() as progress:
        progress('relax', 0, 1)
        progress('relax', 3, 8)
        progress('relax', 1, 1)
    captured = capsys.readouterr()
    assert captured.out == ''
    assert '5/6 Relaxing the candidates' in captured.err
    assert '8/8' in captured.err
    assert '\x1b[3' not in captured.err


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self, progress):
        self.now = 0.0
        progress._bars.get_time = lambda: self.now
        for task in progress._bars.tasks:
            task._get_time = progress._bars.get_time


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that makes a display on a terminal of some width, without bars that move by themselves."""
    monkeypatch.setenv('TTY_COMPATIBLE', '1')
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('NO_COLOR', '1')

    def make(width, stages=None):
        monkeypatch.setenv('COLUMNS', str(width))
        return StageProgress(stages)

    return make


def lines_of(progress):
    """Return what the display looks like."""
    console = Console(width=progress._console.width, file=io.StringIO(), force_terminal=False)
    console.print(progress._bars.get_renderable())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_counts_and_time_left(terminal):
    progress = terminal(100)
    clock = Clock(progress)
    progress('relax', 0, 30)
    assert lines_of(progress)[0].endswith('0/30 candidates 0:00:00')
    clock.now = 20.0
    progress('relax', 10, 30)
    assert lines_of(progress)[0].endswith('10/30 candidates 0:00:20, 0:00:40 left')
    clock.now = 30.0
    assert lines_of(progress)[0].endswith('10/30 candidates 0:00:30, 0:00:30 left')
    clock.now = 3600.0
    assert lines_of(progress)[0].endswith('10/30 candidates 1:00:00, 0:00:00 left')
    progress('relax', 30, 30)
    (line,) = lines_of(progress)
    assert line.startswith('✓ 5/6 Relaxing the candidates')
    assert line.endswith('30/30 candidates 1:00:00')


def test_what_was_there_at_the_beginning_took_no_time(terminal):
    progress = terminal(100, {'evaluate': 'Predicting'})
    clock = Clock(progress)
    progress('evaluate', 80, 100)
    clock.now = 10.0
    progress('evaluate', 90, 100)
    assert lines_of(progress)[0].endswith('90/100 crystals 0:00:10, 0:00:10 left')


def test_names_as_they_come_share_one_bar(terminal):
    progress = terminal(100, {})
    clock = Clock(progress)
    for epoch in range(1, 41):
        progress(f'epoch {epoch} of 50', epoch, 50)
        clock.now += 1
    (line,) = lines_of(progress)
    assert 'epoch 40 of 50' in line
    assert line.split()[-4:] == ['40/50', '0:00:40,', '0:00:09', 'left']


@pytest.mark.parametrize('stage', ['reconstruct', 'screen', 'evaluate', 'classes_1', 'likeness'])
def test_every_long_stage_names_its_parts(terminal, stage):
    progress = terminal(100, {stage: 'Working'})
    Clock(progress)
    progress(stage, 1, 8)
    assert f'1/8 {PARTS[stage]}' in lines_of(progress)[0]


@pytest.mark.parametrize('width', [80, 100, 200])
@pytest.mark.parametrize('stages', [STAGES, _CELL_STAGES, {'screen': 'Predicting one formula after the other'}])
def test_bars_fit_on_one_line(terminal, width, stages):
    progress = terminal(width, stages)
    clock = Clock(progress)
    for stage in stages:
        clock.now += 1
        progress(stage, 0, 1000)
        clock.now += 3600
        progress(stage, 500, 1000)
    lines = lines_of(progress)
    assert len(lines) == len(stages)
    assert all('500/1000' in line or '1000/1000' in line for line in lines)
    assert lines[-1].endswith('left')


def test_names_as_they_come(capsys):
    with StageProgress({}) as progress:
        progress('epoch 1 of 2', 1, 2)
        progress('epoch 1 of 2', 2, 2)
        progress('epoch 2 of 2', 1, 2)
    assert capsys.readouterr().err == 'epoch 1 of 2\nepoch 2 of 2\n'
