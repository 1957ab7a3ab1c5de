"""Train the cell predictor on known crystals."""

from __future__ import annotations

import collections
import copy
import dataclasses
import json
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.cells.descriptors import centring_factor, composition_vector, shape_of_lattice
from aiida_alphacrystal.engine.cells.model import (
    FORMAT,
    VERSION,
    CellModel,
    CellNetwork,
    load_cell_model,
    predict_cells,
)
from aiida_alphacrystal.engine.datasets import file_sha256, read_crystals, with_spacegroup
from aiida_alphacrystal.engine.settings import CellSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.datasets import Crystal

__all__ = ('evaluate_cells', 'train_cells')

EPOCHS = 30
BATCH = 128
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
LATTICE_WEIGHT = 0.5
WIDTH = 320


class _Samples(NamedTuple):
    """Training data in arrays: compositions, cell classes, space groups, atoms per conventional cell, shapes."""

    x: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    spacegroups: npt.NDArray[np.int64]
    log_atoms: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]


def train_cells(
    data: Path,
    val: Path,
    output_dir: Path,
    seed: int = 0,
    progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, Any]:
    """Train the cell predictor and write its weights and card.

    :param data: training crystals, one JSON object a line.
    :param val: crystals to choose the epoch and the temperature on.
    :param output_dir: where ``cells.safetensors`` and ``cells.json`` are written.
    :param seed: of the initial weights, the dropout and the order of the crystals.
    :param progress: called after every epoch with its number, their total and the loss on ``val``.
    :return: the card.
    """
    started = time.monotonic()
    training, validation = with_spacegroup(read_crystals(data)), with_spacegroup(read_crystals(val))
    classes = sorted({_cell_class(crystal) for crystal in training})
    samples = _samples(training, classes)
    scales = _scales(samples)
    network, epoch = _fit(samples, _samples(validation, classes), scales, len(classes), seed, progress)
    model = CellModel(
        network=network,
        spacegroups=np.array([spacegroup for spacegroup, _ in classes]),
        formula_units=np.array([units for _, units in classes]),
        scales=scales,
        temperature=_fit_temperature(network, _samples(validation, classes), scales),
    )
    _write(model, output_dir / 'cells.safetensors')
    card = {
        'what': 'cell predictor: space group, formula units and lattice from a composition',
        'command': f'aiida-alphacrystal train cells --data {data.name} --val {val.name} --seed {seed} --output DIR',
        'data': {
            'train': {'file': data.name, 'sha256': file_sha256(data), 'crystals': len(training)},
            'val': {'file': val.name, 'sha256': file_sha256(val), 'crystals': len(validation)},
            'source': 'Materials Project (A. Jain et al., APL Materials 1, 011002, 2013), CC BY 4.0',
        },
        'seed': seed,
        'settings': {'epochs': EPOCHS, 'batch': BATCH, 'learning_rate': LEARNING_RATE, 'width': WIDTH},
        'best_epoch': epoch,
        'classes': len(classes),
        'wall_seconds': round(time.monotonic() - started, 1),
        'scores_on_val': evaluate_cells(load_cell_model(output_dir / 'cells.safetensors'), validation),
    }
    (output_dir / 'cells.json').write_text(json.dumps(card, indent=2) + '\n')
    return card


def evaluate_cells(model: CellModel, crystals: Sequence[Crystal]) -> dict[str, float]:
    """Score a cell predictor on known crystals, which it is given as reduced formulas.

    :param model: the cell predictor.
    :param crystals: the truth.
    :return: shares of crystals whose space group is among the first 1, 5 and 10, whose number of formula units is
        among the first 1 and 3, and the mean absolute relative error of the volume per atom in the right space group.
    """
    ranks: list[float] = []
    unit_ranks: list[float] = []
    errors: list[float] = []
    for crystal in crystals:
        formula = _reduced(crystal)
        settings = CellSettings(max_hypotheses=200)
        hypotheses = predict_cells(model, formula, settings, max_atoms=max(20, crystal.natoms))
        spacegroups = list(dict.fromkeys(hypothesis.spacegroup for hypothesis in hypotheses))
        ranks.append(spacegroups.index(crystal.spacegroup) if crystal.spacegroup in spacegroups else math.inf)
        weight: collections.Counter[int] = collections.Counter()
        for hypothesis in hypotheses:
            weight[hypothesis.formula_units] += hypothesis.probability  # type: ignore[assignment]
        ordered = [units for units, _ in weight.most_common()]
        units = _cell_class(crystal)[1]
        unit_ranks.append(ordered.index(units) if units in ordered else math.inf)
        errors += [
            abs(_volume_per_atom(hypothesis.lattice, hypothesis.spacegroup, units * formula.atoms_per_unit) / truth - 1)
            for hypothesis in hypotheses
            for truth in [crystal.volume / crystal.natoms]
            if (hypothesis.spacegroup, hypothesis.formula_units) == (crystal.spacegroup, units)
        ]
    return {
        'n': len(crystals),
        **{f'spacegroup_top{top}': round(float(np.mean(np.array(ranks) < top)), 4) for top in (1, 5, 10)},
        **{f'formula_units_top{top}': round(float(np.mean(np.array(unit_ranks) < top)), 4) for top in (1, 3)},
        'volume_mare': round(float(np.mean(errors)), 4) if errors else math.nan,
    }


def _volume_per_atom(lattice: Sequence[float], spacegroup: int, atoms: int) -> float:
    return math.exp(float(shape_of_lattice(lattice, atoms * centring_factor(spacegroup))[0]))


def _reduced(crystal: Crystal) -> Formula:
    """Return the formula of a crystal with its formula units left open."""
    return dataclasses.replace(crystal.formula, formula_units=None)


