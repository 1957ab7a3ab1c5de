"""The command that hands predicted structures to DFT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput

if TYPE_CHECKING:
    from aiida.engine import ProcessBuilder
    from aiida.orm import StructureData, WorkChainNode

__all__ = ('cmd_refine',)

_STAGES = {'refine': 'Relaxing with DFT'}


@click.command('refine')
@click.argument('identifiers', nargs=-1, required=True, metavar='PK|UUID...')
@click.option('--code', required=True, metavar='CODE', help='The DFT code, such as pw@localhost.')
@click.option(
    '--top',
    type=params.WholeNumber(1, params.MAX_TOP),
    metavar='N',
    default=3,
    show_default=True,
    help='How many of the best structures to refine.',
)
@click.option(
    '--protocol',
    metavar='NAME',
    help='Protocol of the DFT work chain: for Quantum ESPRESSO fast, balanced (its default) or stringent.',
)
@click.option(
    '--pseudo-family',
    metavar='LABEL',
    help='Family of pseudopotentials, as `aiida-pseudo list` shows it; by default that of the protocol.',
)
@click.option(
    '--overrides',
    'overrides_file',
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar='FILE',
    help='YAML or JSON file of what is to be other than in the protocol, such as kpoints_distance or spin_type.',
)
@click.option(
    '--refiner',
    default='quantumespresso.pw.relax',
    show_default=True,
    metavar='NAME',
    help='What runs the code: a refiner, or the entry point of any work chain with protocols.',
)
@click.option(
    '--walltime',
    type=params.WholeNumber(1, 10_000_000),
    metavar='SECONDS',
    help='Longest time of one job; by default that of the protocol.',
)
@click.option(
    '--mpi',
    type=params.WholeNumber(1, 1_000_000),
    metavar='N',
    help='MPI processes of one job; by default what the computer says.',
)
@click.option(
    '--concurrent',
    type=params.WholeNumber(1, params.MAX_TOP),
    metavar='N',
    help='How many structures at once; by default one where the computer has no scheduler, otherwise all.',
)
@click.option(
    '--reuse/--no-reuse',
    default=True,
    show_default=True,
    help='Take over calculations that an earlier refinement has finished with equal inputs.',
)
@click.option('--daemon', is_flag=True, help='Hand the work to the AiiDA daemon and return at once.')
@params.FORMAT
@params.OUTPUT
@params.PROFILE
@click.pass_context
def cmd_refine(
    ctx: click.Context,
    *,
    identifiers: tuple[str, ...],
    code: str,
    top: int,
    protocol: str | None,
    pseudo_family: str | None,
    overrides_file: Path | None,
    refiner: str,
    walltime: int | None,
    mpi: int | None,
    concurrent: int | None,
    reuse: bool,
    daemon: bool,
    output_format: str,
    output: Path | None,
    profile: str | None,
) -> None:
    """Relax the best structures of a prediction with DFT and rank them by its energy.

    PK|UUID is a finished prediction, or one or more structures of one composition, the best first. Everything is
    checked before anything is submitted; what has been finished before is not run again.
    """
    from aiida_alphacrystal.cli.launch import run, submit, tell_submitted
    from aiida_alphacrystal.cli.profile import load_profile, profile_option
    from aiida_alphacrystal.cli.results import check_finished, show_refinement
    from aiida_alphacrystal.cli.streams import clean_stdout

    debug = ctx.obj['debug']
    if daemon and output is not None:
        raise BadInput('--output needs the result: leave it out with --daemon and give it to `show` later.')
    overrides = {} if overrides_file is None else _read_overrides(overrides_file)
    if pseudo_family is not None:
        overrides['pseudo_family'] = pseudo_family
    options = _options(walltime, mpi)
    with clean_stdout():
        name = load_profile(profile, create=False, debug=debug)
        option = profile_option(name)
        source = _find_source(identifiers, name, option)
        params.writable_directory(output)
        builder = _make_builder(code, source, protocol, overrides, top, refiner, options)
        builder.reuse = reuse
        if concurrent is not None:
            builder.max_concurrent = concurrent
        node = (
            submit(builder)
            if daemon
            else run(builder, debug=debug, stages=_STAGES, go_on='run the same command again to go on from there')
        )
    if daemon:
        tell_submitted(node, {'refines': list(identifiers)}, output_format, option)
        return
    check_finished(node, option)
    show_refinement(node, None, output_format, output, option)


def _read_overrides(path: Path) -> dict[str, Any]:
    """Return the content of a YAML or JSON file.

    :raises BadInput: if it cannot be read or is no dictionary.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exception:
        mark = getattr(exception, 'problem_mark', None)
        where = '' if mark is None else f', line {mark.line + 1}'
        raise BadInput(
            f'The overrides in {str(path)!r}{where} are neither YAML nor JSON: correct the file.'
        ) from exception
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadInput(f'The overrides in {str(path)!r} are no dictionary: write one `name: value` on each line.')
    return content


def _options(walltime: int | None, mpi: int | None) -> dict[str, Any]:
    """Return options of the scheduler."""
    options: dict[str, Any] = {}
    if walltime is not None:
        options['max_wallclock_seconds'] = walltime
    if mpi is not None:
        options['resources'] = {'num_machines': 1, 'num_mpiprocs_per_machine': mpi}
        options['withmpi'] = True
    return options


def _find_source(identifiers: tuple[str, ...], profile: str, option: str) -> WorkChainNode | list[StructureData]:
    """Return the prediction or the structures that were named.

    :raises BadInput: if they are something else.
    """
    from aiida import orm

    from aiida_alphacrystal.cli.nodes import PREDICTION, check_ended_well, find_node

    nodes = [find_node(identifier, profile) for identifier in identifiers]
    if len(nodes) == 1 and getattr(nodes[0], 'process_type', None) == PREDICTION:
        prediction = nodes[0]
        if 'ranking' not in prediction.outputs:
            check_ended_well(prediction, option)
        return prediction
    for identifier, node in zip(identifiers, nodes, strict=True):
        if not isinstance(node, orm.StructureData):
            raise BadInput(
                f'Node {identifier} is a {type(node).__name__}: give one prediction, or one or more structures.'
            )
    return nodes


def _make_builder(
    code: str,
    source: WorkChainNode | list[StructureData],
    protocol: str | None,
    overrides: dict[str, Any],
    top: int,
    refiner: str,
    options: dict[str, Any],
) -> ProcessBuilder:
    """Fill the inputs of the work chain and check them."""
    from aiida_alphacrystal.workchains import RefineWorkChain

    try:
        return RefineWorkChain.get_builder_from_protocol(
            code, source, protocol, overrides, top=top, refiner=refiner, options=options
        )
    except ValueError as exception:  # what the work chain itself says of its inputs
        raise BadInput(' '.join(str(exception).split())) from exception
