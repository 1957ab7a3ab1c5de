"""CHGNet, whose weights are inside the installed ``chgnet`` package.

B. Deng et al., CHGNet as a pretrained universal neural network potential for charge-informed atomistic modelling,
Nature Machine Intelligence 5, 1031 (2023), https://doi.org/10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aiida_alphacrystal.engine.errors import PotentialError
from aiida_alphacrystal.engine.relax.base import NeighbourPotential, Neighbours, PotentialFiles
from aiida_alphacrystal.engine.relax.chgnet_network import ChgnetNetwork, CrystalGraphs

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ('CHGNET_FILE', 'ChgnetPotential', 'chgnet_files')

#: The checkpoint of the MPtrj model 0.3.0 inside the chgnet package.
CHGNET_FILE = 'chgnet_0.3.0_e29f68s314m37.pth.tar'
#: Elements that are absent from the training set MPtrj although the embedding has a row for them.
_UNTRAINED = frozenset({'Po', 'At', 'Rn', 'Fr', 'Ra'})


def chgnet_files() -> PotentialFiles:
    """Return the checkpoint that the installed ``chgnet`` package brings along.

    :raises PotentialError: if the package does not hold it.
    """
    path = resources.files('chgnet') / 'pretrained' / '0.3.0' / CHGNET_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PotentialError(
            f'The installed chgnet package lacks its weights {CHGNET_FILE}: reinstall chgnet>=0.4,<0.5.'
        ) from error
    return PotentialFiles(name='chgnet', kind='chgnet', files={CHGNET_FILE: content})


class ChgnetPotential(NeighbourPotential):
    """CHGNet with forces and stresses from one backward pass over the whole batch.

    ``CHGNet.predict_structure`` builds each graph and each basis on its own and keeps the graph of second
    derivatives, which only training needs; here pairs and angles of a batch are made at once, and
    :class:`ChgnetNetwork` takes the place of the layers.

    :param files: the checkpoint.
    :param device: of torch, on which it is evaluated.
    :raises PotentialError: if it cannot be read, or has other layers than version 0.3.0.
    """

    def __init__(self, files: PotentialFiles, device: str = 'cpu') -> None:
        self._device = torch.device(device)
        self._model = _build(files)
        super().__init__(
            files,
            elements=_elements(),
            cutoff=float(self._model.graph_converter.atom_graph_cutoff),
            convention='none',
            version=f'chgnet {version("chgnet")}',
            device=device,
        )
        self._angle_cutoff = float(self._model.graph_converter.bond_graph_cutoff)
        self._offsets = self._model.composition_model.fc.weight.detach().numpy().astype(np.float64).ravel()
        try:
            self._network = ChgnetNetwork(self._model.to(self._device))
        except ValueError as error:
            raise PotentialError(f'The potential {files.name} cannot be used. {error} Use chgnet.') from error

    def _compute(self, neighbours: Neighbours) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return energies, forces and stresses."""
        lattices = torch.tensor(neighbours.lattices, dtype=torch.float32, device=self._device)
        strains = torch.zeros_like(lattices, requires_grad=True)
        strained = lattices @ (torch.eye(3, device=self._device) + strains)
        owners = self._tensor(neighbours.owners)
        fractional = torch.tensor(neighbours.fractional, dtype=torch.float32, device=self._device)
        positions = torch.einsum('ai,aij->aj', fractional, strained[owners])
        graphs = self._graphs(neighbours, positions, strained, owners)
        energies = self._network.energies(graphs, len(lattices))
        gradient, strain_gradient = torch.autograd.grad(energies.sum(), (positions, strains))
        total = energies.detach().double().cpu().numpy()
        offsets = np.bincount(neighbours.owners, self._offsets[neighbours.numbers - 1], len(total))
        volumes = np.abs(np.linalg.det(neighbours.lattices))
        return (
            total + offsets,
            -gradient.double().cpu().numpy(),
            strain_gradient.double().cpu().numpy() / volumes[:, None, None],
        )

    def _graphs(
        self, neighbours: Neighbours, positions: torch.Tensor, lattices: torch.Tensor, owners: torch.Tensor
    ) -> CrystalGraphs:
        """Return the bases of all bonds and angles of a batch, and which atoms and bonds they join."""
        model = self._model
        undirected, first = _undirected(neighbours)
        centers = self._tensor(neighbours.centers)
        others = self._tensor(neighbours.neighbours)
        images = torch.tensor(neighbours.images, dtype=torch.float32, device=self._device)
        shifts = torch.einsum('pi,pij->pj', images, lattices[owners[centers]])
        bases, short_bases, vectors = model.bond_basis_expansion(
            center=positions[centers],
            neighbor=positions[others] + shifts,
            undirected2directed=self._tensor(first),
            image=torch.zeros((len(centers), 3), device=self._device),
            lattice=torch.eye(3, device=self._device),
        )
        one, two = _angles(neighbours, self._angle_cutoff)
        return CrystalGraphs(
            numbers=self._tensor(neighbours.numbers),
            owners=owners,
            centers=centers,
            neighbours=others,
            bonds=self._tensor(undirected),
            bond_bases=bases,
            short_bases=short_bases,
            vertices=self._tensor(neighbours.centers[one]),
            first_bonds=self._tensor(undirected[one]),
            second_bonds=self._tensor(undirected[two]),
            angle_bases=model.angle_basis_expansion(vectors[self._tensor(one)], vectors[self._tensor(two)]),
        )

    def _tensor(self, array: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)


