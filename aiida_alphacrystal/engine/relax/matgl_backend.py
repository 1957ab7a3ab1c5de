"""Potentials of the matgl package: M3GNet (both message conventions) and TensorNet.

C. Chen, S. P. Ong, A universal graph deep learning interatomic potential for the periodic table,
Nature Computational Science 2, 718 (2022), https://doi.org/10.1038/s43588-022-00349-3.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aiida_alphacrystal.engine.errors import PotentialError
from aiida_alphacrystal.engine.relax.base import (
    EV_PER_CUBIC_ANGSTROM_IN_GPA,
    NeighbourPotential,
    Neighbours,
    PotentialFiles,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ('MATGL_FILES', 'MatglPotential', 'matgl_files', 'quiet')

#: The files that a matgl model directory holds.
MATGL_FILES = ('model.json', 'model.pt', 'state.pt')
_KINDS = {'M3GNet': 'm3gnet', 'TensorNet': 'tensornet'}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep matgl, torch and the hub client from writing to standard output or warning."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(previous)


def matgl_files(directory: Path, name: str | None = None) -> PotentialFiles:
    """Read a matgl model directory.

    :param directory: holds ``model.json``, ``model.pt`` and ``state.pt``.
    :param name: of the potential, by default that of the directory.
    :raises PotentialError: if a file is missing or its model is not one that the package can evaluate.
    """
    files = {}
    for file in MATGL_FILES:
        try:
            files[file] = (directory / file).read_bytes()
        except OSError as error:
            raise PotentialError(
                f'The potential directory {directory} lacks a readable {file}: '
                f'a matgl potential needs {", ".join(MATGL_FILES)}.'
            ) from error
    label = name or directory.resolve().name
    return PotentialFiles(name=label, kind=_kind(label, files['model.json']), files=files)


def _kind(name: str, content: bytes) -> str:
    """Return the architecture that a ``model.json`` names."""
    try:
        document = json.loads(content)
        outer, inner = document['@class'], document['kwargs']['model']['@class']
    except (ValueError, KeyError, TypeError) as error:
        raise PotentialError(
            f'The file model.json of the potential {name} is damaged or no matgl potential: restore the file.'
        ) from error
    if outer != 'Potential' or inner not in _KINDS:
        raise PotentialError(
            f'The potential {name} is a {inner} {outer} of matgl: give a potential of type {" or ".join(_KINDS)}.'
        )
    return _KINDS[inner]


class MatglPotential(NeighbourPotential):
    """A potential that matgl evaluates.

    Since matgl 3.0 the messages of M3GNet are summed on the source atom of a bond. Weights trained before that
    need the destination atom, and nothing in their files says so: :mod:`.selftest` finds out.

    :param files: a matgl model directory.
    :param convention: ``source`` or ``destination``.
    :param device: of torch, on which it is evaluated.
    :raises PotentialError: if the files cannot be loaded or the architecture knows one convention only.
    """

    def __init__(self, files: PotentialFiles, convention: str = 'source', device: str = 'cpu') -> None:
        self._device = torch.device(device)
        self._model = _load(files)
        network = self._model.model
        if convention == 'destination':
            if files.kind != 'm3gnet':
                raise PotentialError(f'The potential {files.name} ({files.kind}) has no destination convention.')
            _aggregate_on_destination(network)
        super().__init__(
            files,
            elements=frozenset(network.element_types),
            cutoff=float(network.cutoff),
            convention=convention,
            version=f'matgl {version("matgl")}',
            device=device,
        )
        self._types = _type_of_number(network.element_types)
        self._model.to(self._device)

    def _compute(self, neighbours: Neighbours) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return energies, forces and stresses."""
        from torch_geometric.data import Batch

        crystals = len(neighbours.lattices)
        atoms = np.bincount(neighbours.owners, minlength=crystals)
        graph = Batch(
            num_nodes=len(neighbours.numbers),
            edge_index=torch.from_numpy(np.stack([neighbours.centers, neighbours.neighbours]).astype(np.int32)),
            pbc_offset=torch.tensor(neighbours.images, dtype=torch.float32),
            node_type=torch.from_numpy(self._types[neighbours.numbers]),
            frac_coords=torch.tensor(neighbours.fractional, dtype=torch.float32),
            batch=torch.from_numpy(neighbours.owners),
            ptr=torch.from_numpy(np.concatenate([[0], np.cumsum(atoms)])),
        ).to(self._device)
        lattices = torch.tensor(neighbours.lattices, dtype=torch.float32, device=self._device)
        energies, forces, stresses, *_ = self._model(graph, lattices, torch.zeros((crystals, 2), device=self._device))
        return (
            energies.detach().double().cpu().numpy().reshape(crystals),
            forces.detach().double().cpu().numpy(),
            stresses.detach().double().cpu().numpy().reshape(crystals, 3, 3) / EV_PER_CUBIC_ANGSTROM_IN_GPA,
        )