def _cell_class(crystal: Crystal) -> tuple[int, int]:
    """Return the space group and the number of formula units of the primitive cell of a crystal."""
    return cast('int', crystal.spacegroup), cast('int', crystal.formula.formula_units)


def _samples(crystals: Sequence[Crystal], classes: Sequence[tuple[int, int]]) -> _Samples:
    """Put crystals into arrays; a class that is not in the list gets the label -1."""
    index = {pair: label for label, pair in enumerate(classes)}
    formulas = [_reduced(crystal) for crystal in crystals]
    atoms = [crystal.natoms * centring_factor(_cell_class(crystal)[0]) for crystal in crystals]
    return _Samples(
        x=np.array([composition_vector(formula) for formula in formulas]),
        labels=np.array([index.get(_cell_class(crystal), -1) for crystal in crystals]),
        spacegroups=np.array([crystal.spacegroup for crystal in crystals]),
        log_atoms=np.log(atoms),
        y=np.array([_shape(crystal, count) for crystal, count in zip(crystals, atoms, strict=True)]),
    )


def _shape(crystal: Crystal, atoms: int) -> npt.NDArray[np.float64]:
    """Return the shape of the conventional lattice, or NaN where spglib does not find the stated space group."""
    import spglib

    numbers = np.unique(crystal.species, return_inverse=True)[1]
    cell = (crystal.lattice.tolist(), crystal.frac_coords.tolist(), numbers.tolist())
    dataset = spglib.get_symmetry_dataset(cell, symprec=0.1)
    if dataset is None or dataset.number != crystal.spacegroup:
        return np.full(6, np.nan)
    lengths = np.linalg.norm(dataset.std_lattice, axis=1)
    units = dataset.std_lattice / lengths[:, None]
    cosines = np.clip([units[1] @ units[2], units[0] @ units[2], units[0] @ units[1]], -1, 1)
    return shape_of_lattice([*lengths, *np.degrees(np.arccos(cosines))], atoms)


def _scales(samples: _Samples) -> dict[str, npt.NDArray[np.float64]]:
    return {
        'x_mean': samples.x.mean(axis=0),
        'x_std': np.maximum(samples.x.std(axis=0), 0.02),
        'y_mean': np.nanmean(samples.y, axis=0),
        'y_std': np.maximum(np.nanstd(samples.y, axis=0), 1e-3),
    }


def _tensors(samples: _Samples, scales: dict[str, npt.NDArray[np.float64]]) -> tuple[torch.Tensor, ...]:
    x = (samples.x - scales['x_mean']) / scales['x_std']
    y = (samples.y - scales['y_mean']) / scales['y_std']
    return (
        torch.from_numpy(x.astype(np.float32)),
        torch.from_numpy(samples.labels),
        torch.from_numpy(samples.spacegroups),
        torch.from_numpy(samples.log_atoms.astype(np.float32)),
        torch.from_numpy(y.astype(np.float32)),
    )


def _fit(
    samples: _Samples,
    validation: _Samples,
    scales: dict[str, npt.NDArray[np.float64]],
    classes: int,
    seed: int,
    progress: Callable[[int, int, float], None] | None,
) -> tuple[CellNetwork, int]:
    """Return the network of the epoch with the least loss on ``val``, and that epoch."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = CellNetwork(classes, width=WIDTH)
    training, held_out = _tensors(samples, scales), _tensors(validation, scales)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * math.ceil(len(samples.x) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, best_state, best_epoch = math.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(1, EPOCHS + 1):
        network.train()
        for rows in torch.randperm(len(samples.x), generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            _loss(network, [tensor[rows] for tensor in training]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            loss = float(_loss(network, held_out))
        if loss < best:
            best, best_state, best_epoch = loss, copy.deepcopy(network.state_dict()), epoch
        if progress is not None:
            progress(epoch, EPOCHS, loss)
    network.load_state_dict(best_state)
    network.eval()
    return network, best_epoch


def _loss(network: CellNetwork, batch: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return cross-entropy over the classes plus the weighted absolute error of the lattice shape."""
    x, labels, spacegroups, log_atoms, y = batch
    hidden = network.hidden(x)
    classification = nn.functional.cross_entropy(network.classes(hidden), labels, ignore_index=-1)
    known = ~torch.isnan(y).any(dim=1)
    shapes = network.shapes(hidden[known], spacegroups[known], log_atoms[known])
    return classification + LATTICE_WEIGHT * nn.functional.smooth_l1_loss(shapes, y[known], beta=0.1)


def _fit_temperature(network: CellNetwork, validation: _Samples, scales: dict[str, npt.NDArray[np.float64]]) -> float:
    """Return the temperature with the least cross-entropy on ``val`` (C. Guo et al., ICML 2017)."""
    x, labels, *_ = _tensors(validation, scales)
    with torch.no_grad():
        logits = network.classes(network.hidden(x))
    grid = np.linspace(0.5, 3.0, 51)
    losses = [float(nn.functional.cross_entropy(logits / float(value), labels, ignore_index=-1)) for value in grid]
    return float(grid[int(np.argmin(losses))])


def _write(model: CellModel, path: Path) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        f'network.{name}': tensor.numpy().astype(np.float16) for name, tensor in model.network.state_dict().items()
    }
    arrays |= {name: array.astype(np.float32) for name, array in model.scales.items()}
    arrays |= {
        'spacegroups': model.spacegroups.astype(np.int16),
        'formula_units': model.formula_units.astype(np.int16),
        'temperature': np.array([model.temperature], dtype=np.float32),
    }
    settings = {'network': {'classes': len(model.spacegroups), 'width': WIDTH}}
    checkpoint.write_atomically(path, checkpoint.pack(FORMAT, VERSION, arrays, settings))
