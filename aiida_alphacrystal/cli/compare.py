"""The command that compares a predicted crystal with the known one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli import params

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymatgen.core import Structure

__all__ = ('cmd_compare',)

_CIF = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command('compare')
@click.argument('predicted', metavar='PREDICTED.cif', type=_CIF)
@click.argument('truth', metavar='TRUTH.cif', type=_CIF)
@params.POTENTIAL
@click.option('--energy/--no-energy', default=True, help='Whether the energies of the two are compared as well.')
@params.FORMAT
def cmd_compare(*, predicted: Path, truth: Path, potential: str, energy: bool, output_format: str) -> None:
    """Say how far a predicted crystal is from the known one.

    The metrics are the eight of the paper, and whether pymatgen's StructureMatcher (ltol 0.3, stol 0.5, angle_tol 10)
    finds a match. None of them depends on the cells, the origins or the orientations in the files.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.evaluation import print_comparison
    from aiida_alphacrystal.report.tables import print_json

    with clean_stdout():
        from aiida_alphacrystal.engine.datasets import read_cif
        from aiida_alphacrystal.engine.metrics import compare

        structures = [read_cif(path).to_structure() for path in (predicted, truth)]
        comparison = compare(*structures, _energy(potential) if energy else None)
    values = dataclasses.asdict(comparison)
    if output_format == 'json':
        print_json({'predicted': predicted.name, 'truth': truth.name, **values})
    else:
        print_comparison(values)


def _energy(name: str) -> Callable[[Structure], float]:
    """Return what computes the energy of a crystal, eV/atom.

    :raises PotentialError: if there is no such potential, or it fails.
    """
    from aiida_alphacrystal.engine.relax import load_potential, resolve_potential

    resolved = resolve_potential(name)
    if resolved.notice:
        click.echo(f'Note: {resolved.notice}', err=True)
    return load_potential(resolved.files).energy_per_atom
