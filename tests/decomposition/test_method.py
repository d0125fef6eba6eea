"""What all methods share: recordings, examples that are drawn, the logistic loss."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from sklearn_dbt._training import seeded_generator
from sklearn_dbt.decomposition import _method
from sklearn_dbt.decomposition._gcl import GeneralizedContrast
from sklearn_dbt.decomposition._method import Examples, Recorded
from sklearn_dbt.decomposition._tcl import TimeContrast
from sklearn_dbt.nn.encoders import TimeContrastiveNetwork


def recorded(n=24):
    inputs = torch.randn(n, 3, generator=seeded_generator(0), dtype=torch.float64)
    return Recorded(inputs, torch.arange(n) // 6, np.array([0, 9]))


def test_segments_and_bounds():
    found = recorded()
    assert found.n_segments == 4
    assert found.bounds.tolist() == [0, 9, 24]


def test_examples_are_drawn_anew_and_those_drawn_before_are_not():
    rows = torch.arange(4, 20)
    examples = Examples(GeneralizedContrast(), recorded(), rows, seeded_generator(1))
    assert len(examples) == 16
    places = torch.tensor([0, 15, 3])
    (first, (targets, weights)), (second, _) = examples[places], examples[places]
    torch.testing.assert_close(first["x"], recorded().inputs[rows[places]])
    assert not torch.equal(first["u"], second["u"])
    assert targets.shape == (3, 2)
    assert weights.tolist() == [1, 1, 1]
    drawn = examples.drawn()
    assert len(drawn) == 16
    again = [drawn[places][0]["u"] for _ in range(2)]
    assert torch.equal(*again)
    assert torch.equal(drawn[places][0]["x"], first["x"])


def test_first_is_true():
    output = torch.randn(5, 3, 2, generator=seeded_generator(2))
    loss = _method.first_is_true(output, _method.true_and_false(5, output))
    by_hand = (-functional.logsigmoid(output[..., 0]) - functional.logsigmoid(-output[..., 1])) / 2
    torch.testing.assert_close(loss, by_hand)
    mean = _method.first_is_true(output, _method.true_and_false(5, output), reduction="mean")
    torch.testing.assert_close(mean, by_hand.mean())


def test_guessing_segments():
    data = Recorded(torch.zeros(6, 1), torch.tensor([0, 0, 0, 0, 1, 1]), np.array([0]))
    train, watched = torch.tensor([0, 1, 2, 4]), torch.tensor([3, 5])
    expected = -(math.log(0.75) + math.log(0.25)) / 2
    assert _method.segment_entropy(data, train, watched) == pytest.approx(expected)


def test_picked_rows_are_among_those_given():
    among = torch.tensor([3, 7, 11])
    picked = _method.pick(among, 300, seeded_generator(0))
    assert np.unique(picked).tolist() == [3, 7, 11]


def test_a_network_starts_from_a_linear_unmixing():
    """Where sources are mixed linearly the start has them already."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 300)
    sources = rng.uniform(0.1, 3, (20, 3))[labels] * rng.normal(size=(6000, 3))
    x = sources @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    x /= x.std()
    data = Recorded(torch.from_numpy(x), torch.from_numpy(labels), np.array([0]))
    with torch.random.fork_rng():
        network = TimeContrastiveNetwork(3, 3, 20).double()
    TimeContrast("auto", 0).start(network, data, np.arange(6000), 3)
    found = network.sources.linear(data.inputs).detach().numpy()
    table = np.abs(np.corrcoef(sources.T, found.T)[:3, 3:])
    assert (table.max(axis=1) > 0.97).all()
