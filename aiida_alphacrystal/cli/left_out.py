"""Tell what could not be used."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import click

__all__ = ('tell_left_out',)


def tell_left_out(heading: str, left_out: Sequence[tuple[str, str]]) -> None:
    """Print on standard error how many things were left out, and one line for each reason with an example.

    :param heading: what was left out.
    :param left_out: name of each and why.
    """
    if not left_out:
        return
    click.echo(f'{heading}: {len(left_out)}', err=True)
    examples = {reason: name for name, reason in reversed(left_out)}
    for reason, count in collections.Counter(reason for _, reason in left_out).most_common():
        click.echo(f'  {count} x {reason} (such as {examples[reason]})', err=True)
