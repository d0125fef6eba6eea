"""The networks against their formulas, backbones of one's own, channel moments against numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_dbt.neural_network._network import (
    ACTIVATIONS,
    DropoutNetwork,
    channel_moments,
    convolutional_network,
    given_backbone,
    multilayer_perceptron,
)
from sklearn_dbt.nn import TransformDropout

SHAPE = (2, 10, 3)  # channels, times, outputs


def dropout(n_features):
    return TransformDropout(n_features, seed=0)


def perceptron(*, hidden=(6, 4), activation="tanh", make_dropout=dropout):
    return multilayer_perceptron(
        *SHAPE, hidden_layer_sizes=hidden, activation=activation, make_dropout=make_dropout
    )


def network(backbone=None, input_dropout=None):
    mean, scale = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [0.5]])
    return DropoutNetwork(mean, scale, input_dropout, backbone or perceptron())


def panel(n=5):
    return torch.randn(n, 2, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_perceptron_is_its_formula_in_evaluation(activation):
    net = network(perceptron(activation=activation)).eval()
    linear = [layer for layer in net.backbone if isinstance(layer, nn.Linear)]
    h = ((panel() - net.mean) / net.scale).flatten(1)
    for layer in linear[:-1]:
        h = ACTIVATIONS[activation]()(layer(h))
    torch.testing.assert_close(net(panel()), linear[-1](h))


def test_the_convolutional_network_is_its_formula_and_does_not_mind_shifts():
    net = convolutional_network(
        *SHAPE, hidden_layer_sizes=(4, 5), kernel_size=3, activation="relu", make_dropout=None
    ).eval()
    first, second = (layer for layer in net if isinstance(layer, nn.Conv1d))
    h = panel()
    for convolution in (first, second):
        padded = nn.functional.pad(h, (1, 1))
        h = torch.einsum("nctk,ock->not", padded.unfold(-1, 3, 1), convolution.weight)
        h = torch.relu(h / (1 + 1e-5) ** 0.5)  # untrained batch normalisation
    torch.testing.assert_close(net(panel()), net[-1](h.mean(-1)), rtol=1e-4, atol=1e-5)
    x = nn.functional.pad(panel(), (10, 20))
    torch.testing.assert_close(net(x.roll(5, -1)), net(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("kernel_size", "width"), [(3, 10), (4, 10)])
def test_convolutions_keep_the_length_and_drop_along_time(kernel_size, width):
    net = convolutional_network(
        *SHAPE,
        hidden_layer_sizes=(4, 5),
        kernel_size=kernel_size,
        activation="relu",
        make_dropout=dropout,
    )
    widths = [layer.n_features for layer in net if isinstance(layer, TransformDropout)]
    assert widths == [width, width]
    assert net(panel()).shape == (5, 3)


def test_dropouts_are_found_from_the_input_on():
    widths = [layer.n_features for layer in network(perceptron(), dropout(10)).dropouts]
    assert widths == [10, 6, 4]
    assert network(perceptron(make_dropout=None)).dropouts == []


def test_observing_the_input_sets_the_energies_it_has():
    net = network(input_dropout=dropout(10))
    t = torch.arange(10)
    x = torch.cos(2 * torch.pi * 0.2 * t).expand(7, 2, 10) * net.scale + net.mean
    assert not net.input_dropout.observed
    net.observe_input(x.split(3))
    rates = net.input_dropout.rates
    assert rates.argmin() == 2  # 0.2 cycles per sample of 10 samples
    network().observe_input(x.split(3))  # nothing to observe


class Recurrent(nn.Module):
    """A backbone of one's own with two dropout layers, one of which is never used."""

    def __init__(self, n_channels=2, n_outputs=3):
        super().__init__()
        self.unused = nn.Dropout(0.5)
        self.lstm = nn.LSTM(n_channels, 8, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, n_outputs))

    def forward(self, x):
        return self.head(self.lstm(x.transpose(1, 2))[0][:, -1])


def test_a_given_module_is_copied_and_its_dropout_exchanged():
    own = Recurrent()
    backbone = given_backbone(own, *SHAPE, make_dropout=dropout)
    assert isinstance(backbone.head[0], TransformDropout)
    assert backbone.head[0].n_features == 8
    assert isinstance(backbone.unused, nn.Dropout)
    assert isinstance(own.head[0], nn.Dropout)
    assert backbone.training
    torch.testing.assert_close(backbone.eval()(panel()), own.eval()(panel()))
    plain = given_backbone(own, *SHAPE, make_dropout=None)
    assert isinstance(plain.head[0], nn.Dropout)


def test_a_backbone_may_be_made_for_the_shape_of_the_data():
    def make(n_channels, n_times, n_outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * n_times, n_outputs))

    assert given_backbone(make, *SHAPE, make_dropout=None)(panel()).shape == (5, 3)
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module, got int"):
        given_backbone(lambda *_: 3, *SHAPE, make_dropout=None)
    with pytest.raises(ValueError, match=r"exchanges the torch.nn.Dropout layers .* it has none"):
        given_backbone(make, *SHAPE, make_dropout=dropout)
    with pytest.raises(ValueError, match=r"\(n, 2, 10\) to \(n, 4\); two .* shape \(2, 3\)"):
        given_backbone(Recurrent(), 2, 10, 4, make_dropout=None)
    with pytest.raises(ValueError, match=r"cannot take two recordings of shape \(2, 10\).*shapes"):
        given_backbone(nn.Linear(5, 3), *SHAPE, make_dropout=None)


def test_moments_are_weighted_and_constant_channels_have_scale_one():
    rng = np.random.default_rng(0)
    X = rng.normal([[3.0], [-7.0], [0.1]], [[2.0], [1e-3], [0.0]], (6, 3, 20)).astype(np.float32)
    weights = np.array([1, 2, 0, 1, 3, 1])
    mean, scale = channel_moments(torch.tensor(X), torch.tensor(weights, dtype=torch.float32))
    repeated = np.repeat(X, weights, axis=0).astype(np.float64)
    np.testing.assert_allclose(mean[:, 0], repeated.mean((0, 2)), rtol=1e-4)
    np.testing.assert_allclose(scale[:2, 0], repeated.std((0, 2))[:2], rtol=1e-3)
    assert scale[2] == 1
