"""Loss, batches and rates of contrastive training, against their definitions."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from sklearn_dbt._training import TensorDataset, seeded_generator
from sklearn_dbt.decomposition import _contrastive_training as training
from sklearn_dbt.nn.encoders import Restarts, TimeContrastiveNetwork


def restarts(n=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = [TimeContrastiveNetwork(4, 3, 5, hidden_layer_sizes=(6,)) for _ in range(n)]
    return Restarts(made)


def points(n=20):
    generator = seeded_generator(1)
    return torch.randn(n, 4, generator=generator), torch.randint(5, (n,), generator=generator)


def test_loss_of_each_network():
    nets, (x, y) = restarts(), points()
    losses = training.contrastive_loss(nets(x), y)
    assert losses.shape == (20, 3)
    for i, net in enumerate(nets.networks):
        expected = functional.cross_entropy(net(x), y, reduction="none")
        torch.testing.assert_close(losses[:, i], expected)
    mean = training.contrastive_loss(nets(x), y, reduction="mean")
    torch.testing.assert_close(mean, losses.mean())


def test_held_out_losses():
    nets, (x, y) = restarts(), points()
    found = training.held_out_losses(nets, TensorDataset(x, y))
    expected = [float(functional.cross_entropy(net(x), y).detach()) for net in nets.networks]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_chance_is_the_entropy_of_the_segments():
    train, watched = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1])
    expected = -(math.log(0.75) + math.log(0.25)) / 2
    assert training.chance_loss(train, watched) == pytest.approx(expected)
    even = torch.arange(8).repeat(5)
    assert training.chance_loss(even, even) == pytest.approx(math.log(8))


def test_features_in_parts(monkeypatch):
    net, (x, _) = restarts().networks[0], points()
    whole = training.network_features(net, x)
    assert whole.dtype == np.float64
    monkeypatch.setattr(training, "POINTS_AT_ONCE", 7)
    np.testing.assert_allclose(training.network_features(net, x), whole, atol=1e-6)
    np.testing.assert_allclose(net.features(x).detach().numpy(), whole, atol=1e-6)


@pytest.mark.parametrize(("max_samples", "n_rows"), [(None, 20), (12, 12), (50, 20)])
def test_an_epoch_draws_some_rows_once(max_samples, n_rows):
    data = TensorDataset(torch.arange(20.0), torch.arange(20))
    batches = training.SampledBatches(data, 5, seeded_generator(0), max_samples)
    epochs = [torch.cat([y for _, (y, _) in batches]).tolist() for _ in range(2)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == n_rows
    assert epochs[0] != epochs[1]
    assert len(batches) == math.ceil(n_rows / 5) == len(list(batches))


def test_rate_falls_along_a_cosine_and_begins_anew():
    group = {"lr": 99.0}
    net = SimpleNamespace(optimizer_=SimpleNamespace(param_groups=[group]))
    decay = training.CosineDecay(0.4, 4)
    for _ in range(2):
        decay.on_train_begin(net)
        rates = []
        for _ in range(4):
            decay.on_epoch_begin(net)
            rates.append(group["lr"])
        half = math.sqrt(0.5)
        assert rates == pytest.approx([0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half)])


def test_one_kernel_is_adam():
    (x, y), found = points(), []
    for optimizer_class in (torch.optim.Adam, training.FusedAdam):
        net = restarts(1)
        optimizer = optimizer_class(net.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            training.contrastive_loss(net(x), y, reduction="mean").backward()
            optimizer.step()
        found.append(net(x))
    torch.testing.assert_close(*found)


def test_dropped_networks_are_forgotten():
    nets, (x, y) = restarts(), points()
    optimizer = torch.optim.Adam(nets.parameters())
    training.contrastive_loss(nets(x), y, reduction="mean").backward()
    optimizer.step()
    nets.keep(1)
    training.forget_missing(optimizer, nets)
    kept = list(nets.parameters())
    (group,) = optimizer.param_groups
    assert len(group["params"]) == len(kept) == len(optimizer.state)
    assert all(a is b for a, b in zip(group["params"], kept, strict=True))
