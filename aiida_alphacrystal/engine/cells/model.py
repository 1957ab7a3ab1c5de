"""The cell predictor: from a composition to ranked joint hypotheses of space group, formula units and lattice.

It takes the place that MLatticeABC (Y. Li et al., ACS Omega 6, 11585, 2021,
https://doi.org/10.1021/acsomega.1c00781) and CRYSPNet (H. Liang et al., Phys. Rev. Mater. 4, 123802, 2020,
https://doi.org/10.1103/PhysRevMaterials.4.123802) have in the paper: one small residual network scores every pair of
space group and number of formula units that occurs in the training data, and gives the lattice of each.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.cells.descriptors import (
    COMPOSITION_SIZE,
    LATTICE_SIZE,
    centring_factor,
    composition_vector,
    lattice_from_shape,
)
from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aiida_alphacrystal.engine.composition import Formula
    from aiida_alphacrystal.engine.settings import CellSettings

__all__ = ('FORMAT', 'VERSION', 'CellModel', 'CellNetwork', 'load_cell_model', 'predict_cells')

FORMAT = 'aiida-alphacrystal cells'
VERSION = 1
N_SPACEGROUPS = 230


class CellNetwork(nn.Module):
    """Residual perceptron with one head for the class of the cell and one for its lattice.

    :param classes: number of (space group, formula units) pairs.
    :param width: units of every hidden layer.
    :param blocks: residual blocks.
    :param dropout: share of hidden units switched off in training.
    """

    def __init__(self, classes: int, width: int = 256, blocks: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Linear(COMPOSITION_SIZE, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout))
            for _ in range(blocks)
        )
        self.classes = nn.Linear(width, classes)
        self.spacegroup = nn.Embedding(N_SPACEGROUPS + 1, 32)
        self.lattice = nn.Sequential(
            nn.Linear(width + 32 + 1, width), nn.SiLU(), nn.Dropout(dropout / 3), nn.Linear(width, LATTICE_SIZE)
        )

    def hidden(self, composition: torch.Tensor) -> torch.Tensor:
        """Return the hidden state of scaled compositions, shape (batch, width)."""
        state: torch.Tensor = self.stem(composition)
        for block in self.blocks:
            state = state + block(state)
        return state

    def shapes(self, hidden: torch.Tensor, spacegroup: torch.Tensor, log_atoms: torch.Tensor) -> torch.Tensor:
        """Return the scaled lattice shape in given space groups, shape (batch, LATTICE_SIZE)."""
        state = torch.cat([hidden, self.spacegroup(spacegroup), log_atoms[:, None]], dim=-1)
        shape: torch.Tensor = self.lattice(state)
        return shape


@dataclasses.dataclass(frozen=True)
class CellModel:
    """A trained cell predictor.

    :param network: its network, in evaluation mode.
    :param spacegroups: space group of every class, shape (classes,).
    :param formula_units: formula units in the primitive cell of every class, shape (classes,).
    :param scales: mean and standard deviation of the inputs and of the lattice shapes.
    :param temperature: what the logits are divided by, fitted on ``val`` so that probabilities are calibrated.
    """

    network: CellNetwork
    spacegroups: npt.NDArray[np.int64]
    formula_units: npt.NDArray[np.int64]
    scales: Mapping[str, npt.NDArray[np.float64]]
    temperature: float


def load_cell_model(source: bytes | Path | None = None) -> CellModel:
    """Load a cell predictor.

    :param source: a safetensors file or its content; None for the one that the package carries.
    :raises ModelError: if it is missing, damaged or no cell predictor.
    """
    content, where = checkpoint.read(source, 'cells.safetensors')
    arrays, settings = checkpoint.unpack(content, FORMAT, VERSION, where)
    try:
        return _assemble(arrays, settings)
    except (KeyError, RuntimeError, TypeError) as error:
        raise ModelError(
            f'{where} does not fit the cell predictor: train it anew with aiida-alphacrystal train cells.'
        ) from error


def _assemble(arrays: dict[str, npt.NDArray[Any]], settings: dict[str, Any]) -> CellModel:
    network = CellNetwork(**settings['network'])
    prefix = 'network.'
    state = {
        name.removeprefix(prefix): torch.from_numpy(array.astype(np.float32))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    network.load_state_dict(state)
    network.eval()
    return CellModel(
        network=network,
        spacegroups=arrays['spacegroups'].astype(np.int64),
        formula_units=arrays['formula_units'].astype(np.int64),
        scales={name: arrays[name].astype(np.float64) for name in ('x_mean', 'x_std', 'y_mean', 'y_std')},
        temperature=float(arrays['temperature'][0]),
    )


def predict_cells(
    model: CellModel, formula: Formula, settings: CellSettings, max_atoms: int
) -> tuple[CellHypothesis, ...]:
    """Return the most probable hypotheses about the primitive cell of a compound.

    :param model: the cell predictor.
    :param formula: the compound; with its formula units where they are fixed.
    :param settings: how many hypotheses to keep.
    :param max_atoms: the largest primitive cell.
    :return: hypotheses by decreasing probability.
    """
    hidden, probabilities = _class_probabilities(model, formula)
    units = model.formula_units
    allowed = np.isin(units, formula.allowed_formula_units(max_atoms))
    if not allowed.any():
        # No known crystal has this many formula units: keep what is known of the space group.
        allowed = np.ones(len(units), dtype=bool)
        units = np.full(len(units), formula.formula_units)
    spacegroups, units, probabilities = _merge(model.spacegroups[allowed], units[allowed], probabilities[allowed])
    best = np.lexsort((units, spacegroups, -probabilities))[: settings.max_hypotheses]
    lattices = _lattices(model, hidden, formula, spacegroups[best], units[best])
    return tuple(
        CellHypothesis(int(spacegroups[index]), int(units[index]), lattice, float(probabilities[index]))
        for index, lattice in zip(best, lattices, strict=True)
    )


def _class_probabilities(model: CellModel, formula: Formula) -> tuple[torch.Tensor, npt.NDArray[np.float64]]:
    vector = (composition_vector(formula) - model.scales['x_mean']) / model.scales['x_std']
    with torch.no_grad():
        hidden = model.network.hidden(torch.from_numpy(vector.astype(np.float32))[None])
        logits = model.network.classes(hidden)[0].double() / model.temperature
        return hidden, torch.softmax(logits, dim=0).numpy()


def _merge(
    spacegroups: npt.NDArray[np.int64], units: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Add up classes that have become equal and normalise."""
    pairs, inverse = np.unique(np.stack([spacegroups, units], axis=1), axis=0, return_inverse=True)
    merged = np.bincount(inverse.ravel(), weights=probabilities)
    return pairs[:, 0], pairs[:, 1], merged / merged.sum()


def _lattices(
    model: CellModel,
    hidden: torch.Tensor,
    formula: Formula,
    spacegroups: npt.NDArray[np.int64],
    units: npt.NDArray[np.int64],
) -> list[tuple[float, float, float, float, float, float]]:
    """Return the conventional lattice of every hypothesis."""
    factors = np.array([centring_factor(int(number)) for number in spacegroups])
    atoms = units * formula.atoms_per_unit * factors
    with torch.no_grad():
        shapes = model.network.shapes(
            hidden.expand(len(units), -1),
            torch.from_numpy(spacegroups),
            torch.from_numpy(np.log(atoms).astype(np.float32)),
        )
    scaled = shapes.double().numpy() * model.scales['y_std'] + model.scales['y_mean']
    return [
        lattice_from_shape(shape, int(spacegroup), int(count))
        for shape, spacegroup, count in zip(scaled, spacegroups, atoms, strict=True)
    ]
