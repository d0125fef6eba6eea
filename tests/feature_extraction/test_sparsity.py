"""Costs of coefficients: textbook values, additivity, and gradients."""

import numpy as np
import pytest
import scipy.stats
import torch

from sklearn_dbt.feature_extraction._sparsity import COSTS, sparsity_cost

each = pytest.mark.parametrize("name", COSTS)


def coefficients(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_textbook_values():
    c = coefficients(3, 16)
    energy = c.square().sum(-1)
    p = (c.square() / energy[:, None]).numpy()
    expected = {
        "shannon": scipy.stats.entropy(p, axis=-1),
        "log_energy": np.log(p).sum(-1),
        "l1": np.abs(c.numpy()).sum(-1) / np.sqrt(energy.numpy()),
    }
    assert set(expected) == set(COSTS)
    for name, values in expected.items():
        np.testing.assert_allclose(sparsity_cost(c, energy, name), values, rtol=1e-12)


@each
def test_few_coefficients_cost_less_than_many(name):
    even, peak = torch.ones(1, 16, dtype=torch.float64), 4 * torch.eye(1, 16, dtype=torch.float64)
    energy = torch.tensor([16.0], dtype=torch.float64)
    assert sparsity_cost(peak, energy, name) < sparsity_cost(even, energy, name) - 0.5


@each
def test_cost_is_a_sum_over_coefficients_and_knows_no_units(name):
    c = coefficients(2, 12)
    energy = c.square().sum(-1)
    parts = sparsity_cost(c[:, :5], energy, name) + sparsity_cost(c[:, 5:], energy, name)
    torch.testing.assert_close(sparsity_cost(c, energy, name), parts)
    torch.testing.assert_close(sparsity_cost(1e4 * c, 1e8 * energy, name), parts)


@each
def test_silence_costs_nothing_and_gradients_are_finite(name):
    c = torch.zeros(2, 8, dtype=torch.float64)
    c[1, 3] = 2.0
    c.requires_grad_()
    cost = sparsity_cost(c, c.detach().square().sum(-1), name)
    assert cost[0] == 0
    cost.sum().backward()
    assert torch.isfinite(c.grad).all()


@each
def test_gradients(name):
    c = coefficients(2, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: sparsity_cost(c, c.square().sum(-1), name), c)
