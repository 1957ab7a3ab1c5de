"""The commands that draw results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput, one_sentence
from aiida_alphacrystal.cli.params import HelpfulGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiida.orm import Node, WorkChainNode
    from matplotlib.figure import Figure
    from pymatgen.core import Structure

__all__ = ('cmd_plot',)

#: The same as ``report.plots.PLOT_FORMATS``, which would import too much here.
_ENDINGS = ('.png', '.svg', '.pdf')


class PictureFile(click.Path):
    """A file for a picture, which its ending says the kind of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path.

        :param value: what the user wrote.
        :param param: the option it was given to.
        :param ctx: context of the command.
        """
        path = Path(super().convert(value, param, ctx))
        if path.suffix.lower() not in _ENDINGS:
            self.fail(f'{str(path)!r} is no picture: give a name that ends with .png, .svg or .pdf.', param, ctx)
        if not path.parent.is_dir():
            self.fail(f'There is no directory {str(path.parent)!r} for the picture: make it first.', param, ctx)
        return path


_OUTPUT = click.option(
    '-o',
    '--output',
    'output',
    type=PictureFile(dir_okay=False, path_type=Path),
    required=True,
    metavar='FILE',
    help='The picture: a file that ends with .png, .svg or .pdf.',
)
_RANK = click.option(
    '--rank',
    type=params.WholeNumber(1, params.MAX_TOP),
    metavar='N',
    help='Of a prediction: which of its structures; the best by default.',
)


@click.group('plot', cls=HelpfulGroup, short_help='Draw a prediction or a training.')
def cmd_plot() -> None:
    """Draw distances, energies, structures and trainings as pictures.

    The colours can be told apart by colour-blind people; the same input gives the same file.
    """


@cmd_plot.command('distances', short_help='Predicted distances beside those of a structure.')
@click.argument('identifier', metavar='PK|UUID|FILE.npz', shell_complete=params.files)
@_RANK
@_OUTPUT
@params.PROFILE
@click.pass_context
def cmd_plot_distances(
    ctx: click.Context, *, identifier: str, rank: int | None, output: Path, profile: str | None
) -> None:
    """Draw the predicted distances of a prediction beside those of one of its structures.

    Without --rank it is the best structure in a cell of a size for which distances were predicted. PK|UUID can also be
    the distances alone, and FILE what `verdi data alphacrystal distances export` has written; they are drawn with their
    standard deviations.
    """

    def draw() -> Figure:
        from aiida_alphacrystal.report.distances import atom_names, read_exported
        from aiida_alphacrystal.report.plots import draw_comparison, draw_distances

        path = _as_path(identifier)
        if path is not None:
            _refuse_rank(rank)
            prediction = read_exported(path)
            title = f'distances in {path.name}, {len(prediction.species)} atoms'
            return draw_distances(prediction, atom_names(prediction.species), title)
        from aiida_alphacrystal.data import DistancesData

        node = _load_node(ctx, identifier, profile)
        if isinstance(node, DistancesData):
            _refuse_rank(rank)
            return draw_distances(node.to_prediction(), atom_names(node.species), node.get_description())
        wanted = 'a prediction or predicted distances'
        found = _check_prediction(node, identifier, ('distances', 'ranking'), wanted)
        return draw_comparison(_realised(found, rank))

    _write(draw, output)


def _realised(node: WorkChainNode, rank: int | None) -> Any:
    """Return the distances of a ranked structure beside the predicted ones.

    :raises BadInput: if none were predicted for a cell of its size, or there is no such rank.
    """
    from aiida_alphacrystal.report.distances import predicted_distances, read_realised

    ranks = [int(row['rank']) for row in node.outputs.ranking['rows']]
    if rank is not None and rank not in ranks:
        raise _no_rank(node, rank)
    comparable = [row['rank'] for row in node.outputs.ranking['rows'] if _size(row) in predicted_distances(node)]
    if rank is None and comparable:
        rank = comparable[0]
        if rank != 1:
            sizes = _size(node.outputs.ranking['rows'][0])
            click.echo(
                f'Note: no distances were predicted for cells of {sizes} atoms, as rank 1 has: rank {rank} is drawn.',
                err=True,
            )
    realised = read_realised(node, rank) if rank in comparable else None
    if realised is None:
        which = f'ranks {", ".join(map(str, comparable))} have' if comparable else 'no ranked structure has'
        raise BadInput(
            f'No distances were predicted for the cell of rank {rank or 1} of prediction {node.pk}; {which} some: '
            f'draw the distances alone, node {node.outputs.distances.pk}, or another rank.'
        )
    return realised


def _size(row: dict[str, Any]) -> int:
    return int(row['number_of_atoms'])


@cmd_plot.command('energies', short_help='All candidates before and after relaxation.')
@click.argument('identifier', metavar='PK|UUID')
@_OUTPUT
@params.PROFILE
@click.pass_context
def cmd_plot_energies(ctx: click.Context, *, identifier: str, output: Path, profile: str | None) -> None:
    """Draw the formation energies of all candidates of a prediction before and after their relaxation.

    Colour and marker tell the source of a candidate; the numbers are the ranks of the structures in the ranking.
    """

    def draw() -> Figure:
        from aiida_alphacrystal.report.candidates import read_energies
        from aiida_alphacrystal.report.plots import draw_energies

        node = _load_node(ctx, identifier, profile)
        energies = read_energies(_check_prediction(node, identifier, ('candidates', 'relaxations'), 'a prediction'))
        if not energies.knows_before:
            click.echo(
                'Note: this prediction keeps no energies before the relaxation; one made by this version does.',
                err=True,
            )
        return draw_energies(energies)

    _write(draw, output)


@cmd_plot.command('structure', short_help='The conventional cell of a structure.')
@click.argument('identifier', metavar='PK|UUID|FILE.cif', shell_complete=params.files)
@_RANK
@_OUTPUT
@params.PROFILE
@click.pass_context
def cmd_plot_structure(
    ctx: click.Context, *, identifier: str, rank: int | None, output: Path, profile: str | None
) -> None:
    """Draw the conventional cell of a structure of a prediction, of a structure node or of a CIF file."""

    def draw() -> Figure:
        from aiida_alphacrystal.engine.symmetry import spacegroup_of
        from aiida_alphacrystal.report.plots import draw_structure

        structure, role = _find_structure(ctx, identifier, rank, profile)
        number, symbol = spacegroup_of(structure)
        return draw_structure(structure, f'{structure.composition.reduced_formula}{role}: {symbol} ({number})')

    _write(draw, output)


def _find_structure(
    ctx: click.Context, identifier: str, rank: int | None, profile: str | None
) -> tuple[Structure, str]:
    """Return the structure that a user names, and what its place is.

    :raises BadInput: if there is none.
    """
    path = _as_path(identifier)
    if path is not None:
        from aiida_alphacrystal.engine.datasets import read_cif

        _refuse_rank(rank)
        return read_cif(path).to_structure(), ''
    from aiida.orm import StructureData

    from aiida_alphacrystal.calcfunctions.convert import rank_label

    node = _load_node(ctx, identifier, profile)
    if isinstance(node, StructureData):
        _refuse_rank(rank)
        if node.is_alloy or node.has_vacancies:
            raise BadInput(f'Structure {identifier} has partly occupied sites: give one without.')
        return node.get_pymatgen_structure(), ''
    prediction = _check_prediction(node, identifier, ('structures',), 'a prediction, a structure or a CIF file')
    label = rank_label(rank or 1)
    if label not in prediction.outputs.structures:
        raise _no_rank(prediction, rank or 1)
    return prediction.outputs.structures[label].get_pymatgen_structure(), f', rank {rank or 1}'


def _no_rank(node: WorkChainNode, rank: int) -> BadInput:
    number = len(node.outputs.structures) if 'structures' in node.outputs else 0
    return BadInput(f'Prediction {node.pk} has {number} ranked structures and no rank {rank}: give another --rank.')


def _refuse_rank(rank: int | None) -> None:
    if rank is not None:
        raise BadInput('--rank chooses a structure of a prediction: leave it out with anything else.')


@cmd_plot.command('training', short_help='Losses and errors by epoch.')
@click.argument('identifier', metavar='DIR|FILE|PK|UUID', shell_complete=params.files)
@_OUTPUT
@params.PROFILE
@click.pass_context
def cmd_plot_training(ctx: click.Context, *, identifier: str, output: Path, profile: str | None) -> None:
    """Draw the losses and errors of a training by epoch.

    DIR is what `train distances` or `train cells` writes to, also while it runs; FILE is weights, a card or a curve in
    it; PK|UUID is a node of weights.
    """

    def draw() -> Figure:
        from aiida_alphacrystal.report.plots import draw_training
        from aiida_alphacrystal.report.training import curves_of_card, read_curves

        path = _as_path(identifier)
        if path is not None:
            return draw_training(read_curves(path))
        from aiida_alphacrystal.data import ModelData

        node = _load_node(ctx, identifier, profile)
        if not isinstance(node, ModelData):
            raise BadInput(f'Node {identifier} is a {type(node).__name__}: give weights, or a directory that has some.')
        return draw_training(curves_of_card(node.card, f'the weights {node.pk}'))

    _write(draw, output)


def _write(draw: Callable[[], Figure], output: Path) -> None:
    """Draw a picture, write it and say so.

    :raises BadInput: if it cannot be written.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout

    with clean_stdout():
        write_figure(draw(), output, '--output')
    click.echo(f'Wrote {output}.', err=True)


