"""What it costs to put the elements of one compound where those of another are.

Two elements are the further apart the more they differ in Table 1 and in how they stand to the other elements of their
compound; how much each difference counts is learnt from which known compounds share a prototype, by neighbourhood
component analysis (J. Goldberger et al., NeurIPS 17, 513, 2004). A learnt shift of each pair of elements takes the
part of the substitution statistics of G. Hautier et al., Inorg. Chem. 50, 656, 2011,
https://doi.org/10.1021/ic102031h.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aiida_alphacrystal.engine.features import MAX_Z, standardised_table
from aiida_alphacrystal.engine.reconstruct.learnt import Learnt

__all__ = ('SubstitutionCost',)

_HIDDEN = 64
_CONTEXT = 24
_DROPOUT = 0.15
_SMALLEST = 1e-4

#: Energies above the hull are clipped here, eV/atom.
_MAX_HULL = 0.3


class SubstitutionCost(Learnt):
    """Cost of replacing elements, and how much a known compound therefore says about another."""

    what = 'substitution costs'
    descriptors: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('descriptors', torch.tensor(standardised_table(), dtype=torch.float32), persistent=False)
        columns = self.descriptors.shape[1]
        self.property_weights = nn.Parameter(torch.zeros(columns))
        self.shifts = nn.Parameter(torch.zeros(MAX_Z, MAX_Z))
        self.importance = nn.Parameter(torch.zeros(MAX_Z))
        self.count_exponent = nn.Parameter(torch.tensor(1.0))
        self.log_sharpness = nn.Parameter(torch.tensor(3.0))
        self.hull_weight = nn.Parameter(torch.tensor(-3.0))
        self.log_context = nn.Parameter(torch.tensor(-1.5))
        self.surroundings = nn.Sequential(
            nn.Linear(4 * columns + 2, _HIDDEN), nn.SiLU(), nn.Dropout(_DROPOUT), nn.Linear(_HIDDEN, _CONTEXT)
        )
        self._tables: tuple[Tensor, Tensor] | None = None

    def context(self, elements: Tensor, counts: Tensor) -> Tensor:
        """Describe how each element stands to the others of its compound.

        :param elements: atomic numbers, shape (compounds, elements).
        :param counts: atoms of each element in the cell, shape (elements,).
        :return: shape (compounds, elements, features).
        """
        fractions = (counts / counts.sum())[:, None]
        own = self.descriptors[elements]
        mean = (own * fractions).sum(dim=1, keepdim=True)
        others = (mean - own * fractions) / (1 - fractions).clamp(min=1e-6) * (len(counts) > 1)
        largest = own.amax(dim=1, keepdim=True).expand_as(own)
        sizes = torch.stack([fractions[:, 0], counts.sum().expand(len(counts)) / 10], dim=1).expand(len(own), -1, -1)
        inputs = torch.cat([own, others, (own - others).abs(), largest, sizes], dim=2)
        described: Tensor = self.surroundings(inputs)
        return described * torch.exp(self.log_context)

    def forward(
        self, present: Tensor, present_context: Tensor, wanted: Tensor, wanted_context: Tensor, counts: Tensor
    ) -> Tensor:
        """Return the cost of every replacement.

        :param present: atomic numbers in the known compounds, by group of equal sites, shape (members, groups).
        :param present_context: their context, shape (members, groups, features).
        :param wanted: atomic numbers to put there, shape (assignments, groups).
        :param wanted_context: their context, shape (assignments, groups, features).
        :param counts: sites of each group, shape (groups,).
        :return: shape (members, assignments).
        """
        weights = counts**self.count_exponent
        weights = weights / weights.sum()
        distances, shifts = self._element_tables()
        total = torch.zeros(len(present), len(wanted))
        for group in range(len(counts)):
            first, second = present_context[:, group], wanted_context[:, group]
            apart = (first**2).sum(-1)[:, None] + (second**2).sum(-1) - 2 * first @ second.T
            pair = present[:, group, None], wanted[None, :, group]
            squared = distances[pair] + apart.clamp(min=0) / first.shape[-1]
            cost = torch.sqrt(squared + _SMALLEST) + shifts[pair]
            total = total + weights[group] * cost * torch.exp(self.importance[wanted[:, group]])
        return total

    def votes(self, costs: Tensor, hulls: Tensor) -> Tensor:
        """Return the logarithm of how much each known compound says.

        :param costs: shape (members, ...).
        :param hulls: energies above the hull of the members, shape (members,), eV/atom.
        """
        bias = self.hull_weight * hulls.clamp(max=_MAX_HULL)
        return -torch.exp(self.log_sharpness) * costs + bias.reshape(-1, *[1] * (costs.dim() - 1))

    def penalty(self) -> Tensor:
        """Return what keeps rarely seen elements near the properties of Table 1."""
        shifts = (self.shifts + self.shifts.T) / 2
        return 0.02 * (shifts**2).sum() + 0.01 * (self.importance**2).sum()

    def train(self, mode: bool = True) -> SubstitutionCost:
        """Begin to learn, or end: what follows from the parameters alone is kept while nothing is learnt.

        :param mode: whether to learn.
        """
        self._tables = None
        super().train(mode)
        return self

    def _element_tables(self) -> tuple[Tensor, Tensor]:
        """Return the squared distance and the shift of every two elements, both without a diagonal."""
        if self.training:
            return self._make_tables()
        if self._tables is None:
            with torch.no_grad():
                self._tables = self._make_tables()
        return self._tables

    def _make_tables(self) -> tuple[Tensor, Tensor]:
        scaled = self.descriptors * torch.exp(self.property_weights / 2)
        different = 1 - torch.eye(MAX_Z)
        squared = ((scaled[:, None] - scaled) ** 2).mean(dim=-1)
        return squared * different, (self.shifts + self.shifts.T) / 2 * different
