"""What a work chain came to: its result, or one sentence on why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_alphacrystal.cli.errors import BadInput, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida.orm import WorkChainNode

__all__ = (
    'check_finished',
    'check_screened',
    'describe_failure',
    'show_refinement',
    'show_result',
    'show_screening',
)


def show_result(node: WorkChainNode, top: int | None, output_format: str, output: Path | None, option: str) -> None:
    """Print the result of a finished prediction and write its structures.

    :param node: the work chain.
    :param top: how many structures to show, or None for all that are ranked.
    :param output_format: ``table`` or ``json``.
    :param output: existing directory for CIF files, or None.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.prediction import read_prediction, write_cifs
    from aiida_alphacrystal.report.tables import print_json, print_prediction

    with clean_stdout():
        report = read_prediction(node, top)
        if output is not None:
            _tell_written(write_cifs(report.formula, report.candidates, output), output)
    if output_format == 'json':
        print_json(report.to_dict())
    else:
        print_prediction(report, option)


def show_refinement(node: WorkChainNode, top: int | None, output_format: str, output: Path | None, option: str) -> None:
    """Print the result of a finished refinement and write its structures.

    :param node: the work chain.
    :param top: how many structures to show, or None for all that were refined.
    :param output_format: ``table`` or ``json``.
    :param output: existing directory for CIF files, or None.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.prediction import write_cifs
    from aiida_alphacrystal.report.refinement import read_refinement
    from aiida_alphacrystal.report.tables import print_json, print_refinement

    with clean_stdout():
        report = read_refinement(node, top)
        if output is not None:
            _tell_written(write_cifs(report.formula, report.refined, output, suffix='_dft'), output)
    if output_format == 'json':
        print_json(report.to_dict())
    else:
        print_refinement(report, option)


def show_screening(node: WorkChainNode, output_format: str, option: str) -> None:
    """Print the table of a screening.

    :param node: the work chain.
    :param output_format: ``table``, ``csv`` or ``json``.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.screening import read_screening
    from aiida_alphacrystal.report.tables import print_csv, print_json, print_screening

    with clean_stdout():
        report = read_screening(node)
    if output_format == 'json':
        print_json(report.to_dict())
    elif output_format == 'csv':
        print_csv(report.to_dict()['rows'])
    else:
        print_screening(report, option)


def check_screened(node: WorkChainNode, option: str) -> None:
    """See that a screening has a table, whatever became of its formulas.

    :param node: the work chain.
    :param option: option that names the profile in a command, empty for the default profile.
    :raises BadInput: if it refused its input.
    :raises Failure: if it failed otherwise, or has not ended.
    """
    from aiida_alphacrystal.cli.nodes import check_ended_well

    if 'table' in node.outputs:
        return
    if node.is_terminated:
        check_finished(node, option)
    check_ended_well(node, option)


def _tell_written(paths: Sequence[Path], output: Path) -> None:
    click.echo(f'Wrote {len(paths)} CIF files to {output}.', err=True)


def check_finished(node: WorkChainNode, option: str) -> None:
    """See that a work chain that was run has ended well.

    :param node: the work chain.
    :param option: option that names the profile in a command, empty for the default profile.
    :raises BadInput: if it refused its input.
    :raises Failure: if it failed otherwise.
    """
    if node.is_finished_ok:
        return
    if node.exit_status is not None and 200 <= node.exit_status < 300:
        raise BadInput(node.exit_message or f'Work chain {node.pk} refused its input.')
    raise Failure(describe_failure(node, option))


def describe_failure(node: WorkChainNode, option: str) -> str:
    """Say in one sentence what became of a work chain that did not end well.

    :param node: the work chain.
    :param option: option that names the profile in a command, empty for the default profile.
    """
    hint = f'see `verdi{option} process report {node.pk}`'
    if node.is_killed:
        return f'Work chain {node.pk} was stopped before it had finished: {hint}.'
    if node.is_excepted:
        return f'Work chain {node.pk} stopped by an unforeseen error ({_one_line(node.exception)}): {hint}.'
    return f'Work chain {node.pk} failed with exit code {node.exit_status} ({_one_line(node.exit_message)}): {hint}.'


def _one_line(text: str | None) -> str:
    return ' '.join((text or 'no message').split()).rstrip('.')