def write_figure(figure: Figure, path: Path, option: str) -> None:
    """Write a picture.

    :param figure: what to write.
    :param path: with an ending that :class:`PictureFile` takes.
    :param option: which option named it, for the message.
    :raises BadInput: if it cannot be written.
    """
    from aiida_alphacrystal.report.plots import save_figure

    try:
        save_figure(figure, path)
    except OSError as exception:
        reason = exception.strerror or one_sentence(exception)
        raise BadInput(f'{str(path)!r} cannot be written ({reason}): give another file with {option}.') from exception


def _as_path(identifier: str) -> Path | None:
    """Return the file that is meant, None where it is a node: digits alone are one.

    :raises BadInput: if it looks like a file and there is none.
    """
    text = identifier.strip()
    if not text:
        raise BadInput('The identifier is empty: give a PK, a UUID or a file.')
    path = Path(text)
    if text.isdecimal():
        return None
    if path.exists():
        return path
    if path.suffix or len(path.parts) > 1:
        raise BadInput(f'There is no file {text!r}: give one that exists, or the PK or UUID of a node.')
    return None


def _load_node(ctx: click.Context, identifier: str, profile: str | None) -> Node:
    """Return the node that a user names."""
    from aiida_alphacrystal.cli.nodes import check_identifier, find_node
    from aiida_alphacrystal.cli.profile import load_profile

    check_identifier(identifier)
    name = load_profile(profile, create=False, debug=ctx.obj['debug'])
    return find_node(identifier, name)


def _check_prediction(node: Node, identifier: str, outputs: tuple[str, ...], wanted: str) -> WorkChainNode:
    """See that a node is a prediction that has come far enough.

    :raises BadInput: if it is something else.
    :raises Failure: if it has not, or it failed.
    """
    from aiida_alphacrystal.cli.errors import Failure
    from aiida_alphacrystal.cli.nodes import PREDICTION, SCREENING, check_ended_well
    from aiida_alphacrystal.cli.profile import profile_option
    from aiida_alphacrystal.cli.results import describe_failure

    kind = getattr(node, 'process_type', None)
    if kind == SCREENING:
        raise BadInput(
            f'Node {identifier} is a screening: give one of its predictions, which `show {identifier}` lists.'
        )
    if kind != PREDICTION:
        raise BadInput(f'Node {identifier} is a {type(node).__name__}: give {wanted}.')
    if any(name not in node.outputs for name in outputs):
        from aiida.manage import get_manager

        option = profile_option(get_manager().get_profile().name)
        check_ended_well(node, option)
        raise Failure(describe_failure(node, option))
    return node
