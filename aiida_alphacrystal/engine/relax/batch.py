"""Relax the cell and the positions of many crystals at once.

The optimiser is our own small quasi-Newton method (BFGS) over batched evaluations. The maintained batched optimisers
that could be had instead (torch-sim 0.3) are gradient descent and FIRE. FIRE needs three times as many evaluations and
comes no lower (``benchmarks/relaxation.py``); torch-sim also leaves it to its caller to single out a crystal that
breaks the batch, and brings a compiled neighbour list and HDF5 along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from aiida_alphacrystal.engine import progress as progress_reports
from aiida_alphacrystal.engine.errors import UnsupportedElementError, one_sentence
from aiida_alphacrystal.engine.relax.base import AtomArrays
from aiida_alphacrystal.engine.relax.bayesian import BayesianRun
from aiida_alphacrystal.engine.relax.narrowing import Narrowing
from aiida_alphacrystal.engine.relax.quasi_newton import QuasiNewtonRun
from aiida_alphacrystal.engine.relax.run import Run, failure
from aiida_alphacrystal.engine.relax.soundness import unsound
from aiida_alphacrystal.engine.relax.state import FinishedRun, RelaxationState
from aiida_alphacrystal.engine.settings import BATCH_SIZES

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from aiida_alphacrystal.engine.relax.base import Potential
    from aiida_alphacrystal.engine.relax.state import Relaxation, RunState
    from aiida_alphacrystal.engine.settings import RelaxSettings

__all__ = ('relax_structures',)

_METHODS: Mapping[str, type[Run]] = MappingProxyType({'gradient': QuasiNewtonRun, 'bayesian': BayesianRun})
#: What torch says where the memory of a CPU does not suffice.
_NO_MEMORY = "can't allocate memory"


def relax_structures(
    structures: Sequence[Structure],
    potential: Potential,
    settings: RelaxSettings,
    progress: Callable[[int, int], None] | None = None,
    *,
    state: RelaxationState | None = None,
    keep: Callable[[RelaxationState], None] | None = None,
) -> tuple[Relaxation, ...]:
    """Relax cells and positions, ``settings.batch_size`` crystals at a time.

    A crystal that has converged or failed leaves the batch and the next one enters. Which crystals share a batch
    follows from the list alone, so that the same list gives the same result to the last bit, also where the work was
    interrupted and goes on from a state. A crystal that cannot be relaxed is returned with a reason. Where the memory
    does not suffice for a batch, it is halved.

    With ``settings.narrow_steps`` a crystal that has taken so many steps waits; when all have, the best go on from
    where they are and the others are left there. When ``settings.budget`` is spent, all are left where they are, after
    one evaluation at least. What that ends is not reproducible.

    :param structures: ordered crystals.
    :param potential: any potential.
    :param settings: method, symmetry, limits, narrowing and batch size.
    :param progress: called with the number of finished crystals and of all.
    :param state: where an earlier call with the same structures had come to.
    :param keep: called with where the work has come to, after every step.
    :raises MemoryError: if the memory does not suffice for one crystal.
    """
    results, running = _begin(structures, settings, state)
    total = len(structures)
    waiting = iter([entry for entry in enumerate(structures) if entry[0] not in results and entry[0] not in running])
    size = limit = _batch_size(settings, potential)
    narrowing = Narrowing(settings, 0.0 if state is None else state.seconds)
    while True:
        narrowing.narrow(running, complete=len(results) + len(running) == total)
        _collect(running, results)
        _fill(running, waiting, results, potential, settings, size - len(narrowing.active(running)))
        active = narrowing.active(running)[:limit]  # more are where a state comes from larger batches, or were chosen
        try:
            _advance(active, potential)
        except MemoryError:
            if len(active) == 1:
                raise
            limit = len(active) // 2
            continue
        _collect(running, results)
        _report(len(results), total, progress)
        if keep is not None:
            keep(_state(results, running, narrowing.seconds))
        if len(results) == total:
            return tuple(results[index] for index in range(total))


def _batch_size(settings: RelaxSettings, potential: Potential) -> int:
    """Return how many crystals share a batch as long as the memory suffices."""
    return settings.batch_size or BATCH_SIZES['cuda' if potential.device.startswith('cuda') else 'cpu']


def _begin(
    structures: Sequence[Structure], settings: RelaxSettings, state: RelaxationState | None
) -> tuple[dict[int, Relaxation], dict[int, Run]]:
    """Return the crystals that have been relaxed and those on their way, by their place in the list."""
    if state is None:
        return {}, {}
    results = {index: relaxation.to_relaxation(structures[index]) for index, relaxation in state.finished.items()}
    running = {index: _resumed(structures[index], settings, run) for index, run in sorted(state.running.items())}
    return results, running


def _resumed(structure: Structure, settings: RelaxSettings, state: RunState) -> Run:
    run = _METHODS[settings.method](structure, settings)
    run.resume(state)
    return run


def _state(results: Mapping[int, Relaxation], running: Mapping[int, Run], seconds: float) -> RelaxationState:
    finished = {index: FinishedRun.of(result) for index, result in results.items()}
    return RelaxationState(finished, {index: run.state() for index, run in running.items()}, seconds)


def _collect(running: dict[int, Run], results: dict[int, Relaxation]) -> None:
    """Take the results of the crystals that are finished."""
    for index in [index for index, run in running.items() if run.finished]:
        results[index] = running.pop(index).result()


def _report(done: int, total: int, progress: Callable[[int, int], None] | None) -> None:
    progress_reports.report('relax', done, total)
    if progress is not None:
        progress(done, total)


def _fill(
    running: dict[int, Run],
    waiting: Iterator[tuple[int, Structure]],
    results: dict[int, Relaxation],
    potential: Potential,
    settings: RelaxSettings,
    places: int,
) -> None:
    """Let crystals enter until the batch is full; those that cannot be evaluated are results at once."""
    while places > 0:
        index, structure = next(waiting, (None, None))
        if index is None or structure is None:
            return
        reason = _obstacle(structure, potential)
        if reason is None:
            running[index] = _METHODS[settings.method](structure, settings)
            places -= 1
        else:
            results[index] = failure(structure, reason)


def _obstacle(structure: Structure, potential: Potential) -> str | None:
    """Say why a crystal cannot be relaxed, None if it can."""
    if not structure.is_ordered:
        return 'a site is disordered'
    try:
        potential.check_elements({site.specie.symbol for site in structure})
    except UnsupportedElementError as error:
        return str(error)
    reason = unsound(AtomArrays.from_structure(structure))
    return None if reason is None else f'{reason} at the start'


def _advance(runs: list[Run], potential: Potential) -> None:
    """Evaluate the trial of every crystal and let it take its next step."""
    if not runs:
        return
    for run in runs:
        run.wake()
    try:
        evaluation = potential.evaluate_crystals([run.trial for run in runs])
    except Exception as error:  # one of them breaks the batch: find out which
        _raise_memory_error(error)
        for run in runs:
            _advance_alone(run, potential)
        return
    for row, run in enumerate(runs):
        run.take(evaluation, row)


def _advance_alone(run: Run, potential: Potential) -> None:
    """Evaluate the trial of one crystal, which fails if it cannot be evaluated."""
    try:
        evaluation = potential.evaluate_crystals([run.trial])
    except Exception as error:  # the reason goes to the user, the others go on
        _raise_memory_error(error)
        run.fail(f'the potential could not evaluate it ({type(error).__name__}: {error})')
        return
    run.take(evaluation, 0)


def _raise_memory_error(error: Exception) -> None:
    """Raise MemoryError where an exception says that the memory did not suffice: no crystal is to blame for that."""
    import torch

    no_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if no_memory or (isinstance(error, RuntimeError) and _NO_MEMORY in str(error)):
        raise MemoryError(one_sentence(error)) from error
