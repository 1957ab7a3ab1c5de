"""The networks behind the cell predictor."""

from __future__ import annotations

import torch
from torch import nn

from aiida_alphacrystal.engine.cells.descriptors import COMPOSITION_SIZE, LATTICE_SIZE

__all__ = ('CLASS_FEATURES', 'SAMPLE_FEATURES', 'ClassNetwork', 'LatticeNetwork', 'Ranker', 'ranker_inputs')

N_SPACEGROUPS = 230

#: Numbers that the ranker sees of every class, and of every compound.
CLASS_FEATURES, SAMPLE_FEATURES = 5, 7

#: Logarithms of probabilities are cut off here.
_LEAST = -15.0

#: What stands for the logarithm of all votes where nobody votes.
_NO_VOTES = -12.0


class ClassNetwork(nn.Module):
    """Residual perceptron that scores every pair of space group and number of formula units.

    :param classes: number of pairs.
    :param width: units of every hidden layer.
    :param blocks: residual blocks.
    :param dropout: share of hidden units switched off in training.
    """

    def __init__(self, classes: int, width: int = 256, blocks: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Linear(COMPOSITION_SIZE, width)
        self.blocks = nn.ModuleList(_residual(width, dropout) for _ in range(blocks))
        self.classes = nn.Linear(width, classes)

    def forward(self, composition: torch.Tensor) -> torch.Tensor:
        """Return the logits of scaled compositions, shape (batch, classes)."""
        state: torch.Tensor = self.stem(composition)
        for block in self.blocks:
            state = state + block(state)
        logits: torch.Tensor = self.classes(state)
        return logits


class LatticeNetwork(nn.Module):
    """Residual perceptron that mends the lattice that the templates have, or gives one where there is none.

    :param width: units of every hidden layer.
    :param blocks: residual blocks.
    :param dropout: share of hidden units switched off in training.
    """

    def __init__(self, width: int = 192, blocks: int = 2, dropout: float = 0.3) -> None:
        super().__init__()
        self.spacegroup = nn.Embedding(N_SPACEGROUPS + 1, 32)
        self.stem = nn.Linear(COMPOSITION_SIZE + 32 + 1 + 2 * LATTICE_SIZE + 1, width)
        self.blocks = nn.ModuleList(_residual(width, dropout) for _ in range(blocks))
        self.out = nn.Linear(width, LATTICE_SIZE + 1)

    def forward(
        self,
        composition: torch.Tensor,
        spacegroup: torch.Tensor,
        log_atoms: torch.Tensor,
        voted: torch.Tensor,
        spread: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return lattices in given space groups and how uncertain their volumes are.

        :param composition: scaled compositions, shape (batch, COMPOSITION_SIZE).
        :param spacegroup: shape (batch,).
        :param log_atoms: logarithm of the atoms in the conventional cell, shape (batch,).
        :param voted: scaled shapes that the templates have, NaN where there is none, shape (batch, LATTICE_SIZE).
        :param spread: their scaled spread, shape (batch, LATTICE_SIZE).
        :return: scaled shapes, (batch, LATTICE_SIZE), and the logarithm of the scaled error of the first, (batch,).
        """
        known = ~torch.isnan(voted).any(dim=1, keepdim=True)
        start = torch.where(known, voted, torch.zeros_like(voted))
        width = torch.where(known, spread, torch.zeros_like(spread))
        embedded = self.spacegroup(spacegroup)
        state = self.stem(
            torch.cat([composition, embedded, log_atoms[:, None], start, width, known.to(start.dtype)], dim=1)
        )
        for block in self.blocks:
            state = state + block(state)
        out = self.out(state)
        return start + out[:, :LATTICE_SIZE], out[:, LATTICE_SIZE].clamp(-6.0, 2.0)


class Ranker(nn.Module):
    """Weighs the votes of the templates against the class network, class by class.

    :param width: hidden units.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.of_class = nn.Linear(CLASS_FEATURES, width)
        self.of_sample = nn.Linear(SAMPLE_FEATURES, width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        self.direct = nn.Parameter(torch.tensor([0.4, 0.7, 0.0, 0.0, 0.0]))

    def forward(self, classes: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Return a score for every class, shape (batch, classes).

        :param classes: shape (batch, classes, CLASS_FEATURES).
        :param sample: shape (batch, SAMPLE_FEATURES).
        """
        state = nn.functional.silu(self.of_class(classes) + self.of_sample(sample)[:, None])
        score: torch.Tensor = self.out(nn.functional.silu(self.hidden(state)))[..., 0] + classes @ self.direct
        return score


def ranker_inputs(
    logits: torch.Tensor,
    votes: torch.Tensor,
    strongest: torch.Tensor,
    allowed: torch.Tensor,
    prior: torch.Tensor,
    sizes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the ranker sees, everything relative to the classes that are allowed.

    :param logits: of the class network, shape (batch, classes).
    :param votes: logarithm of the votes for each class, minus infinity where there are none, shape (batch, classes).
    :param strongest: logarithm of the strongest vote for each, likewise.
    :param allowed: whether the class is possible, shape (batch, classes).
    :param prior: logarithm of how often each class occurs in the training data, shape (classes,).
    :param sizes: logarithm of the atoms in a formula unit, number of elements, and 1 where the cell is fixed, shape
        (batch, 3).
    :return: shapes (batch, classes, CLASS_FEATURES) and (batch, SAMPLE_FEATURES).
    """
    has = allowed & torch.isfinite(votes)
    zero, least = votes.new_zeros(()), votes.new_full((), _LEAST)
    network = torch.log_softmax(logits.masked_fill(~allowed, -1e9), dim=1).clamp(min=_LEAST)
    counted = torch.where(has, votes, votes.new_full((), -1e9))
    total = torch.logsumexp(counted, dim=1, keepdim=True)
    share = torch.where(has, counted - total, least).clamp(min=_LEAST)
    lead = torch.where(has, strongest - counted, zero)
    anyone = has.any(dim=1)
    probability = torch.where(has, share.exp(), zero)
    entropy = -(probability * torch.where(has, share, zero)).sum(dim=1)
    support = torch.where(anyone, total[:, 0], votes.new_full((), _NO_VOTES)) / 4
    classes = torch.stack(
        [network, share, has.to(share.dtype), lead, (prior / 4).expand_as(share)],
        dim=2,
    )
    sample = torch.stack([support, anyone.to(share.dtype), entropy, probability.max(dim=1).values], dim=1)
    return classes, torch.cat([sample, sizes], dim=1)


def _residual(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout))
