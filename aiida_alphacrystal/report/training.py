"""Read how a training went: from its directory, a file in it, or a card."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida_alphacrystal.engine.errors import AlphaCrystalError

__all__ = ('HistoryError', 'TrainingCurves', 'curves_of_card', 'read_curves')

#: Epochs and values of a line.
Line = tuple[tuple[float, ...], tuple[float, ...]]

_LOSS, _ERROR = 'loss (cross-entropy)', 'mean RMSE of distances (Å)'
#: Columns of the history of the distance network: panel and name of the line.
_DISTANCES = {
    'train_loss': (_LOSS, 'training crystals'),
    'val_loss': (_LOSS, 'validation crystals'),
    'val_rmse_mean': (_ERROR, 'validation crystals'),
}
#: The same for the networks of the cell predictor, whose losses are of different kinds.
_CELLS = {
    **{f'classes_{number}': ('loss of the class networks', f'network {number}') for number in range(1, 6)},
    'ranker': ('loss of the ranker', 'ranker'),
    'lattice': ('loss of the lattice network', 'lattice'),
}
_CURVE, _CARDS = 'distances-curve.csv', ('distances.json', 'cells.json')


class HistoryError(AlphaCrystalError):
    """There is no history of a training."""


@dataclasses.dataclass(frozen=True)
class TrainingCurves:
    """Losses and errors of a training by epoch.

    :param title: what was trained.
    :param panels: for each quantity its lines by their names.
    :param best_epoch: whose weights were kept, None where that is not known or always the last.
    """

    title: str
    panels: Mapping[str, Mapping[str, Line]]
    best_epoch: int | None = None


def read_curves(path: Path) -> TrainingCurves:
    """Read the curves of a training, of one that still runs as well.

    :param path: directory that ``aiida-alphacrystal train`` has written, or a file in it: weights, a card or a curve.
    :raises HistoryError: if it holds no history, or a damaged one.
    """
    if path.is_dir():
        found = next((path / name for name in (_CURVE, *_CARDS) if (path / name).is_file()), None)
        if found is None:
            raise HistoryError(
                f'The directory {str(path)!r} holds neither {_CURVE} nor a card: give one that `aiida-alphacrystal '
                'train distances` or `train cells` has written.'
            )
        path = found
    if path.suffix == '.csv':
        return _distance_curves(_read_csv(path), path, None)
    return curves_of_card(_read_card(path.with_suffix('.json')), str(path))


def curves_of_card(card: Mapping[str, Any], where: str) -> TrainingCurves:
    """Return the curves that the card of some weights holds.

    :param card: the card.
    :param where: what the weights are called in messages.
    :raises HistoryError: if it holds no history, or a damaged one.
    """
    history = card.get('history')
    if not isinstance(history, Mapping):
        raise HistoryError(
            f'The card of {where} has no history of its training: train the weights with this version, '
            '`aiida-alphacrystal train distances` or `train cells`.'
        )
    if 'train_loss' in history:
        return _distance_curves(history, where, card.get('best_epoch'))
    return _cell_curves(history, where)


def _distance_curves(history: Mapping[str, Any], where: object, best: int | None) -> TrainingCurves:
    epochs = _numbers(history.get('epoch'), where)
    lines = {name: _line(epochs, history.get(name), where) for name in _DISTANCES}
    validated = lines['val_loss'][1]
    if best is None and validated:
        best = int(lines['val_loss'][0][validated.index(min(validated))])
    return TrainingCurves('Training of the distance network', _panels(_DISTANCES, lines, where), best)


def _cell_curves(history: Mapping[str, Any], where: object) -> TrainingCurves:
    lines = {}
    for name in _CELLS:
        values = _numbers(history.get(name, []), where)
        lines[name] = _line(range(1, len(values) + 1), values, where)
    return TrainingCurves('Training of the cell predictor', _panels(_CELLS, lines, where))


def _panels(
    names: Mapping[str, tuple[str, str]], lines: Mapping[str, Line], where: object
) -> dict[str, dict[str, Line]]:
    """Put lines with something to draw into their panels."""
    panels: dict[str, dict[str, Line]] = {}
    for key, (panel, name) in names.items():
        if lines[key][0]:
            panels.setdefault(panel, {})[name] = lines[key]
    if not panels:
        raise HistoryError(f'The history of {where} is empty: let the training finish an epoch.')
    return panels


def _line(epochs: Sequence[float], values: Any, where: object) -> Line:
    """Return a line without the epochs that have no value."""
    numbers = _numbers(values, where)
    if len(numbers) != len(epochs):
        raise _damaged(where)
    pairs = [pair for pair in zip(epochs, numbers, strict=True) if math.isfinite(pair[1])]
    return tuple(float(epoch) for epoch, _ in pairs), tuple(value for _, value in pairs)


def _numbers(values: Any, where: object) -> list[float]:
    """Return numbers, not a number where there is none."""
    try:
        return [math.nan if value is None else float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise _damaged(where) from error


def _read_csv(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a curve."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding='utf-8').splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _damaged(path) from error
    if not rows or 'epoch' not in rows[0]:
        raise _damaged(path)
    return {name: [row[name] for row in rows] for name in rows[0] if name is not None}


def _read_card(path: Path) -> dict[str, Any]:
    """Return the card beside some weights."""
    try:
        card = json.loads(path.read_bytes())
    except OSError as error:
        raise HistoryError(
            f'There is no card {str(path)!r} ({error.strerror}): give the directory that `aiida-alphacrystal train` '
            'has written.'
        ) from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(card, dict):
        raise _damaged(path)
    return card


def _damaged(where: object) -> HistoryError:
    return HistoryError(f'The history in {where} is damaged: give another file, or train again.')
