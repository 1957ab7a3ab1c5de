"""Train the distance network from one prepared array file, with checkpoints and resume."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aiida_alphacrystal import __version__
from aiida_alphacrystal.engine.checkpoint import write_atomically
from aiida_alphacrystal.engine.errors import ModelError, SettingsError
from aiida_alphacrystal.engine.network.base import DistanceModel, pair_indices
from aiida_alphacrystal.engine.network.checkpoint import save_network
from aiida_alphacrystal.engine.network.kinds import build_network
from aiida_alphacrystal.engine.network.loss import bin_centres, cross_entropy, match_targets, reorder
from aiida_alphacrystal.engine.network.model import index_within_element
from aiida_alphacrystal.engine.network.preparation import PreparedData, draw, prepare
from aiida_alphacrystal.engine.network.scoring import score_distances
from aiida_alphacrystal.engine.network.settings import TrainSettings
from aiida_alphacrystal.engine.progress import Reporter
from aiida_alphacrystal.engine.settings import check_seed

__all__ = ('evaluate', 'mean_distance', 'train', 'train_prepared')

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
State = dict[str, Tensor]

_STATE_FILE, _CURVE_FILE = 'training-state.pt', 'distances-curve.csv'
_CURVE_COLUMNS = ('epoch', 'learning_rate', 'train_loss', 'val_loss', 'val_rmse_mean', 'seconds')
_LICENCE = (
    'Materials Project (A. Jain et al., APL Materials 1, 011002, 2013, doi:10.1063/1.4812323), CC BY 4.0, as collected '
    'in MP-20 (T. Xie et al., 2021) and MPTS-52 (S. Baird, T. Sparks, 2022)'
)


@dataclasses.dataclass(frozen=True)
class _Batches:
    """Crystals of one size as dense tensors.

    :param rows: their places in the prepared data, shape (crystals,).
    :param features: standardised descriptors, shape (crystals, atoms, 11).
    :param index: number of each atom within its element, shape (crystals, atoms).
    :param distances: shape (crystals, atoms, atoms), A.
    """

    rows: IntArray
    features: Tensor
    index: Tensor
    distances: Tensor


@dataclasses.dataclass
class _Run:
    """Everything that changes during a training, and nothing else: what a checkpoint holds."""

    network: DistanceModel
    optimiser: torch.optim.Optimizer
    average: State
    best: State
    best_loss: float
    best_epoch: int
    epoch: int
    step: int
    orders: dict[int, Tensor]
    curve: list[list[float]]
    seconds: float


def train(
    data: Path,
    val: Path | None,
    output_dir: Path,
    settings: TrainSettings | None = None,
    seed: int = 0,
    *,
    progress: Reporter | None = None,
    test: Path | None = None,
    options: str = '',
) -> dict[str, Any]:
    """Train the distance network and write its weights, its card and its curves.

    After every epoch the state and the curve, ``distances-curve.csv``, are kept in the output directory; the same call
    goes on from there after a kill, to the same weights. Written at the end: ``distances.safetensors`` and its card
    ``distances.json``, which holds the curve as well.

    :param data: crystals to learn from, JSONL or prepared.
    :param val: crystals that choose the epoch; without them, the last one is kept.
    :param output_dir: made if it is not there.
    :param settings: how to train.
    :param seed: fixes the first weights, the order of the crystals and the dropout.
    :param progress: called after every step with the name of the epoch, the steps done so far and those of all epochs.
    :param test: crystals that are only scored, for the card.
    :param options: how the settings were given on the command line, for the card.
    :return: the card.
    :raises DatasetError: if a file of crystals cannot be read.
    :raises SettingsError: if the output directory holds another training.
    """
    settings = settings or TrainSettings()
    output_dir.mkdir(parents=True, exist_ok=True)
    sets = {name: path for name, path in (('train', data), ('val', val), ('test', test)) if path is not None}
    prepared = {
        name: prepare(path, output_dir / f'prepared-{name}.npz', settings.max_atoms) for name, path in sets.items()
    }
    command = f'aiida-alphacrystal train distances --data {data.name} --output {output_dir.name} --seed {seed}'
    command += ''.join(f' --{name} {path.name}' for name, path in sets.items() if name != 'train')
    command += f' {options}' if options else ''
    return train_prepared(prepared, output_dir, settings, seed, progress=progress, command=command)


def train_prepared(
    prepared: dict[str, PreparedData],
    output_dir: Path,
    settings: TrainSettings,
    seed: int = 0,
    *,
    progress: Reporter | None = None,
    command: str = '',
) -> dict[str, Any]:
    """Train from prepared arrays: torch, numpy and scipy do the work, no package that knows crystals is needed.

    :param prepared: ``train``, ``val`` where there are crystals to choose the epoch, ``test`` where there are some to
        score for the card.
    :param output_dir: an existing directory.
    :param settings: how to train.
    :param seed: fixes everything random.
    :param progress: called after every step, as in :func:`train`.
    :param command: how this training was started, for the card.
    :return: the card.
    :raises SettingsError: if the output directory holds another training.
    """
    seed = check_seed(seed)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    prepared = {**prepared, 'train': draw(prepared['train'], settings.crystals, seed)}
    identity = _identity(prepared, settings, seed)
    run = _start(prepared['train'], settings, seed, device)
    state_file = output_dir / _STATE_FILE
    if state_file.exists():
        _restore(run, state_file, identity, device)
    batches = {name: _batches(prepared[name], run.network, device) for name in prepared if name != 'test'}
    for batch in batches['train'].values():
        run.orders.setdefault(batch.distances.shape[1], _identity_orders(batch))
    while run.epoch < settings.epochs and run.epoch - run.best_epoch < settings.patience:
        _run_epoch(run, batches, settings, seed, progress)
        _keep(run, state_file, identity)
        _write_curve(run, output_dir / _CURVE_FILE)
    return _finish(run, prepared, output_dir, settings, seed, command)


def _identity(prepared: dict[str, PreparedData], settings: TrainSettings, seed: int) -> str:
    """Return a hash of everything that decides the result."""
    digest = hashlib.sha256(json.dumps([settings.to_dict(), seed], sort_keys=True).encode())
    for name in sorted(prepared.keys() - {'test'}):
        digest.update(name.encode())
        digest.update(prepared[name].features.tobytes())
        digest.update(prepared[name].distances.tobytes())
    return digest.hexdigest()


def _start(data: PreparedData, settings: TrainSettings, seed: int, device: torch.device) -> _Run:
    _, first = np.unique(data.elements, return_index=True)
    elements = data.features[first]
    scale = elements.std(axis=0)
    network = build_network(
        settings.architecture, settings.bin_edges, elements.mean(axis=0), np.where(scale > 0, scale, 1.0), seed
    ).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.98)
    )
    weights = _copy(network.state_dict())
    return _Run(network, optimiser, weights, _copy(weights), math.inf, 0, 0, 0, {}, [], 0.0)


def _copy(state: State) -> State:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _batches(data: PreparedData, network: DistanceModel, device: torch.device) -> dict[int, _Batches]:
    """Put crystals with the same number of atoms together."""
    result = {}
    starts, squares = np.cumsum(data.natoms) - data.natoms, np.cumsum(data.natoms**2) - data.natoms**2
    for size in np.unique(data.natoms):
        rows = np.flatnonzero(data.natoms == size)
        atoms = starts[rows][:, None] + np.arange(size)
        matrices = data.distances[squares[rows][:, None] + np.arange(size * size)].reshape(len(rows), size, size)
        index = np.stack([index_within_element(data.elements[row]) for row in atoms])
        result[int(size)] = _Batches(
            rows=rows,
            features=network.standardise(data.features[atoms]).to(device),
            index=torch.from_numpy(index).to(device),
            distances=torch.from_numpy(matrices).to(device),
        )
    return result


def _identity_orders(batch: _Batches) -> Tensor:
    count, natoms = batch.index.shape
    return torch.arange(natoms, device=batch.index.device).repeat(count, 1)


def _plan(
    batches: dict[int, _Batches], settings: TrainSettings, generator: np.random.Generator
) -> list[tuple[int, Tensor]]:
    """Deal the crystals into batches of one size each, in random order."""
    plan = []
    for size, batch in batches.items():
        shuffled = torch.from_numpy(generator.permutation(len(batch.rows)))
        per_batch = max(1, settings.pairs_per_batch // (size * (size + 1) // 2))
        parts = math.ceil(len(shuffled) / min(per_batch, 96))
        plan += [(size, part) for part in torch.tensor_split(shuffled, parts)]
    return [plan[place] for place in generator.permutation(len(plan))]


def _run_epoch(
    run: _Run,
    batches: dict[str, dict[int, _Batches]],
    settings: TrainSettings,
    seed: int,
    progress: Reporter | None,
) -> None:
    """Do one epoch; all its randomness comes from the seed and its number."""
    started = time.perf_counter()
    plan = _plan(batches['train'], settings, np.random.default_rng((seed, run.epoch)))
    total_steps = settings.epochs * len(plan)
    stage = f'epoch {run.epoch + 1} of {settings.epochs}'
    if run.curve:
        stage += f', loss on val {run.curve[-1][3]:.3f}'
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence((seed, run.epoch)).generate_state(1)[0]))
        run.network.train()
        for size, chosen in plan:
            rate = _learning_rate(run.step / total_steps, settings)
            losses.append(_step(run, batches['train'][size], chosen, settings, rate))
            if progress is not None:
                progress(stage, run.step, total_steps)
    run.epoch += 1
    val_loss, val_rmse = (
        _validate(run, batches['val'], one_hot=settings.one_hot) if 'val' in batches else (math.nan, math.nan)
    )
    if 'val' not in batches or val_loss < run.best_loss:
        run.best, run.best_loss, run.best_epoch = _copy(run.average), val_loss, run.epoch
    run.seconds += time.perf_counter() - started
    run.curve.append([run.epoch, rate, float(np.mean(losses)), val_loss, val_rmse, run.seconds])


def _learning_rate(done: float, settings: TrainSettings) -> float:
    """Return the learning rate after a share of all steps: a linear rise, then half a cosine or no change."""
    if done < settings.warmup:
        return settings.learning_rate * (done / settings.warmup + 1e-3)
    if settings.schedule == 'constant':
        return settings.learning_rate
    phase = (done - settings.warmup) / max(1e-9, 1.0 - settings.warmup)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * phase)) + 1e-3 * settings.learning_rate


def _step(run: _Run, batch: _Batches, chosen: Tensor, settings: TrainSettings, rate: float) -> float:
    """Match the targets of a batch, take one step and return the loss."""
    size = batch.distances.shape[1]
    features, index, distances = batch.features[chosen], batch.index[chosen], batch.distances[chosen]
    logs = torch.log_softmax(run.network(features, index), dim=-1)
    orders = match_targets(
        run.network, logs.detach(), features, distances, run.orders[size][chosen], rounds=settings.matching_rounds
    )
    run.orders[size][chosen] = orders
    loss = cross_entropy(run.network, logs, reorder(distances, orders), one_hot=settings.one_hot).mean()
    run.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    for group in run.optimiser.param_groups:
        group['lr'] = rate
    run.optimiser.step()
    run.step += 1
    decay = min(settings.average, run.step / (run.step + 10.0))
    for name, tensor in run.network.state_dict().items():
        run.average[name].lerp_(tensor, 1.0 - decay)
    return float(loss.detach())


@torch.no_grad()
def _validate(run: _Run, batches: dict[int, _Batches], *, one_hot: bool) -> tuple[float, float]:
    """Return the loss and the mean error of the averaged weights, atoms matched by likelihood."""
    live = _copy(run.network.state_dict())
    run.network.load_state_dict(run.average)
    run.network.eval()
    losses, errors = [], []
    for batch in batches.values():
        logs = torch.log_softmax(run.network(batch.features, batch.index), dim=-1)
        orders = match_targets(run.network, logs, batch.features, batch.distances, _identity_orders(batch), rounds=20)
        target = reorder(batch.distances, orders)
        losses.append(cross_entropy(run.network, logs, target, one_hot=one_hot).cpu().numpy())
        first, second, _ = pair_indices(target.shape[1])
        if target.shape[1] < 2:
            continue
        apart = first != second
        guess = torch.exp(logs) @ bin_centres(run.network, logs)
        squared = (guess - target[:, first, second]) ** 2
        errors.append(torch.sqrt(squared[:, apart].mean(dim=1)).cpu().numpy())
    run.network.load_state_dict(live)
    return float(np.concatenate(losses).mean()), float(np.concatenate(errors).mean()) if errors else math.nan


def _keep(run: _Run, state_file: Path, identity: str) -> None:
    """Write the state of a training so that it can go on after a kill."""
    state = {
        'identity': identity,
        'network': run.network.state_dict(),
        'optimiser': run.optimiser.state_dict(),
        'average': run.average,
        'best': run.best,
        'orders': run.orders,
        'curve': run.curve,
        'numbers': [run.best_loss, run.best_epoch, run.epoch, run.step, run.seconds],
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(state_file, buffer.getvalue())


def _restore(run: _Run, state_file: Path, identity: str, device: torch.device) -> None:
    """Go on from a kept state.

    :raises SettingsError: if it belongs to another training.
    :raises ModelError: if the file is damaged.
    """
    try:
        state = torch.load(state_file, map_location=device, weights_only=True)
        known = state['identity']
    except Exception as error:
        raise ModelError(f'The checkpoint {state_file} is damaged: delete it to train from the start.') from error
    if known != identity:
        raise SettingsError(
            f'The directory {state_file.parent} holds a training with other data, settings or seed: give another one.'
        )
    run.network.load_state_dict(state['network'])
    run.optimiser.load_state_dict(state['optimiser'])
    run.average, run.best, run.orders = state['average'], state['best'], state['orders']
    run.curve = state['curve']
    run.best_loss, run.best_epoch, run.epoch, run.step, run.seconds = state['numbers']


def _finish(
    run: _Run,
    prepared: dict[str, PreparedData],
    output_dir: Path,
    settings: TrainSettings,
    seed: int,
    command: str,
) -> dict[str, Any]:
    """Write weights, curve and card."""
    run.network.load_state_dict(run.best)
    run.network.cpu().eval()
    weights = save_network(run.network)
    chance = mean_distance(prepared['train'])
    card = {
        'what': 'Distance network: probabilities of the distances between the atoms of a cell, from its composition.',
        'command': command,
        'package_version': __version__,
        'weights_sha256': hashlib.sha256(weights).hexdigest(),
        'parameters': sum(parameter.numel() for parameter in run.network.parameters()),
        'data': {name: data.card for name, data in prepared.items()},
        'data_source': _LICENCE,
        'split': 'no reduced formula occurs in two of the files; val chose the epoch, test was only scored',
        'atomic_numbers': np.unique(prepared['train'].elements).tolist(),
        'seed': seed,
        'settings': settings.to_dict(),
        'epochs_done': run.epoch,
        'best_epoch': run.best_epoch,
        'wall_time_seconds': round(run.seconds, 1),
        'device': 'cuda' if torch.cuda.is_available() else f'cpu, {torch.get_num_threads()} thread(s)',
        'scores_about': 'off-diagonal pairs, A, atoms matched inside each element; chance = the mean training distance',
        'scores': {
            name: {'network': evaluate(run.network, data), 'chance': evaluate(chance, data)}
            for name, data in prepared.items()
            if name != 'train'
        },
        'history': _history(run),
    }
    write_atomically(output_dir / 'distances.safetensors', weights)
    _write_curve(run, output_dir / _CURVE_FILE)
    write_atomically(output_dir / 'distances.json', (json.dumps(card, indent=2, sort_keys=True) + '\n').encode())
    return card


def _write_curve(run: _Run, path: Path) -> None:
    """Write the epochs so far."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow(_CURVE_COLUMNS)
    writer.writerows([[f'{value:.6g}' for value in row] for row in run.curve])
    write_atomically(path, buffer.getvalue().encode())