def _load(files: PotentialFiles) -> Any:
    """Let matgl load the files, which it does with the restricted unpickler."""
    with quiet(), tempfile.TemporaryDirectory() as directory:
        import matgl

        for name in MATGL_FILES:
            if name not in files.files:
                raise PotentialError(f'The potential {files.name} lacks its file {name}: restore it.')
            (Path(directory) / name).write_bytes(files.files[name])
        for name in MATGL_FILES[1:]:
            _check_readable(files.name, Path(directory) / name)
        try:
            model = matgl.load_model(directory)
        except Exception as error:  # whatever damaged files make matgl raise
            raise PotentialError(
                f'The files {", ".join(MATGL_FILES)} of the potential {files.name} do not belong together or are '
                f'damaged ({type(error).__name__}): restore them.'
            ) from error
    model.to('cpu')
    model.eval()
    model.requires_grad_(requires_grad=False)
    return model


def _check_readable(name: str, path: Path) -> None:
    """Find out which file it is that cannot be read."""
    try:
        torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises many types on a damaged file
        raise PotentialError(
            f'The file {path.name} of the potential {name} is damaged ({type(error).__name__}): restore it.'
        ) from error


def _type_of_number(symbols: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the row of each atomic number in the embedding of a network."""
    from pymatgen.core.periodic_table import Element

    types = np.full(120, -1, dtype=np.int64)
    for row, symbol in enumerate(symbols):
        types[Element(symbol).Z] = row
    return types


def _aggregate_on_destination(network: Any) -> None:
    """Replace the convolutions of one network; no other network and nothing in matgl changes."""
    from matgl.layers._graph_convolution import M3GNetGraphConv
    from matgl.utils.maths import scatter_add

    class DestinationGraphConv(M3GNetGraphConv):  # type: ignore[misc, unused-ignore]
        """The convolution of M3GNet before matgl 3.0."""

        def node_update_(
            self,
            edge_index: torch.Tensor,
            edge_feat: torch.Tensor,
            node_feat: torch.Tensor,
            rbf: torch.Tensor,
            u_per_edge: torch.Tensor | None,
            num_nodes: int,
        ) -> torch.Tensor:
            """Sum the messages on the destination atom."""
            parts = [node_feat[edge_index[0]], node_feat[edge_index[1]], edge_feat]
            if self.include_state and u_per_edge is not None:
                parts.append(u_per_edge)
            messages = self.node_update_func(torch.hstack(parts)) * self.node_weight_func(rbf)
            return scatter_add(messages, edge_index[1], dim_size=num_nodes, dim=0)

    for block in network.graph_layers:
        old = block.conv
        block.conv = DestinationGraphConv(
            old.include_state,
            old.edge_update_func,
            old.edge_weight_func,
            old.node_update_func,
            old.node_weight_func,
            old.state_update_func,
        )
