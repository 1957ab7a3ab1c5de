"""Commands about the interatomic potentials."""

from __future__ import annotations

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import Failure
from aiida_alphacrystal.cli.params import HelpfulGroup

__all__ = ('cmd_potential',)


@click.group('potential', cls=HelpfulGroup)
def cmd_potential() -> None:
    """Find and test the potentials that relax and rank."""


@cmd_potential.command('check')
@click.argument('name', metavar='NAME|DIR|FILE')
@params.FORMAT
def cmd_potential_check(name: str, output_format: str) -> None:
    """Find a potential, test it and describe it.

    It is a NAME such as chgnet, a DIRectory of matgl, or a calculator of ASE: ase:MODULE:CALLABLE or a .json FILE.
    One of ASE is tested for forces and stress that follow from its energy, every other one on known compounds.

    Where it cannot be had, the one that `predict` would use instead is described and the exit status is 1.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.tables import print_facts, print_json

    with clean_stdout():
        from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential

        resolved = resolve_potential(name)
        potential = load_potential(resolved.files)
    facts = {
        'name': potential.name,
        'requested': resolved.requested,
        'kind': potential.kind,
        'version': potential.version,
        'convention': potential.convention,
        'sha256': potential.sha256,
        'number_of_elements': len(potential.elements),
        'self_test': 'passed',
    }
    if output_format == 'json':
        print_json({**facts, 'notice': resolved.notice})
    else:
        print_facts(facts)
    if resolved.notice:
        raise Failure(resolved.notice)
