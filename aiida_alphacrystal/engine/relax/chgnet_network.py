"""The trained layers of CHGNet, applied with fewer multiplications than the package ``chgnet`` needs.

A layer of CHGNet puts the features of the atoms and bonds of every pair or angle side by side and multiplies them with
one matrix. That product is the sum of those with the parts of the matrix, and there are many more pairs and angles than
atoms and bonds. So here each part is multiplied once for every atom or bond, and what comes out is gathered and added.
Weights of pairs and angles are gathered once and not in every layer, and angles are not updated where no layer follows.
Energies are the same but for rounding.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ('ChgnetNetwork', 'CrystalGraphs')

#: Arguments of the package that the layers here follow from.
_ARGUMENTS = {
    'atom_fea_dim': 64,
    'bond_fea_dim': 64,
    'angle_fea_dim': 64,
    'update_bond': True,
    'update_angle': True,
    'gMLP_norm': 'layer',
    'readout_norm': 'layer',
    'read_out': 'ave',
    'mlp_first': True,
}


@dataclasses.dataclass(frozen=True)
class CrystalGraphs:
    """What CHGNet sees of a batch of crystals, the atoms and bonds numbered through.

    :param numbers: atomic numbers, (atoms,).
    :param owners: crystal that each atom belongs to, (atoms,).
    :param centers: first atom of each directed pair, (pairs,).
    :param neighbours: second atom of each directed pair, (pairs,).
    :param bonds: undirected bond of each directed pair, (pairs,).
    :param bond_bases: radial functions of each bond, (bonds, functions).
    :param short_bases: those that end at the cutoff of the angles, (bonds, functions).
    :param vertices: atom of each angle, (angles,).
    :param first_bonds: bond of the angle that its message goes to, (angles,).
    :param second_bonds: the other bond, (angles,).
    :param angle_bases: circular functions of each angle, (angles, functions).
    """

    numbers: Tensor
    owners: Tensor
    centers: Tensor
    neighbours: Tensor
    bonds: Tensor
    bond_bases: Tensor
    short_bases: Tensor
    vertices: Tensor
    first_bonds: Tensor
    second_bonds: Tensor
    angle_bases: Tensor


class ChgnetNetwork:
    """The network of a CHGNet that has been trained.

    :param model: as the package has built it, its parameters without gradients.
    :raises ValueError: if it does not have the layers of CHGNet 0.3.0.
    """

    def __init__(self, model: Any) -> None:
        different = [name for name, value in _ARGUMENTS.items() if model.model_args.get(name) != value]
        if different:
            raise ValueError(f'This CHGNet has another {different[0]} than that of version 0.3.0.')
        self._model = model
        self._of_pairs = [_SplitPerceptron(layer.twoBody_atom, 3) for layer in model.atom_conv_layers]
        self._of_bonds = [_SplitPerceptron(layer.twoBody_bond, 4) for layer in model.bond_conv_layers]
        self._of_angles = [_SplitPerceptron(layer.twoBody_bond, 4) for layer in model.angle_layers]

    def energies(self, graphs: CrystalGraphs, crystals: int) -> Tensor:
        """Return the energy of each crystal without that of its atoms, in eV, (crystals,).

        :param graphs: of the batch.
        :param crystals: how many there are.
        """
        model = self._model
        atoms, bonds = model.atom_embedding(graphs.numbers - 1), model.bond_embedding(graphs.bond_bases)
        pair_weights = model.bond_weights_ag(graphs.bond_bases)[graphs.bonds]
        short = model.bond_weights_bg(graphs.short_bases)
        angle_weights = short[graphs.first_bonds] * short[graphs.second_bonds]
        angles = model.angle_embedding(graphs.angle_bases)
        last = len(self._of_bonds) - 1
        for place in range(last + 1):
            atoms = self._update_atoms(place, graphs, atoms, bonds, pair_weights)
            bonds = self._update_bonds(place, graphs, atoms, bonds, angles, angle_weights)
            if place < last:
                angles = angles + _angle_messages(self._of_angles[place], graphs, atoms, bonds, angles)
        atoms = self._update_atoms(last + 1, graphs, atoms, bonds, pair_weights)
        of_atoms = model.mlp(model.readout_norm(atoms)).ravel()
        energies: Tensor = of_atoms.new_zeros(crystals).index_add(0, graphs.owners, of_atoms)
        return energies

    def _update_atoms(self, place: int, graphs: CrystalGraphs, atoms: Tensor, bonds: Tensor, weights: Tensor) -> Tensor:
        perceptron = self._of_pairs[place]
        messages = perceptron((atoms, graphs.centers), (bonds, graphs.bonds), (atoms, graphs.neighbours)) * weights
        total = torch.zeros_like(atoms).index_add(0, graphs.centers, messages)
        updated: Tensor = atoms + self._model.atom_conv_layers[place].mlp_out(total)
        return updated

    def _update_bonds(
        self, place: int, graphs: CrystalGraphs, atoms: Tensor, bonds: Tensor, angles: Tensor, weights: Tensor
    ) -> Tensor:
        messages = _angle_messages(self._of_bonds[place], graphs, atoms, bonds, angles) * weights
        total = torch.zeros_like(bonds).index_add(0, graphs.first_bonds, messages)
        updated: Tensor = bonds + self._model.bond_conv_layers[place].mlp_out(total)
        return updated


class _SplitPerceptron:
    """A gated perceptron whose first layer is applied to its inputs before they stand side by side.

    :param gated: as the package has built it.
    :param inputs: how many inputs of the same width it has.
    """

    def __init__(self, gated: Any, inputs: int) -> None:
        core, after_core = _first_linear(gated.mlp_core)
        gate, after_gate = _first_linear(gated.mlp_gate)
        self._core = torch.nn.Sequential(*after_core, gated.bn1, gated.activation)
        self._gate = torch.nn.Sequential(*after_gate, gated.bn2, gated.sigmoid)
        self._bias = torch.cat([core.bias, gate.bias])
        self._parts = [part.T.contiguous() for part in torch.cat([core.weight, gate.weight]).chunk(inputs, dim=1)]

    def __call__(self, *inputs: tuple[Tensor, Tensor | None]) -> Tensor:
        """Return what the perceptron makes of some rows of its inputs.

        :param inputs: features, (rows, width), and which row is wanted, (wanted,); None for all as they are.
        """
        (features, rows), *others = inputs
        total = _rows_of(torch.addmm(self._bias, features, self._parts[0]), rows)
        for (features, rows), part in zip(others, self._parts[1:], strict=True):
            total = total + _rows_of(features @ part, rows)
        core, gate = total.chunk(2, dim=1)
        messages: Tensor = self._core(core) * self._gate(gate)
        return messages


def _rows_of(table: Tensor, rows: Tensor | None) -> Tensor:
    return table if rows is None else table.index_select(0, rows)


def _angle_messages(
    perceptron: _SplitPerceptron, graphs: CrystalGraphs, atoms: Tensor, bonds: Tensor, angles: Tensor
) -> Tensor:
    """Return what a layer makes of every angle, (angles, width)."""
    return perceptron(
        (bonds, graphs.first_bonds), (bonds, graphs.second_bonds), (angles, None), (atoms, graphs.vertices)
    )


def _first_linear(perceptron: Any) -> tuple[Any, Sequence[Any]]:
    """Return the first linear layer of a perceptron and what follows it; a dropout before it does nothing."""
    layers: Sequence[Any] = perceptron.layers
    place = next(place for place, layer in enumerate(layers) if isinstance(layer, torch.nn.Linear))
    return layers[place], layers[place + 1 :]
