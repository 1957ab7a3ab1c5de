"""Tests of the learning of substitution costs."""

import numpy as np
import torch

from aiida_alphacrystal.engine.reconstruct import neighbourhood
from aiida_alphacrystal.engine.reconstruct.neighbourhood import learn_costs


def loss_of(library, cost, formulas):
    """Return the mean loss over all compounds that have an answer."""
    everyone = np.ones(len(formulas), dtype=bool)
    classes, batches = neighbourhood._prepare(library, formulas, everyone, np.random.default_rng(0))
    with torch.no_grad():
        losses = [neighbourhood._loss(cost.eval(), classes[index], places) for index, places in batches]
    return float(sum(loss for loss, _ in losses)) / sum(number for _, number in losses)


def test_learning_makes_the_right_votes_weigh_more(library):
    formulas = np.arange(len(library.member_prototypes))
    everyone = np.ones(len(formulas), dtype=bool)
    torch.manual_seed(1)
    untrained = neighbourhood.SubstitutionCost()
    learnt = learn_costs(library, formulas, everyone, seed=1)
    assert loss_of(library, learnt, formulas) < loss_of(library, untrained, formulas)


def test_the_seed_decides_everything_and_the_state_of_torch_nothing(library):
    formulas = np.arange(len(library.member_prototypes))
    everyone = np.ones(len(formulas), dtype=bool)
    first = learn_costs(library, formulas, everyone, seed=1).to_arrays()
    torch.manual_seed(99)
    again = learn_costs(library, formulas, everyone, seed=1).to_arrays()
    other = learn_costs(library, formulas, everyone, seed=2).to_arrays()
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_compounds_of_the_same_formula_have_no_vote(library):
    formulas = np.zeros(len(library.member_prototypes), dtype=np.int64)
    everyone = np.ones(len(formulas), dtype=bool)
    classes, batches = neighbourhood._prepare(library, formulas, everyone, np.random.default_rng(0))
    cost = neighbourhood.SubstitutionCost().eval()
    assert [neighbourhood._loss(cost, classes[index], places)[1] for index, places in batches] == [0] * len(batches)


def test_only_those_who_learn_are_asked_for(library):
    formulas = np.arange(len(library.member_prototypes))
    learning = formulas % 3 == 0
    _, batches = neighbourhood._prepare(library, formulas, learning, np.random.default_rng(0))
    assert sum(len(places) for _, places in batches) == learning.sum()
