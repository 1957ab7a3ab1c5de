"""The command that turns a formula into ranked crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput

if TYPE_CHECKING:
    from aiida.engine import ProcessBuilder

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.relax.potentials import ResolvedPotential

__all__ = ('cmd_predict',)


@click.command('predict')
@click.argument('formula')
@params.TOP
@params.PROTOCOL
@params.POTENTIAL
@click.option(
    '--templates',
    type=click.Path(path_type=Path),
    metavar='FILE',
    help='Prototype library to take templates from, made by `train templates`, instead of the one of the package.',
)
@params.MODELS
@params.cell_options
@params.SEED
@params.job_options
@click.option('--daemon', is_flag=True, help='Hand the work to the AiiDA daemon and return at once.')
@params.CACHE
@params.FORMAT
@params.OUTPUT
@params.PROFILE
@click.pass_context
def cmd_predict(
    ctx: click.Context,
    *,
    formula: str,
    top: int | None,
    protocol: str,
    potential: str,
    templates: Path | None,
    models: str | None,
    space_group: int | None,
    crystal_system: str | None,
    lattice: tuple[float, ...] | None,
    seed: int,
    code: str | None,
    walltime: int | None,
    cores: int | None,
    queue: str | None,
    account: str | None,
    scheduler_option: tuple[str, ...],
    device: str | None,
    daemon: bool,
    cache: bool | None,
    output_format: str,
    output: Path | None,
    profile: str | None,
) -> None:
    """Predict the most stable crystals of FORMULA, such as SrTiO3.

    A reduced formula leaves the number of formula units in the cell open; a multiple of it, such as Al4O6, fixes the
    content of the primitive cell.
    """
    from aiida_alphacrystal.cli.launch import run, submit, tell_submitted
    from aiida_alphacrystal.cli.profile import check_profile, load_profile, profile_option
    from aiida_alphacrystal.cli.results import check_finished, show_result
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.engine.features import element_features

    debug = ctx.obj['debug']
    compound = parse_formula(formula)
    element_features(compound)  # refuses an element that the network does not know
    if daemon and output is not None:
        raise BadInput('--output needs the result: leave it out with --daemon and give it to `show` later.')
    if daemon and cache is not None:
        raise BadInput('--cache and --no-cache do not reach the daemon: use `verdi config set caching.enabled_for`.')
    options = params.scheduler_options(walltime, cores, queue, account, scheduler_option)
    if code is None and (options or device):
        raise BadInput('Options of a job need a job: say with --code where it is to run.')
    with clean_stdout():
        check_profile(profile, create=True)
        params.writable_directory(output)
        if templates is not None:
            _check_library(templates)
        resolved = _get_potential(potential, compound)
        name = load_profile(profile, create=True, debug=debug)
        pins = params.pinned(space_group, crystal_system, lattice)
        builder = _make_builder(formula, protocol, resolved, models, templates, seed, top, pins)
        if code is not None:
            params.add_job(builder, code, options, device)
        node = submit(builder) if daemon else run(builder, debug=debug, cache=cache)
    option = profile_option(name)
    if daemon:
        tell_submitted(node, {'formula': node.inputs.formula.value}, output_format, option)
        return
    check_finished(node, option)
    show_result(node, top, output_format, output, option)


def _check_library(path: Path) -> None:
    """See that a file is a prototype library.

    :raises ModelError: if it cannot be read, is damaged or something else.
    """
    from aiida_alphacrystal.engine.reconstruct.library import load_library

    load_library(path)


def _get_potential(name: str, compound: Formula) -> ResolvedPotential:
    """Find a potential, test it and see that it knows every element.

    :raises PotentialError: if there is no such potential, or it fails.
    :raises UnsupportedElementError: if it does not know an element.
    """
    from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential

    resolved = resolve_potential(name)
    if resolved.notice:
        click.echo(f'Note: {resolved.notice}', err=True)
    load_potential(resolved.files).check_elements(frozenset(compound.elements))
    return resolved


def _make_builder(
    formula: str,
    protocol: str,
    resolved: ResolvedPotential,
    family: str | None,
    templates: Path | None,
    seed: int,
    top: int | None,
    pins: dict[str, Any],
) -> ProcessBuilder:
    """Fill the inputs of the work chain."""
    from aiida_alphacrystal.groups import ModelFamily
    from aiida_alphacrystal.workchains import PredictWorkChain

    overrides: dict[str, Any] = {} if top is None else {'rank': {'top': top}}
    if pins:
        overrides['cells'] = pins
    models: dict[str, Any] = {} if family is None else dict(ModelFamily.load(family).models)
    if templates is not None:
        models['templates'] = templates
    return PredictWorkChain.get_builder_from_protocol(
        formula, protocol=protocol, overrides=overrides, potential=resolved, models=models, seed=seed
    )
