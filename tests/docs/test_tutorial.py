"""The tutorial does what it says and shows what is printed."""

from __future__ import annotations

import re

import pytest

from tests.docs import tutorial


def test_a_terminal_shows_what_is_written_over():
    stream = (
        'one\r\n\x1b[?25l\x1b[31mtwo\x1b[0m 1/2\r\x1b[2Ktwo 2/2\r\nthree\r\x1b[2K\x1b[1A\x1b[2Ktwo: done\r\n\x1b[?25h'
    )
    assert tutorial.shown_by_terminal(stream) == 'one\ntwo: done\n'
    assert tutorial.shown_by_terminal('abc\rX\r\n') == 'Xbc\n'


@pytest.mark.parametrize(
    ('shown', 'printed'),
    [
        ('rank 1 -2.070 eV', 'rank  1  -2.071 eV'),
        ('✓ Ranking 1/1 0:00:03', '✓ Ranking 1/1 0:01:59'),
        ('made 2026-11-25 09:36', 'made 2027-01-02 10:00'),
    ],
)
def test_what_differs_between_machines_is_no_difference(shown, printed):
    assert tutorial.differences(shown, printed) == []


@pytest.mark.parametrize(
    ('shown', 'printed'),
    [
        ('rank 1 -2.070 eV', 'rank 2 -2.070 eV'),
        ('rank 1 -2.070 eV', 'rank 1 -2.170 eV'),
        ('rank 1 -2.070 eV', 'rank 1 -2.0700 eV'),
        ('Fm-3m (225)', 'Fd-3m (227)'),
        ('one\ntwo', 'one'),
        ('one', 'one\ntwo'),
    ],
)
def test_anything_else_is_a_difference(shown, printed):
    assert len(tutorial.differences(shown, printed)) == 1


def test_the_page_is_read_in_order():
    blocks = [('bash', 'a\nb'), ('text', 'c'), ('bash', 'pip install .'), ('bash', 'd'), ('python', 'e')]
    page = 'Do\n\n' + '\n'.join(f'```{language}\n{content}\n```\n' for language, content in blocks)
    steps = tutorial.read_steps(page)
    assert [(step.commands, step.output) for step in steps] == [('a\nb\n', 'c\n'), ('d\n', None)]
    assert page[slice(*steps[0].span)] == 'c\n'


@pytest.mark.slow
def test_the_tutorial_runs_as_printed(tmp_path):
    steps = tutorial.read_steps(tutorial.PAGE.read_text(encoding='utf-8'))
    assert len(steps) >= 7
    for step in steps:
        printed = tutorial.run(step.commands, tmp_path)
        assert step.output is not None, f'the page does not show what this prints:\n{step.commands}\n{printed}'
        assert tutorial.differences(step.output, printed) == [], step.commands
        for written in re.findall(r'-o (\S+)', step.commands):
            assert (tmp_path / written).stat().st_size > 1000
