"""Train the cell predictor on known crystals.

The networks that score the classes are trained each without one part of the formulas, so that the ranker can be trained
on what they say of formulas that they have not seen; the votes leave the crystals of the same formula out as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from aiida_alphacrystal.engine.cells.descriptors import LATTICE_SIZE, centring_factor, composition_vector
from aiida_alphacrystal.engine.cells.model import CellModel, load_cell_model, save_cell_model
from aiida_alphacrystal.engine.cells.networks import ClassNetwork, LatticeNetwork, Ranker, ranker_inputs
from aiida_alphacrystal.engine.cells.scoring import cell_class, open_formula, score_cells
from aiida_alphacrystal.engine.cells.votes import TemplateVotes, shape_of_crystal
from aiida_alphacrystal.engine.datasets import file_sha256, read_crystals, with_spacegroup
from aiida_alphacrystal.engine.features import atomic_numbers
from aiida_alphacrystal.engine.progress import report
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aiida_alphacrystal.engine.datasets import Crystal

__all__ = ('CellTrainSettings', 'train_cells')

FloatArray = npt.NDArray[np.float64]

#: Share of the crystals whose lattice is learnt as if no template had one, so that the network can do without.
_SILENT = 0.25


@dataclasses.dataclass(frozen=True)
class CellTrainSettings:
    """How the networks are trained.

    :param folds: parts of the formulas, each left out by one of the class networks.
    :param class_epochs: epochs of each class network.
    :param ranker_epochs: epochs of the ranker.
    :param lattice_epochs: epochs of the lattice network.
    :param batch: crystals per step.
    :param learning_rate: of AdamW at the start; it falls as a cosine.
    :param weight_decay: of AdamW.
    :param width: hidden units of the class networks.
    :param max_atoms: the largest primitive cell whose votes are asked for.
    """

    folds: int = 5
    class_epochs: int = 25
    ranker_epochs: int = 6
    lattice_epochs: int = 25
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    width: int = 256
    max_atoms: int = 20


@dataclasses.dataclass(frozen=True)
class _Samples:
    """Crystals as tensors, of all classes that there are.

    :param composition: scaled, shape (crystals, COMPOSITION_SIZE).
    :param labels: class of each crystal, -1 where it has none, shape (crystals,).
    :param fixed: whether a class has the formula units of the crystal, shape (crystals, classes).
    :param possible: whether it has any that the formula allows, likewise.
    :param votes: logarithm of the votes, minus infinity where there are none, likewise.
    :param strongest: logarithm of the strongest vote, likewise.
    :param sizes: logarithm of the atoms in a formula unit and number of elements, shape (crystals, 2).
    :param spacegroups: shape (crystals,).
    :param log_atoms: logarithm of the atoms in the conventional cell, shape (crystals,).
    :param shapes: scaled shape of the lattice, NaN where it is not known, shape (crystals, LATTICE_SIZE).
    :param voted: scaled shape that the templates have, NaN where there is none, likewise.
    :param spreads: its scaled spread, likewise.
    """

    composition: torch.Tensor
    labels: torch.Tensor
    fixed: torch.Tensor
    possible: torch.Tensor
    votes: torch.Tensor
    strongest: torch.Tensor
    sizes: torch.Tensor
    spacegroups: torch.Tensor
    log_atoms: torch.Tensor
    shapes: torch.Tensor
    voted: torch.Tensor
    spreads: torch.Tensor

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.labels)


def train_cells(
    data: Path,
    val: Path,
    output_dir: Path,
    templates: Path | None = None,
    seed: int = 0,
    settings: CellTrainSettings | None = None,
) -> dict[str, Any]:
    """Train the cell predictor and write its weights and card.

    Class networks that are finished are kept beside the output until the end, so that a training that was stopped goes
    on with the next one, to the same result.

    :param data: training crystals, one JSON object a line.
    :param val: crystals to fit what makes probabilities and errors calibrated.
    :param output_dir: where ``cells.safetensors`` and ``cells.json`` are written.
    :param templates: library whose crystals vote; None for the one that the package carries.
    :param seed: of everything that is drawn.
    :param settings: how the networks are trained.
    :return: the card.
    """
    started = time.monotonic()
    how = settings or CellTrainSettings()
    training, validation = with_spacegroup(read_crystals(data)), with_spacegroup(read_crystals(val))
    classes = sorted({cell_class(crystal) for crystal in training})
    library = load_library(templates)
    voters = TemplateVotes(library)
    described = _describe(training)
    scales = _scales(*described)
    samples = _prepare(training, described, classes, voters, scales, how.max_atoms, 'votes')
    held_out = _prepare(validation, _describe(validation), classes, voters, scales, how.max_atoms, 'votes_val')
    parts = _Parts(output_dir, [file_sha256(data), seed, dataclasses.asdict(how)])
    with one_thread():
        folds = _folds(training, how.folds, seed)
        fitted = [_fit_classes(samples, folds != fold, how, seed + fold, fold, parts) for fold in range(how.folds)]
        networks = tuple(network for network, _ in fitted)
        history = {f'classes_{fold + 1}': losses for fold, (_, losses) in enumerate(fitted)}
        prior = np.log(np.bincount(samples.labels.numpy(), minlength=len(classes)) + 1.0)
        first = _fit_temperature(_averaged(networks, held_out, 1.0), held_out)
        unseen = _unseen(networks, samples, folds, first)
        ranker, history['ranker'] = _fit_ranker(samples, unseen, torch.from_numpy(prior).float(), how, seed)
        scores = _ranker_scores(ranker, held_out, _averaged(networks, held_out, first), torch.from_numpy(prior).float())
        lattice, history['lattice'] = _fit_lattice(samples, how, seed)
        factor = _volume_factor(lattice, held_out)
    model = CellModel(
        networks=networks,
        ranker=ranker,
        lattice=lattice,
        spacegroups=np.array([spacegroup for spacegroup, _ in classes]),
        formula_units=np.array([units for _, units in classes]),
        prior=prior,
        scales=scales,
        temperatures=(first, _fit_temperature(scores, held_out)),
        volume_factor=factor,
    )
    save_cell_model(model, output_dir / 'cells.safetensors')
    card = {
        'what': 'cell predictor: space group, formula units and lattice from a composition and the votes of templates',
        'command': f'aiida-alphacrystal train cells --data {data.name} --val {val.name} --seed {seed} --output DIR',
        'data': {
            'train': {'file': data.name, 'sha256': file_sha256(data), 'crystals': len(training)},
            'val': {'file': val.name, 'sha256': file_sha256(val), 'crystals': len(validation)},
            'templates': {'file': 'shipped' if templates is None else templates.name, 'crystals': voters.members},
            'source': 'Materials Project (A. Jain et al., APL Materials 1, 011002, 2013), CC BY 4.0',
        },
        'seed': seed,
        'settings': dataclasses.asdict(how),
        'classes': len(classes),
        'wall_seconds': round(time.monotonic() - started, 1),
        'scores_on_val': score_cells(load_cell_model(output_dir / 'cells.safetensors'), validation, library),
        'history': history,
    }
    (output_dir / 'cells.json').write_text(json.dumps(card, indent=2) + '\n')
    parts.remove()
    return card


class _Parts:
    """Networks that are finished, kept until the whole training is.

    :param directory: where.
    :param key: what decides about them, as plain values.
    """

    def __init__(self, directory: Path, key: Any) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]

    def load(self, number: int, network: nn.Module) -> list[float] | None:
        """Fill a network from what was kept, and return its losses by epoch; None where there was nothing.

        :param number: which one.
        :param network: of the right architecture.
        """
        path = self._path(number)
        if not path.exists():
            return None
        network.load_state_dict(load_file(path))
        with safe_open(path, framework='pt') as content:
            losses: list[float] = json.loads((content.metadata() or {}).get('losses', '[]'))
        return losses

    def keep(self, number: int, network: nn.Module, losses: list[float]) -> None:
        """Keep a network.

        :param number: which one.
        :param network: the network.
        :param losses: its losses by epoch.
        """
        draft = self._path(number).with_suffix('.part')
        save_file(network.state_dict(), draft, metadata={'losses': json.dumps(losses)})
        draft.replace(self._path(number))

    def remove(self) -> None:
        """Remove everything that was kept, whatever it belonged to."""
        for path in self._directory.glob('.cells-*'):
            path.unlink()

    def _path(self, number: int) -> Path:
        return self._directory / f'.cells-{self._name}-{number}.safetensors'


def _prepare(
    crystals: Sequence[Crystal],
    described: tuple[FloatArray, FloatArray],
    classes: Sequence[tuple[int, int]],
    voters: TemplateVotes,
    scales: dict[str, FloatArray],
    max_atoms: int,
    stage: str,
) -> _Samples:
    """Put crystals and the votes for them into tensors; those of a formula do not vote for it."""
    composition, shapes = described
    index = {pair: label for label, pair in enumerate(classes)}
    numbers, members = atomic_numbers(), voters.members_by_composition()
    spacegroups, units = np.array(classes).T
    votes, strongest = np.full((2, len(crystals), len(classes)), -np.inf, dtype=np.float32)
    voted, spreads = np.full((2, len(crystals), LATTICE_SIZE), np.nan)
    for row, crystal in enumerate(crystals):
        formula = open_formula(crystal)
        key = frozenset(
            (numbers[symbol], count) for symbol, count in zip(formula.elements, formula.counts, strict=True)
        )
        excluded = np.zeros(voters.members, dtype=bool)
        excluded[members.get(key, [])] = True
        found = voters.vote(formula, max(max_atoms, crystal.natoms), excluded)
        votes[row], strongest[row] = found.by_class(spacegroups, units)
        for place, pair in enumerate(zip(found.spacegroups.tolist(), found.formula_units.tolist(), strict=True)):
            lattice = voters.lattice(found, place) if pair == cell_class(crystal) else None
            if lattice is not None:
                voted[row], spreads[row] = lattice.shape, lattice.spread
        report(stage, row + 1, len(crystals))
    formulas = [open_formula(crystal) for crystal in crystals]
    allowed = [formula.allowed_formula_units(max_atoms) for formula in formulas]
    own = np.array([cell_class(crystal)[1] for crystal in crystals])
    atoms = [crystal.natoms * centring_factor(cell_class(crystal)[0]) for crystal in crystals]
    return _Samples(
        composition=_floats((composition - scales['x_mean']) / scales['x_std']),
        labels=torch.tensor([index.get(cell_class(crystal), -1) for crystal in crystals]),
        fixed=torch.from_numpy(units == own[:, None]),
        possible=torch.from_numpy(np.array([np.isin(units, some) for some in allowed])),
        votes=torch.from_numpy(votes),
        strongest=torch.from_numpy(strongest),
        sizes=_floats([[math.log(formula.atoms_per_unit), len(formula.elements)] for formula in formulas]),
        spacegroups=torch.tensor([cell_class(crystal)[0] for crystal in crystals]),
        log_atoms=_floats(np.log(atoms)),
        shapes=_floats((shapes - scales['y_mean']) / scales['y_std']),
        voted=_floats((voted - scales['y_mean']) / scales['y_std']),
        spreads=_floats(spreads / scales['y_std']),
    )


def _floats(values: npt.ArrayLike) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _shape(crystal: Crystal) -> FloatArray:
    """Return the shape of the conventional lattice, NaN where spglib does not find the stated space group."""
    shape = shape_of_crystal(crystal)
    return np.full(LATTICE_SIZE, np.nan) if shape is None else shape


def _describe(crystals: Sequence[Crystal]) -> tuple[FloatArray, FloatArray]:
    """Return compositions and shapes of the lattices of crystals as they are."""
    compositions = np.array([composition_vector(open_formula(crystal)) for crystal in crystals])
    return compositions, np.array([_shape(crystal) for crystal in crystals])


def _scales(x: FloatArray, y: FloatArray) -> dict[str, FloatArray]:
    """Return mean and standard deviation of compositions and shapes."""
    return {
        'x_mean': x.mean(axis=0),
        'x_std': np.maximum(x.std(axis=0), 0.02),
        'y_mean': np.nanmean(y, axis=0),
        'y_std': np.maximum(np.nanstd(y, axis=0), 1e-3),
    }


def _folds(crystals: Sequence[Crystal], number: int, seed: int) -> torch.Tensor:
    """Return the part that each crystal belongs to; those of one formula share it."""
    names = sorted({crystal.formula.reduced for crystal in crystals})
    drawn = np.random.default_rng(seed).permutation(np.arange(len(names)) % number)
    parts = dict(zip(names, drawn.tolist(), strict=True))
    return torch.tensor([parts[crystal.formula.reduced] for crystal in crystals])


def _descend(
    network: nn.Module,
    loss: Callable[[torch.Tensor], torch.Tensor],
    rows: torch.Tensor,
    epochs: int,
    how: CellTrainSettings,
    seed: int,
    stage: str,
) -> list[float]:
    """Train a network on some rows, put it into evaluation mode and return its mean loss in every epoch."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * math.ceil(len(rows) / how.batch))
    network.train()
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for chosen in rows[torch.randperm(len(rows), generator=generator)].split(how.batch):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            value = loss(chosen)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += len(chosen) * float(value.detach())
        losses.append(float(f'{total / max(1, len(rows)):.6g}'))
        report(stage, epoch + 1, epochs)
    network.eval()
    return losses


