"""The loss of several networks, and what is shown of a point."""

import numpy as np
import torch
from torch.nn import functional

from sklearn_dbt._training import seeded_generator
from sklearn_dbt.decomposition._method import Recorded
from sklearn_dbt.decomposition._tcl import TimeContrast

METHOD = TimeContrast("auto", 0)


def test_a_point_is_shown_with_its_segment():
    inputs = torch.randn(12, 3, generator=seeded_generator(0))
    recorded = Recorded(inputs, torch.arange(12) // 4, np.array([0]))
    rows = torch.tensor([11, 0, 5])
    shown, targets = METHOD.show(recorded, rows, rows, None)
    assert torch.equal(shown["x"], inputs[rows])
    assert targets.tolist() == [2, 0, 1]


def test_loss_of_each_network():
    logits, y = torch.randn(20, 3, 5, generator=seeded_generator(0)), torch.arange(20) % 5
    losses = METHOD.loss(logits, y)
    assert losses.shape == (20, 3)
    for i in range(3):
        expected = functional.cross_entropy(logits[:, i], y, reduction="none")
        torch.testing.assert_close(losses[:, i], expected)
    torch.testing.assert_close(METHOD.loss(logits, y, reduction="mean"), losses.mean())


def test_components_rise_with_the_norm_of_points():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 200)
    sources = np.abs(rng.uniform(0.2, 3, (30, 2))[labels] * rng.laplace(size=(6000, 2)))
    recorded = Recorded(torch.from_numpy(sources), torch.from_numpy(labels), np.array([0]))
    features = sources @ np.array([[1, 0.4], [-0.3, 1]])
    unmixing = METHOD.unmix(features, recorded, np.arange(6000))
    components = (features - unmixing.mean) @ unmixing.matrix.T
    table = np.corrcoef(sources.T, components.T)[:2, 2:]
    assert (table.max(axis=1) > 0.97).all()
