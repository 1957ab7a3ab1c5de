"""Tests of the substitution cost."""

import numpy as np
import pytest
import torch

from aiida_alphacrystal.engine.errors import ModelError
from aiida_alphacrystal.engine.features import atomic_numbers
from aiida_alphacrystal.engine.reconstruct.substitution import SubstitutionCost

NUMBERS = atomic_numbers()
COUNTS = torch.tensor([1.0, 1.0])


def rows(*compounds):
    return torch.tensor([[NUMBERS[symbol] for symbol in compound] for compound in compounds])


@pytest.fixture
def cost():
    torch.manual_seed(0)
    return SubstitutionCost().eval()


def costs_between(cost, present, wanted):
    with torch.no_grad():
        return cost(present, cost.context(present, COUNTS), wanted, cost.context(wanted, COUNTS), COUNTS)


def test_a_compound_costs_least_for_itself(cost):
    compounds = rows(('K', 'F'), ('K', 'Cl'), ('Ga', 'As'))
    table = costs_between(cost, compounds, compounds)
    assert (table.argmin(dim=0) == torch.arange(3)).all()
    assert table[0, 1] < table[0, 2], 'chlorine is nearer to fluorine than arsenic is'


def test_costs_are_the_same_both_ways_round(cost):
    compounds = rows(('K', 'F'), ('Mg', 'O'), ('Ga', 'As'))
    table = costs_between(cost, compounds, compounds)
    assert torch.allclose(table, table.T, atol=1e-6)


def test_the_nearer_compound_and_the_one_on_the_hull_say_more(cost):
    votes = cost.votes(torch.tensor([0.1, 0.2, 0.1]), torch.tensor([0.0, 0.0, 0.1]))
    assert votes[0] > votes[1]
    assert votes[0] > votes[2]


def test_parameters_survive_arrays(cost):
    copy = SubstitutionCost.from_arrays(cost.to_arrays())
    compounds = rows(('K', 'F'), ('Mg', 'O'))
    assert torch.equal(costs_between(cost, compounds, compounds), costs_between(copy, compounds, compounds))
    with pytest.raises(ModelError, match='holds other substitution costs'):
        SubstitutionCost.from_arrays({'shifts': np.zeros(3, dtype=np.float32)})


def test_an_element_alone_has_a_context(cost):
    assert torch.isfinite(cost.context(torch.tensor([[26]]), torch.tensor([2.0]))).all()
