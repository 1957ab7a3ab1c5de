"""The command that tells where a structure came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, Failure

if TYPE_CHECKING:
    from aiida.orm import Node, StructureData

__all__ = ('cmd_provenance',)


@click.command('provenance')
@click.argument('identifier', metavar='PK|UUID')
@click.option(
    '--rank',
    type=params.WholeNumber(1, params.MAX_TOP),
    metavar='N',
    help='Of a prediction: which of its structures; the best by default.',
)
@click.option(
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    metavar='FILE',
    help='Draw the same as a graph: a file that ends with .dot, .svg, .png or .pdf.',
)
@params.FORMAT
@params.PROFILE
@click.pass_context
def cmd_provenance(
    ctx: click.Context,
    *,
    identifier: str,
    rank: int | None,
    output: Path | None,
    output_format: str,
    profile: str | None,
) -> None:
    """Tell where a structure came from: relaxation, candidate, cells, distances, weights, formula.

    PK|UUID is a prediction, or a structure that one has made. Each line is made from those that stand below it.
    """
    from aiida_alphacrystal.cli.nodes import check_identifier, find_node
    from aiida_alphacrystal.cli.profile import load_profile
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.provenance import GRAPH_FORMATS, draw_origins, trace_origins
    from aiida_alphacrystal.report.tables import print_json, print_origins

    check_identifier(identifier)
    if output is not None and output.suffix.removeprefix('.').lower() not in GRAPH_FORMATS:
        raise BadInput(f'A graph cannot be written to {str(output)!r}: give a name that ends with .dot, .svg or .png.')
    with clean_stdout():
        name = load_profile(profile, create=False, debug=ctx.obj['debug'])
        structure, role = _find_structure(find_node(identifier, name), identifier, rank)
        origin = trace_origins(structure, role)
        if output is not None:
            try:
                draw_origins(origin, output)
            except OSError as exception:
                raise BadInput(f'{str(output)!r} cannot be written ({exception.strerror}).') from exception
            except RuntimeError as exception:
                raise Failure(str(exception)) from exception
            click.echo(f'Wrote {output}.', err=True)
    if output_format == 'json':
        print_json(origin.to_dict())
    else:
        print_origins(origin)


def _find_structure(node: Node, identifier: str, rank: int | None) -> tuple[StructureData, str]:
    """Return the structure that a node stands for, and what it is called.

    :raises BadInput: if it stands for none.
    """
    from aiida.orm import StructureData

    from aiida_alphacrystal.calcfunctions.convert import rank_label
    from aiida_alphacrystal.cli.nodes import PREDICTION

    if isinstance(node, StructureData):
        if rank is not None:
            raise BadInput('--rank chooses a structure of a prediction: leave it out with a structure.')
        return node, 'structure'
    if getattr(node, 'process_type', None) != PREDICTION:
        raise BadInput(f'Node {identifier} is a {type(node).__name__}: give a prediction or a structure.')
    structures = dict(node.outputs.structures) if 'structures' in node.outputs else {}
    label = rank_label(rank or 1)
    if label not in structures:
        raise BadInput(f'Prediction {node.pk} has {len(structures)} ranked structures and no {label}.')
    return structures[label], label
