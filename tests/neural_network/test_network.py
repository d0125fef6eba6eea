"""The network against its formula, and channel moments against numpy."""

import numpy as np
import pytest
import torch

from sklearn_dbt.neural_network._network import ACTIVATIONS, DropoutNetwork, channel_moments
from sklearn_dbt.nn import TransformDropout


def network(where="both", hidden=(6, 4), activation="tanh"):
    return DropoutNetwork(
        torch.tensor([[1.0], [2.0]]),
        torch.tensor([[2.0], [0.5]]),
        10,
        3,
        hidden_layer_sizes=hidden,
        activation=activation,
        dropout_on=where,
        make_dropout=lambda n_features, _: TransformDropout(n_features, seed=0),
    )


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_it_computes_its_formula_in_evaluation(activation):
    net = network(activation=activation).eval()
    x = torch.randn(5, 2, 10, generator=torch.Generator().manual_seed(0))
    linear = [layer for layer in net.layers if isinstance(layer, torch.nn.Linear)]
    h = ((x - net.mean) / net.scale).flatten(1)
    for layer in linear[:-1]:
        h = ACTIVATIONS[activation]()(layer(h))
    torch.testing.assert_close(net(x), linear[-1](h))


@pytest.mark.parametrize(
    ("where", "widths"), [("input", [10]), ("hidden", [6, 4]), ("both", [10, 6, 4])]
)
def test_dropouts_sit_where_they_are_told(where, widths):
    assert [layer.n_features for layer in network(where).dropouts] == widths


def test_observing_the_input_sets_the_energies_it_has():
    net = network("input")
    t = torch.arange(10)
    x = torch.cos(2 * torch.pi * 0.2 * t).expand(7, 2, 10) * net.scale + net.mean
    assert not net.input_dropout.observed
    net.observe_input(x.split(3))
    rates = net.input_dropout.rates
    assert rates.argmin() == 2  # 0.2 cycles per sample of 10 samples
    network("hidden").observe_input(x.split(3))  # nothing to observe


def test_moments_are_weighted_and_constant_channels_have_scale_one():
    rng = np.random.default_rng(0)
    X = rng.normal([[3.0], [-7.0], [0.1]], [[2.0], [1e-3], [0.0]], (6, 3, 20)).astype(np.float32)
    weights = np.array([1, 2, 0, 1, 3, 1])
    mean, scale = channel_moments(torch.tensor(X), torch.tensor(weights, dtype=torch.float32))
    repeated = np.repeat(X, weights, axis=0).astype(np.float64)
    np.testing.assert_allclose(mean[:, 0], repeated.mean((0, 2)), rtol=1e-4)
    np.testing.assert_allclose(scale[:2, 0], repeated.std((0, 2))[:2], rtol=1e-3)
    assert scale[2] == 1