def _entropies(scores: torch.Tensor, samples: _Samples, rows: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy with the cell left open and with its content given, each with half of the weight."""
    labels = samples.labels[rows]
    losses = [
        nn.functional.cross_entropy(scores.masked_fill(~mask[rows], -1e9), labels)
        for mask in (samples.possible, samples.fixed)
    ]
    return 0.5 * (losses[0] + losses[1])


def _fit_classes(
    samples: _Samples, rows: torch.Tensor, how: CellTrainSettings, seed: int, number: int, parts: _Parts
) -> tuple[ClassNetwork, list[float]]:
    """Train one class network on some of the crystals and return it with its losses."""
    torch.manual_seed(seed)
    network = ClassNetwork(samples.votes.shape[1], width=how.width)
    losses = parts.load(number, network)
    if losses is None:
        usable = torch.nonzero(rows & _known(samples))[:, 0]
        losses = _descend(
            network,
            lambda chosen: _entropies(network(samples.composition[chosen]), samples, chosen),
            usable,
            how.class_epochs,
            how,
            seed,
            f'classes_{number + 1}',
        )
        parts.keep(number, network, losses)
    network.eval()
    return network, losses


def _known(samples: _Samples) -> torch.Tensor:
    """Return which crystals have a class that is possible for their formula."""
    places = samples.labels.clamp(min=0)[:, None]
    return (samples.labels >= 0) & samples.possible.gather(1, places)[:, 0]


def _averaged(networks: Sequence[ClassNetwork], samples: _Samples, temperature: float) -> torch.Tensor:
    """Return the logarithm of the mean probability of every class."""
    with torch.no_grad():
        found = [torch.softmax(network(samples.composition) / temperature, dim=1) for network in networks]
    return torch.stack(found).mean(dim=0).log()


def _unseen(
    networks: Sequence[ClassNetwork], samples: _Samples, folds: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return what each crystal is given by the network that has not seen its formula."""
    found = torch.zeros_like(samples.votes)
    with torch.no_grad():
        for fold, network in enumerate(networks):
            rows = folds == fold
            found[rows] = torch.log_softmax(network(samples.composition[rows]) / temperature, dim=1)
    return found


def _ranker_scores(
    ranker: Ranker, samples: _Samples, logits: torch.Tensor, prior: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the scores of all crystals, with the cell left open and with its content given."""
    every = torch.arange(len(samples))
    with torch.no_grad():
        return {
            name: ranker(*_seen_by_ranker(samples, logits, prior, every, mask, fixed))
            for name, mask, fixed in (('possible', samples.possible, 0.0), ('fixed', samples.fixed, 1.0))
        }


def _seen_by_ranker(
    samples: _Samples,
    logits: torch.Tensor,
    prior: torch.Tensor,
    rows: torch.Tensor,
    mask: torch.Tensor,
    fixed: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = torch.cat([samples.sizes[rows], torch.full((len(rows), 1), fixed)], dim=1)
    return ranker_inputs(logits[rows], samples.votes[rows], samples.strongest[rows], mask[rows], prior, sizes)


def _fit_ranker(
    samples: _Samples, logits: torch.Tensor, prior: torch.Tensor, how: CellTrainSettings, seed: int
) -> tuple[Ranker, list[float]]:
    """Train the ranker on what it is given of formulas that neither the networks nor the voters have seen.

    :return: the ranker and its losses.
    """
    torch.manual_seed(seed)
    ranker = Ranker()

    def loss(rows: torch.Tensor) -> torch.Tensor:
        losses = []
        for mask, fixed in ((samples.possible, 0.0), (samples.fixed, 1.0)):
            scores = ranker(*_seen_by_ranker(samples, logits, prior, rows, mask, fixed))
            losses.append(nn.functional.cross_entropy(scores.masked_fill(~mask[rows], -1e9), samples.labels[rows]))
        return 0.5 * (losses[0] + losses[1])

    gentle = dataclasses.replace(how, learning_rate=3 * how.learning_rate, weight_decay=1e-3)
    losses = _descend(ranker, loss, torch.nonzero(_known(samples))[:, 0], how.ranker_epochs, gentle, seed, 'ranker')
    return ranker, losses


def _fit_lattice(samples: _Samples, how: CellTrainSettings, seed: int) -> tuple[LatticeNetwork, list[float]]:
    """Train the lattice network: absolute errors of all numbers, and a Laplace likelihood for that of the volume.

    :return: the network and its losses.
    """
    torch.manual_seed(seed)
    network = LatticeNetwork()

    generator = torch.Generator().manual_seed(seed)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        silent = torch.rand(len(rows), generator=generator) < _SILENT
        found, width = _lattice_of(network, samples, rows, silent)
        target = samples.shapes[rows]
        likelihood = (found[:, 0] - target[:, 0]).abs().detach() * torch.exp(-width) + width
        return nn.functional.smooth_l1_loss(found, target, beta=0.1) + 0.1 * likelihood.mean()

    rows = torch.nonzero(~torch.isnan(samples.shapes).any(dim=1))[:, 0]
    losses = _descend(network, loss, rows, how.lattice_epochs, how, seed, 'lattice')
    return network, losses


def _lattice_of(
    network: LatticeNetwork, samples: _Samples, rows: torch.Tensor, silent: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scaled shapes and errors of some crystals, as if there were no templates where it is silent."""
    voted = samples.voted[rows]
    if silent is not None:
        voted = torch.where(silent[:, None], torch.nan, voted)
    found: tuple[torch.Tensor, torch.Tensor] = network(
        samples.composition[rows],
        samples.spacegroups[rows],
        samples.log_atoms[rows],
        voted,
        samples.spreads[rows],
    )
    return found


def _volume_factor(network: LatticeNetwork, samples: _Samples) -> float:
    """Return what makes two thirds of the errors of the volume smaller than what is stated."""
    rows = torch.nonzero(~torch.isnan(samples.shapes).any(dim=1))[:, 0]
    if len(rows) == 0:
        return 1.0
    with torch.no_grad():
        found, width = _lattice_of(network, samples, rows)
    ratio = (found[:, 0] - samples.shapes[rows, 0]).abs() * torch.exp(-width)
    return float(torch.quantile(ratio, 2 / 3))


def _fit_temperature(scores: torch.Tensor | dict[str, torch.Tensor], samples: _Samples) -> float:
    """Return the temperature with the least cross-entropy on ``val`` (C. Guo et al., ICML 2017)."""
    given = scores if isinstance(scores, dict) else {'possible': scores, 'fixed': scores}
    rows = torch.nonzero(_known(samples))[:, 0]
    if len(rows) == 0:
        return 1.0
    masks = {'possible': samples.possible, 'fixed': samples.fixed}

    def entropy(temperature: float) -> float:
        return sum(
            float(
                nn.functional.cross_entropy(
                    (values[rows] / temperature).masked_fill(~masks[name][rows], -1e9), samples.labels[rows]
                )
            )
            for name, values in given.items()
        )

    grid = np.linspace(0.5, 3.0, 51)
    return float(grid[int(np.argmin([entropy(float(value)) for value in grid]))])
