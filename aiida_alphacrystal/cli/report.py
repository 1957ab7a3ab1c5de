"""The command that writes a result as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput

if TYPE_CHECKING:
    from aiida.orm import Node, WorkChainNode

    from aiida_alphacrystal.report.page.collect import PredictionPage, ScreeningPage

__all__ = ('cmd_report',)

_ENDINGS = ('.html', '.htm')


@click.command('report')
@click.argument('identifier', metavar='PK|UUID')
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    metavar='FILE',
    help='The page, a file that ends with .html; by default the formula and the PK in the current directory.',
)
@params.TOP
@params.PROFILE
@click.pass_context
def cmd_report(
    ctx: click.Context, *, identifier: str, output: Path | None, top: int | None, profile: str | None
) -> None:
    """Write a prediction or a screening as one HTML file, to look at, to send and to keep.

    The page shows structures in three dimensions, distances, powder patterns, energies and the provenance. It is
    complete in itself: any browser opens it, offline as well. PK|UUID is what `predict` or `screen` printed.
    """
    from aiida_alphacrystal.cli.nodes import check_identifier, find_node
    from aiida_alphacrystal.cli.profile import load_profile, profile_option
    from aiida_alphacrystal.cli.streams import clean_stdout

    check_identifier(identifier)
    if output is not None and output.suffix.lower() not in _ENDINGS:
        raise BadInput(f'A page cannot be written to {str(output)!r}: give a name that ends with .html.')
    with clean_stdout():
        from aiida_alphacrystal.report.page.render import render_page

        name = load_profile(profile, create=False, debug=ctx.obj['debug'])
        page, stem = _collect(find_node(identifier, name), identifier, top, profile_option(name))
        path = Path(f'{stem}.html') if output is None else output
        _write(path, render_page(page))
    click.echo(f'Wrote {path}.', err=True)


def _collect(node: Node, identifier: str, top: int | None, option: str) -> tuple[PredictionPage | ScreeningPage, str]:
    """Read what the page shows, and give its file a name.

    :raises BadInput: if the node is neither a prediction nor a screening.
    :raises Failure: if it has no result.
    """
    from aiida_alphacrystal.cli.nodes import PREDICTION, SCREENING, check_ended_well
    from aiida_alphacrystal.cli.results import check_screened
    from aiida_alphacrystal.report.page.collect import collect_prediction, collect_screening

    kind = getattr(node, 'process_type', None)
    if kind == SCREENING:
        if top is not None:
            raise BadInput('A screening shows the best structure of each formula: leave --top out.')
        check_screened(node, option)
        return collect_screening(node), f'screening_{node.pk}'
    if kind != PREDICTION:
        raise BadInput(
            f'Node {identifier} is a {type(node).__name__}, not a prediction or screening of aiida-alphacrystal.'
        )
    if not _is_ranked(node):
        check_ended_well(node, option)
    page = collect_prediction(node, top)
    return page, f'{page.facts["formula"]}_{node.pk}'


def _is_ranked(node: WorkChainNode) -> bool:
    """Return whether a prediction has ended with a ranking, also where its refinement has failed."""
    return bool(node.is_terminated and 'ranking' in node.outputs)


def _write(path: Path, text: str) -> None:
    """Write the page.

    :raises BadInput: if the file cannot be written.
    """
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as exception:
        raise BadInput(
            f'{str(path)!r} cannot be written ({exception.strerror}): give another file with --output.'
        ) from exception