def _build(files: PotentialFiles) -> Any:
    """Return the network with its weights, without a word on standard output."""
    from chgnet.model.model import CHGNet

    name, content = next(iter(files.files.items()), ('', b''))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            checkpoint = torch.load(io.BytesIO(content), map_location='cpu', weights_only=True)
            model = CHGNet.from_dict(checkpoint['model'], mlp_out_bias=False, version='0.3.0')
    except Exception as error:  # whatever a damaged file makes torch or chgnet raise
        raise PotentialError(
            f'The file {name or "(none)"} of the potential {files.name} is no CHGNet 0.3.0 checkpoint '
            f'({type(error).__name__}): restore it or use chgnet.'
        ) from error
    model.eval()
    model.requires_grad_(requires_grad=False)
    return model


def _elements() -> frozenset[str]:
    """Return the elements of the training set."""
    from pymatgen.core.periodic_table import Element

    return frozenset(Element.from_Z(number).symbol for number in range(1, 95)) - _UNTRAINED


def _undirected(neighbours: Neighbours) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair each directed bond with its reverse.

    :return: the undirected bond of each directed one, and one directed bond of each undirected one.
    """
    forward = np.column_stack([neighbours.centers, neighbours.neighbours, neighbours.images])
    backward = np.column_stack([neighbours.neighbours, neighbours.centers, -neighbours.images])
    difference = forward - backward
    rows = np.arange(len(forward))
    leading = difference[rows, np.argmax(difference != 0, axis=1)] if len(forward) else np.zeros(0)
    key = np.where((leading > 0)[:, None], backward, forward)
    order = np.lexsort(key.T[::-1])
    sorted_key = key[order]
    new = np.ones(len(key), dtype=bool)
    new[1:] = (sorted_key[1:] != sorted_key[:-1]).any(axis=1)
    undirected = np.empty(len(key), dtype=np.int64)
    undirected[order] = np.cumsum(new) - 1
    return undirected, order[new]


def _angles(neighbours: Neighbours, cutoff: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all ordered pairs of different directed bonds within the cutoff that share their first atom."""
    bonds = np.flatnonzero(neighbours.distances <= cutoff)
    atoms = neighbours.centers[bonds]
    counts = np.bincount(atoms, minlength=len(neighbours.numbers))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    partners = counts[atoms]
    one = np.repeat(np.arange(len(bonds)), partners)
    within = np.arange(len(one)) - np.repeat(np.cumsum(partners) - partners, partners)
    two = np.repeat(starts[atoms], partners) + within
    different = one != two
    return bonds[one[different]], bonds[two[different]]
