"""The display of the progress."""

from __future__ import annotations

from aiida_alphacrystal.cli.progress import STAGES, StageProgress
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


def test_names_as_they_come(capsys):
    with StageProgress({}) as progress:
        progress('epoch 1 of 2', 1, 2)
        progress('epoch 1 of 2', 2, 2)
        progress('epoch 2 of 2', 1, 2)
    assert capsys.readouterr().err == 'epoch 1 of 2\nepoch 2 of 2\n'
