"""Which arrangements of sites count as one crystal when a prediction is compared with the truth.

The match criterion is lenient, so a candidate is right for many arrangements besides its own. Knowing for which ones
lets the template source offer candidates that are right together as often as possible instead of repeating itself.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import multiprocessing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aiida_alphacrystal.engine.metrics import structure_matcher
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct.prototypes import slot_orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pymatgen.core import Structure

    from aiida_alphacrystal.engine.reconstruct.prototypes import Prototype

__all__ = ('Likenesses', 'composed_orders', 'find_likenesses')

#: Elements that stand for the slots while arrangements are compared; which ones they are does not matter.
_MARKERS = ('Na', 'Cl', 'O', 'Ti', 'Fe', 'S', 'Ba', 'H')


@dataclasses.dataclass(frozen=True)
class Likenesses:
    """Pairs of arrangements that match.

    :param first: a prototype, shape (pairs,).
    :param second: a prototype of the same slot counts, not before ``first``, shape (pairs,).
    :param orders: which of :func:`~aiida_alphacrystal.engine.reconstruct.prototypes.slot_orders` takes the slots of
        ``first`` to those of ``second``, shape (pairs,).
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    orders: npt.NDArray[np.int64]

    def table(self, prototypes: npt.NDArray[np.int64], counts: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return which prototypes of one class are alike, and in which order of the slots.

        :param prototypes: increasing prototypes of the class, shape (prototypes,).
        :param counts: their slot counts.
        :return: shape (prototypes, prototypes, orders).
        """
        orders = slot_orders(counts)
        inverse = np.array([orders.index(tuple(np.argsort(order).tolist())) for order in orders])
        alike = np.zeros((len(prototypes), len(prototypes), len(orders)), dtype=bool)
        alike[np.arange(len(prototypes)), np.arange(len(prototypes)), 0] = True
        rows = np.flatnonzero(np.isin(self.first, prototypes))  # what they match is of the same class
        first, second = (np.searchsorted(prototypes, side[rows]) for side in (self.first, self.second))
        alike[first, second, self.orders[rows]] = True
        alike[second, first, inverse[self.orders[rows]]] = True
        return alike


@functools.lru_cache(maxsize=256)
def composed_orders(counts: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return which order of slots leads from one assignment of elements to another.

    With elements ``a[i]`` on slot i of one prototype and ``b[j]`` on slot j of another, slot i holds the
    element of slot ``o[i]`` of the other; the table gives the index of ``o`` for the indices of ``a`` and ``b``.

    :param counts: slot counts.
    :return: shape (orders, orders).
    """
    orders = slot_orders(counts)
    places = {order: index for index, order in enumerate(orders)}
    inverse = [np.argsort(order) for order in orders]
    return np.array([[places[tuple(back[list(order)].tolist())] for back in inverse] for order in orders])


def find_likenesses(
    prototypes: Sequence[Prototype], known: Likenesses | None = None, start: int = 0, jobs: int = 1
) -> Likenesses:
    """Compare the prototypes of each class of slot counts in every order of the slots.

    :param prototypes: the prototypes.
    :param known: what is already known of those before ``start``.
    :param start: the first prototype that has not been compared yet.
    :param jobs: processes that share the work; the result does not depend on it.
    """
    classes = collections.defaultdict(list)
    for index, prototype in enumerate(prototypes):
        classes[prototype.counts].append(index)
    # the largest pieces of work first, so that no process is left alone with one at the end
    tasks = [
        ([prototypes[index] for index in group[: place + 1]], group[: place + 1])
        for group in classes.values()
        for place in range(len(group))
        if group[place] >= start
    ]
    tasks.sort(key=lambda task: (-len(task[1]) * len(slot_orders(task[0][0].counts)), task[1][-1]))
    rows = [] if known is None else list(zip(known.first, known.second, known.orders, strict=True))
    for done, found in enumerate(_run(tasks, jobs), start=1):
        rows.extend(found)
        report('likeness', done, len(tasks))
    table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 3)
    return Likenesses(table[:, 0], table[:, 1], table[:, 2])


_Task = tuple[list['Prototype'], list[int]]


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield the pairs that each task finds, in the order of the tasks."""
    if jobs == 1 or len(tasks) < 2:
        yield from map(_compare_last, tasks)
        return
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as executor:
        yield from executor.map(_compare_last, tasks, chunksize=4)


def _compare_last(task: _Task) -> list[tuple[int, int, int]]:
    """Compare the last prototype of a group with itself and with those before it."""
    group, indices = task
    matcher = structure_matcher(primitive_cell=False)
    orders = slot_orders(group[-1].counts)
    identity = orders[0]
    second = _mark(group[-1], identity)
    found = []
    for place, order in enumerate(orders):
        for first, index in zip(group, indices, strict=True):
            if index == indices[-1] and order == identity:
                continue
            if matcher.get_rms_dist(_mark(first, order), second) is not None:  # type: ignore[no-untyped-call]
                found.append((index, indices[-1], place))
    return found


def _mark(prototype: Prototype, order: Iterable[int]) -> Structure:
    """Return a prototype with a marker element on every slot."""
    from pymatgen.core import Structure

    markers = [_MARKERS[slot] for slot in order]
    return Structure(prototype.lattice, [markers[slot] for slot in prototype.slots], prototype.frac_coords)
