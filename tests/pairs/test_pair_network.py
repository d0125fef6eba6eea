"""The distance is soft-DTW's, the losses are the written ones."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from sklearn_dbt.nn.alignment import soft_dtw
from sklearn_dbt.pairs._pair_data import Pairs
from sklearn_dbt.pairs._pair_network import PairDataset, PairLoss, PairNetwork

RNG = np.random.default_rng(0)
PAIRS = Pairs(
    RNG.normal(size=(5, 2, 8)),
    np.array([8, 6, 8, 5, 7]),
    np.array([[0, 1], [1, 2], [3, 0], [4, 4], [0, 1]]),
)
DATA = PairDataset(PAIRS, np.array([1, 0, 0, 1, 1]), np.ones(5), "cpu")


def make_network(**options):
    options = {
        "divergence": True,
        "learn_gamma": True,
        "learn_channels": True,
        "detach": False,
        **options,
    }
    return PairNetwork(2, 0.7, None, **options).double()


def direct(i, j, gamma=0.7, weights=(1.0, 1.0), divergence=True):
    gain = torch.tensor(weights, dtype=torch.float64).sqrt()[:, None]
    a, b = (gain * torch.tensor(PAIRS.series[k : k + 1, :, : PAIRS.lengths[k]]) for k in (i, j))
    return soft_dtw(a, b, gamma, divergence=divergence).item()


@pytest.mark.parametrize("divergence", [True, False])
def test_distance(divergence):
    network = make_network(divergence=divergence)
    network.total_length.fill_(14.0)
    with torch.no_grad():
        network.xi.copy_(torch.tensor([0.5, -1.0]))
        network.zeta.fill_(0.3)
    found = network.distance(**DATA.pair(slice(None)))
    for value, (i, j) in zip(found.tolist(), PAIRS.ids, strict=True):
        truth = direct(i, j, 0.7 * np.exp(0.3), np.exp([0.5, -1.0]), divergence)
        truth *= 14 / (PAIRS.lengths[i] + PAIRS.lengths[j])
        assert value == pytest.approx(truth, rel=1e-10, abs=1e-12)


def test_logit_and_its_gradient():
    network = make_network()
    network.start_scale.fill_(0.5)
    network.start_threshold.fill_(2.0)
    output = network(**DATA.pair(slice(None)))
    distance = network.distance(**DATA.pair(slice(None)))
    torch.testing.assert_close(output[:, 0], 2.0 - 0.5 * distance)
    torch.testing.assert_close(output[:, 1], distance)
    torch.testing.assert_close(network(distance=distance), output)
    names = [name for name, _ in network.named_parameters()]

    def loss(*parameters):
        values = dict(zip(names, parameters, strict=True))
        result = torch.func.functional_call(network, values, (), DATA.pair(slice(None)))
        return PairLoss(0.5, 0.6, 1.3, 0.8)(result, DATA.same)

    assert gradcheck(loss, tuple(network.parameters()))


def test_a_detached_logit_does_not_move_the_distance():
    network = make_network(detach=True)
    network(**DATA.pair(slice(None)))[:, 0].sum().backward()
    assert network.eta.grad != 0
    assert (network.xi.grad == 0).all()
    network(**DATA.pair(slice(None)))[:, 1].sum().backward()
    assert (network.xi.grad != 0).all()


def test_the_contrastive_loss_is_two_means():
    output = torch.tensor([[0.3, 0.5], [-1.0, 0.2], [2.0, 3.0], [0.1, 0.9]], dtype=torch.float64)
    same = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    rows = PairLoss(2.0, 0.5, margin=1.5, negative_weight=3.0)(output, same)
    entropy = functional.binary_cross_entropy_with_logits(output[:, 0], same)
    pull, push = (0.5 + 0.9) / 2, (1.3 + 0) / 2
    assert rows.mean().item() == pytest.approx(entropy.item() + 2 * (pull + 3 * push))
    logistic = PairLoss(0.0, 0.5, 1.0, 1.0)(output, same)
    assert logistic.mean().item() == pytest.approx(entropy.item())


def test_soft_targets_only_soften_the_cross_entropy():
    output = torch.tensor([[0.3, 0.5], [-1.0, 0.2]], dtype=torch.float64)
    same = torch.tensor([1.0, 0.0], dtype=torch.float64)
    soft = torch.tensor([0.9, 0.2], dtype=torch.float64)
    entropy = functional.binary_cross_entropy_with_logits(output[:, 0], soft)
    rows = PairLoss(1.0, 0.5, 1.0, 1.0, (0.2, 0.9))(output, same)
    assert rows.mean().item() == pytest.approx(entropy.item() + 0.5 + 0.8)


def test_a_line_is_set_whatever_was_learned():
    network = make_network()
    with torch.no_grad():
        network.eta.fill_(0.3)
        network.delta.fill_(-2.0)
    network.set_line(0.25, 1.5)
    assert network.scale.item() == 0.25
    assert network.threshold.item() == 1.5


def test_a_part_of_the_data():
    part = DATA.part(np.array([2, 0]), torch.arange(5.0))
    assert len(part) == 2
    inputs, (same, weights) = part[torch.tensor([1])]
    assert inputs["distance"].tolist() == [0.0]
    assert same.tolist() == [1.0]
    assert weights.tolist() == [1.0]
    inputs, _ = DATA.part(np.array([2, 0]), None)[torch.tensor([0])]
    assert inputs["ids"].tolist() == [[3, 0]]
    assert inputs["lengths"].tolist() == [[5, 8]]
