"""Exit codes for what can be foreseen to go wrong, the same in every process of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode

from aiida_alphacrystal.engine import errors
from aiida_alphacrystal.refiners import errors as refiner_errors

if TYPE_CHECKING:
    from aiida.engine import WorkChain

__all__ = ('EXIT_CODES', 'define_exit_codes', 'exit_code_for', 'own_exit_code')

#: Error of the engine, most specific first, to the status and label of the exit code that hands on its sentence.
EXIT_CODES: tuple[tuple[type[errors.AlphaCrystalError], int, str], ...] = (
    (errors.TooManyAtomsError, 202, 'ERROR_TOO_MANY_ATOMS'),
    (errors.FormulaError, 201, 'ERROR_INVALID_FORMULA'),
    (errors.UnsupportedElementError, 203, 'ERROR_UNSUPPORTED_ELEMENT'),
    (errors.SettingsError, 204, 'ERROR_INVALID_PARAMETERS'),
    (errors.ModelError, 205, 'ERROR_INVALID_MODEL'),
    (errors.PotentialError, 206, 'ERROR_INVALID_POTENTIAL'),
    (refiner_errors.CodeError, 208, 'ERROR_INVALID_CODE'),
    (refiner_errors.PseudopotentialError, 209, 'ERROR_MISSING_PSEUDOPOTENTIALS'),
    (refiner_errors.FunctionalError, 210, 'ERROR_INCONSISTENT_PSEUDOPOTENTIALS'),
    (refiner_errors.RefinerError, 207, 'ERROR_INVALID_REFINER'),
    (errors.AlphaCrystalError, 310, 'ERROR_STAGE_FAILED'),
)


def exit_code_for(error: errors.AlphaCrystalError) -> ExitCode:
    """Return the exit code that carries the sentence of an error.

    :param error: raised by the engine.
    """
    status = next(status for kind, status, _ in EXIT_CODES if isinstance(error, kind))
    return ExitCode(status, str(error))


def define_exit_codes(spec: Any) -> None:
    """Give a work chain the exit codes of what its stages may refuse, and one for a stage that failed otherwise.

    :param spec: the process specification.
    """
    for _, status, label in EXIT_CODES[:-1]:
        spec.exit_code(status, label, message='{reason}')
    _, status, label = EXIT_CODES[-1]
    spec.exit_code(status, label, message='The stage {stage} failed: {reason}')


def own_exit_code(work_chain: WorkChain, status: int, reason: str, stage: str = 'setup') -> ExitCode:
    """Return the exit code of a work chain for a status of its own, else the one for a stage that failed.

    :param work_chain: the work chain, with :func:`define_exit_codes`.
    :param status: exit status of the work chain or of one of its stages.
    :param reason: one sentence.
    :param stage: which stage it was.
    """
    known = {code.status: code for code in work_chain.exit_codes.values()}
    return known.get(status, work_chain.exit_codes.ERROR_STAGE_FAILED).format(reason=reason, stage=stage)