def _history(run: _Run) -> dict[str, list[float | None]]:
    """Return the columns of the curve for the card, None for what is not a number."""
    columns = zip(*run.curve, strict=True)
    return {
        name: [float(f'{value:.6g}') if math.isfinite(value) else None for value in column]
        for name, column in zip(_CURVE_COLUMNS, columns, strict=True)
    }


def mean_distance(data: PreparedData) -> float:
    """Return the mean distance of two different atoms, A: the constant predictor that scores are compared with.

    :param data: the training crystals.
    """
    total, pairs = 0.0, 0
    for _, _, matrix in data.crystals():
        total += float(matrix.sum() - np.trace(matrix))
        pairs += len(matrix) * (len(matrix) - 1)
    return total / pairs


@torch.no_grad()
def evaluate(predictor: DistanceModel | float, data: PreparedData) -> dict[str, float]:
    """Score expected distances on crystals.

    :param predictor: a network, or one distance (A) for every pair.
    :param data: the crystals.
    :return: see :func:`~aiida_alphacrystal.engine.network.scoring.score_distances`.
    """
    predicted, true, elements = [], [], []
    for numbers, features, matrix in data.crystals():
        true.append(matrix)
        elements.append(numbers.tolist())
        if isinstance(predictor, DistanceModel):
            index = torch.from_numpy(index_within_element(numbers))
            logits = predictor(predictor.standardise(features)[None], index[None])[0].to(torch.float64)
            expected = torch.softmax(logits, dim=-1) @ bin_centres(predictor, logits)
            predicted.append(expected[pair_indices(len(numbers))[2]].numpy())
        else:
            predicted.append(np.full_like(matrix, predictor))
    scores = score_distances(predicted, true, elements)
    return {name: value if isinstance(value, int) else round(value, 4) for name, value in scores.items()}
