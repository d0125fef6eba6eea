"""Distances of whole sets are those of the network, pair by pair, and leave no trace in it."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_dbt.pairs import _inference
from sklearn_dbt.pairs._inference import distances, embed_all, in_evaluation, margin
from sklearn_dbt.pairs._pair_batches import PairDataset
from sklearn_dbt.pairs._pair_data import Pairs
from sklearn_dbt.pairs._pair_network import PairNetwork

RNG = np.random.default_rng(0)
PAIRS = Pairs(
    RNG.normal(size=(7, 2, 9)),
    np.array([9, 6, 8, 5, 7, 5, 9]),
    RNG.integers(0, 6, size=(11, 2)),
)
DATA = PairDataset(PAIRS, np.arange(11) % 2, np.ones(11), "cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Dropout(0.5))
    options = {"divergence": True, "learn_gamma": True, "learn_channels": True, "detach": False}
    return PairNetwork(3, 0.7, 4, **options, encoder=encoder).double()


@pytest.mark.parametrize("at_once", [1, 4, 1024])
def test_parts_change_nothing(network, monkeypatch, at_once):
    monkeypatch.setattr(_inference, "AT_ONCE", at_once)
    found = distances(network, DATA)
    assert not found.requires_grad
    with in_evaluation(network):
        expected = network.distance(**DATA.pair(slice(None)))
        embedded = network.embed(DATA.series, DATA.lengths)
    torch.testing.assert_close(found, expected)
    for ours, truth in zip(embed_all(network, DATA.series, DATA.lengths), embedded, strict=True):
        torch.testing.assert_close(ours, truth)


def test_training_goes_on_as_before(network):
    state = {key: value.clone() for key, value in network.state_dict().items()}
    distances(network, DATA)
    assert network.training
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, state[key])
    with in_evaluation(network):
        assert not network.training
    with pytest.raises(TypeError), in_evaluation(network):
        network.distance()
    assert network.training


def test_known_distances_are_taken(network):
    known = DATA.part(np.array([2, 0]), torch.arange(11.0))
    assert distances(network, known).tolist() == [2.0, 0.0]


def test_margin_is_in_mean_distances(network):
    network.mean_distance.fill_(3.0)
    assert margin(network, 0.5) == 1.5
