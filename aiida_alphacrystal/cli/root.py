"""The root command and the one place where an error becomes a sentence and an exit status."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

import click

from aiida_alphacrystal import __version__
from aiida_alphacrystal.cli.cells import cmd_cells
from aiida_alphacrystal.cli.compare import cmd_compare
from aiida_alphacrystal.cli.dataset import cmd_dataset
from aiida_alphacrystal.cli.distances import cmd_distances
from aiida_alphacrystal.cli.errors import EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_INTERRUPTED, Interrupted, one_sentence
from aiida_alphacrystal.cli.evaluate import cmd_evaluate
from aiida_alphacrystal.cli.hull import cmd_hull
from aiida_alphacrystal.cli.list import cmd_list
from aiida_alphacrystal.cli.models import cmd_models
from aiida_alphacrystal.cli.params import HelpfulGroup
from aiida_alphacrystal.cli.plot import cmd_plot
from aiida_alphacrystal.cli.potential import cmd_potential
from aiida_alphacrystal.cli.predict import cmd_predict
from aiida_alphacrystal.cli.provenance import cmd_provenance
from aiida_alphacrystal.cli.refine import cmd_refine
from aiida_alphacrystal.cli.report import cmd_report
from aiida_alphacrystal.cli.screen import cmd_screen
from aiida_alphacrystal.cli.setup import cmd_setup
from aiida_alphacrystal.cli.show import cmd_show
from aiida_alphacrystal.cli.train import cmd_train
from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('cmd_root', 'main')

PROGRAM = 'aiida-alphacrystal'


#: How a shell learns to complete words; the same line as that of ``verdi``.
_COMPLETION = f'eval "$(_AIIDA_ALPHACRYSTAL_COMPLETE=bash_source {PROGRAM})"'


@click.group(
    PROGRAM,
    cls=HelpfulGroup,
    context_settings={'help_option_names': ['-h', '--help'], 'max_content_width': 100},
    epilog=f'\b\nTo complete words in bash (or zsh_source, fish_source):\n  {_COMPLETION}',
)
@click.option('--debug', is_flag=True, help='Show tracebacks and what the libraries log.')
@click.version_option(__version__, '--version', message=f'{PROGRAM} %(version)s')
@click.pass_context
def cmd_root(ctx: click.Context, debug: bool) -> None:
    """Predict crystal structures from a formula, inside AiiDA.

    Start with: aiida-alphacrystal predict SrTiO3
    """
    ctx.obj = {'debug': debug}


for _command in (
    cmd_predict,
    cmd_screen,
    cmd_list,
    cmd_show,
    cmd_report,
    cmd_provenance,
    cmd_hull,
    cmd_plot,
    cmd_refine,
    cmd_cells,
    cmd_distances,
    cmd_potential,
    cmd_dataset,
    cmd_train,
    cmd_models,
    cmd_evaluate,
    cmd_compare,
    cmd_setup,
):
    cmd_root.add_command(_command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit status.

    Bad input leaves with 2, an interruption with 130, any other failure with 1; each prints one sentence on standard
    error and never a traceback, unless ``--debug`` asks for it.

    :param args: the arguments; those of the process where it is None.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    debug = '--debug' in arguments
    if not debug:
        warnings.simplefilter('ignore')
        os.environ.setdefault('SPGLIB_WARNING', 'OFF')  # spglib writes to standard error where it finds no symmetry
    try:
        status = cmd_root.main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        _complain('Interrupted: nothing is left running; run the same command again to start over.', 'Stopped')
        sys.exit(EXIT_INTERRUPTED)
    except Interrupted as exception:
        _complain(exception.format_message(), 'Stopped')
        sys.exit(exception.exit_code)
    except click.ClickException as exception:
        if debug:
            traceback.print_exc()
        _complain(exception.format_message())
        sys.exit(exception.exit_code)
    except AlphaCrystalError as exception:
        if debug:
            raise
        _complain(str(exception))
        sys.exit(EXIT_BAD_INPUT)
    except OSError as exception:
        if debug:
            raise
        if exception.errno == errno.EPIPE:
            _close_broken_pipe()
            sys.exit(EXIT_FAILURE)
        _complain(one_sentence(exception))
        sys.exit(EXIT_FAILURE)
    except Exception as exception:
        if debug:
            raise
        _complain(
            f'Something unforeseen happened ({type(exception).__name__}: {one_sentence(exception)}): '
            'run again with `aiida-alphacrystal --debug ...` to see where.'
        )
        sys.exit(EXIT_FAILURE)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str, title: str = 'Error') -> None:
    click.echo(f'{title}: {message}', err=True)


def _close_broken_pipe() -> None:
    """Let the interpreter end in silence after the reader of standard output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
