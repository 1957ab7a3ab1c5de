"""The cell predictor: what it is made of, and its file.

It takes the place that MLatticeABC (Y. Li et al., ACS Omega 6, 11585, 2021,
https://doi.org/10.1021/acsomega.1c00781) and CRYSPNet (H. Liang et al., Phys. Rev. Mater. 4, 123802, 2020,
https://doi.org/10.1103/PhysRevMaterials.4.123802) have in the paper. A few small networks, each trained without a part
of the data, score every pair of space group and number of formula units that occurs there; a ranker weighs them against
the votes of the known crystals of the same stoichiometry; and one more network mends the lattice that these have.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from aiida_alphacrystal.engine import checkpoint
from aiida_alphacrystal.engine.cells.networks import ClassNetwork, LatticeNetwork, Ranker
from aiida_alphacrystal.engine.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

__all__ = ('FORMAT', 'VERSION', 'CellModel', 'load_cell_model', 'save_cell_model')

FORMAT = 'aiida-alphacrystal cells'
VERSION = 2

_SCALES = ('x_mean', 'x_std', 'y_mean', 'y_std')


@dataclasses.dataclass(frozen=True)
class CellModel:
    """A trained cell predictor; its networks are in evaluation mode.

    :param networks: score the classes; their probabilities are averaged.
    :param ranker: weighs them against the votes.
    :param lattice: gives the lattice of a class.
    :param spacegroups: space group of every class, shape (classes,).
    :param formula_units: formula units in the primitive cell of every class, shape (classes,).
    :param prior: logarithm of how often each class occurs in the training data, shape (classes,).
    :param scales: mean and standard deviation of the inputs and of the lattice shapes.
    :param temperatures: what the logits of the networks and the scores of the ranker are divided by, fitted on ``val``
        so that probabilities are calibrated.
    :param volume_factor: what the stated error of a volume is multiplied with so that two thirds of ``val`` are within.
    """

    networks: tuple[ClassNetwork, ...]
    ranker: Ranker
    lattice: LatticeNetwork
    spacegroups: npt.NDArray[np.int64]
    formula_units: npt.NDArray[np.int64]
    prior: npt.NDArray[np.float64]
    scales: Mapping[str, npt.NDArray[np.float64]]
    temperatures: tuple[float, float]
    volume_factor: float


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


def save_cell_model(model: CellModel, path: Path) -> None:
    """Write a cell predictor.

    :param model: the predictor.
    :param path: the safetensors file.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, network in _parts(model.networks, model.ranker, model.lattice).items():
        kind = np.float32 if name == 'ranker' else np.float16
        arrays |= {f'{name}.{key}': tensor.numpy().astype(kind) for key, tensor in network.state_dict().items()}
    arrays |= {name: array.astype(np.float32) for name, array in model.scales.items()}
    arrays |= {
        'spacegroups': model.spacegroups.astype(np.int16),
        'formula_units': model.formula_units.astype(np.int16),
        'prior': model.prior.astype(np.float32),
        'calibration': np.array([*model.temperatures, model.volume_factor], dtype=np.float32),
    }
    settings = {
        'networks': len(model.networks),
        'classes': {'classes': len(model.spacegroups), 'width': model.networks[0].stem.out_features},
        'lattice': {'width': model.lattice.stem.out_features},
        'ranker': {'width': model.ranker.hidden.out_features},
    }
    checkpoint.write_atomically(path, checkpoint.pack(FORMAT, VERSION, arrays, settings))


def _assemble(arrays: dict[str, npt.NDArray[Any]], settings: dict[str, Any]) -> CellModel:
    networks = tuple(ClassNetwork(**settings['classes']) for _ in range(settings['networks']))
    ranker, lattice = Ranker(**settings['ranker']), LatticeNetwork(**settings['lattice'])
    for name, network in _parts(networks, ranker, lattice).items():
        prefix = f'{name}.'
        state = {
            key.removeprefix(prefix): torch.from_numpy(array.astype(np.float32))
            for key, array in arrays.items()
            if key.startswith(prefix)
        }
        network.load_state_dict(state)
        network.eval()
    first, second, factor = (float(value) for value in arrays['calibration'])
    return CellModel(
        networks=networks,
        ranker=ranker,
        lattice=lattice,
        spacegroups=arrays['spacegroups'].astype(np.int64),
        formula_units=arrays['formula_units'].astype(np.int64),
        prior=arrays['prior'].astype(np.float64),
        scales={name: arrays[name].astype(np.float64) for name in _SCALES},
        temperatures=(first, second),
        volume_factor=factor,
    )


def _parts(networks: tuple[ClassNetwork, ...], ranker: Ranker, lattice: LatticeNetwork) -> dict[str, nn.Module]:
    """Return the networks by the names that they have in the file."""
    return {
        **{f'network{place}': network for place, network in enumerate(networks)},
        'ranker': ranker,
        'lattice': lattice,
    }
