"""Losses, batches and rates of training networks side by side, against their definitions."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from sklearn_dbt._training import TensorDataset, seeded_generator
from sklearn_dbt.decomposition import _contrastive_training as training
from sklearn_dbt.decomposition._method import Drawn
from sklearn_dbt.decomposition._muon import MuonAdamW
from sklearn_dbt.decomposition._tcl import TimeContrast
from sklearn_dbt.nn.encoders import IdentifiableVAE, Restarts, TimeContrastiveNetwork

METHOD = TimeContrast("auto", 0)


def restarts(n=3, sizes=(6,)):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = [TimeContrastiveNetwork(4, 3, 5, hidden_layer_sizes=sizes) for _ in range(n)]
    return Restarts(made)


def points(n=20):
    generator = seeded_generator(1)
    return torch.randn(n, 4, generator=generator), torch.randint(5, (n,), generator=generator)


def test_held_out_losses():
    nets, (x, y) = restarts(), points()
    found = training.held_out_losses(METHOD, nets, Drawn({"x": x}, y, torch.ones(20)))
    expected = [float(functional.cross_entropy(net(x), y).detach()) for net in nets.networks]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_mean_in_training_and_the_best_otherwise():
    nets, (x, y) = restarts(), points()
    weights = torch.rand(20, generator=seeded_generator(2))
    each = [
        float((weights * functional.cross_entropy(net(x), y, reduction="none")).sum().detach())
        / float(weights.sum())
        for net in nets.networks
    ]
    criterion = training.LossOfRestarts(METHOD.loss)
    assert float(criterion(nets(x), (y, weights)).detach()) == pytest.approx(np.mean(each))
    assert float(criterion.eval()(nets(x), (y, weights)).detach()) == pytest.approx(min(each))


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


def test_a_small_part_is_drawn_without_numbering_all(monkeypatch):
    monkeypatch.setattr(torch, "randperm", None)
    data = TensorDataset(torch.arange(5000.0), torch.arange(5000))
    batches = training.SampledBatches(data, 30, seeded_generator(0), 100)
    rows = torch.cat([y for _, (y, _) in batches])
    assert len(rows) == 100
    assert len(set(rows.tolist())) > 90


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
    constant = training.CosineDecay(0.4, math.inf)
    constant.on_train_begin(net)
    for _ in range(3):
        constant.on_epoch_begin(net)
        assert group["lr"] == 0.4


def test_message_is_held_in_the_first_half():
    vae = IdentifiableVAE(3, 2, 4)
    net = SimpleNamespace(module_=Restarts([vae]))
    held = training.HeldMessage(5)
    for _ in range(2):
        held.on_train_begin(net)
        seen = []
        for _ in range(5):
            held.on_epoch_begin(net)
            seen.append(vae.holds_message)
        assert seen == [True, True, True, False, False]
    training.HeldMessage(5).on_train_begin(SimpleNamespace(module_=restarts()))


def test_only_what_joins_hidden_layers_decays():
    nets, (x, y) = restarts(sizes=(6, 5)), points()
    before = [p.detach().clone() for p in nets.parameters()]
    optimizer = MuonAdamW(training.parameter_groups(nets), lr=0.1)
    training.set_decay(optimizer, 0.5)
    (0 * METHOD.loss(nets(x), y, reduction="mean")).backward()
    optimizer.step()
    named = list(nets.named_parameters())
    for (name, new), old in zip(named, before, strict=True):
        expected = 1 - 0.1 * 0.5 if name.endswith("sources.hidden.2.weight") else 1
        torch.testing.assert_close(new.detach(), expected * old)
    assert len(named) == sum(len(g["params"]) for g in optimizer.param_groups)


def test_dropped_networks_are_forgotten():
    nets, (x, y) = restarts(), points()
    optimizer = torch.optim.Adam(nets.parameters())
    METHOD.loss(nets(x), y, reduction="mean").backward()
    optimizer.step()
    nets.keep(1)
    training.forget_missing(optimizer, nets)
    kept = list(nets.parameters())
    (group,) = optimizer.param_groups
    assert len(group["params"]) == len(kept) == len(optimizer.state)
    assert all(a is b for a, b in zip(group["params"], kept, strict=True))
