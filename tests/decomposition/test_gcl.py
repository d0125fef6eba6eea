"""The first candidate is the true segment, the second that of a random other point."""

import math

import numpy as np
import torch

from sklearn_dbt._training import seeded_generator
from sklearn_dbt.decomposition._gcl import GeneralizedContrast, unmix_signed
from sklearn_dbt.decomposition._method import Recorded

METHOD = GeneralizedContrast()


def test_candidates():
    segments = torch.tensor([0] * 30 + [1] * 10)
    recorded = Recorded(torch.arange(40.0)[:, None], segments, np.array([0]))
    among, rows = torch.arange(40), torch.arange(40).repeat(50)
    shown, targets = METHOD.show(recorded, rows, among, seeded_generator(0))
    assert torch.equal(shown["u"][:, 0], segments[rows])
    assert abs(float(shown["u"][:, 1].double().mean()) - 0.25) < 0.04
    assert targets[7].tolist() == [1, 0]
    assert METHOD.chance(recorded, rows, rows) == math.log(2)


def test_components_are_ordered_by_the_change_of_their_magnitude_and_signed():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 100)
    strength = rng.uniform(0.1, 3, 20)[labels]
    features = np.stack([rng.normal(size=2000), -strength * rng.normal(size=2000)], axis=1)
    inputs = torch.from_numpy(features * [1, -1])
    recorded = Recorded(inputs, torch.from_numpy(labels), np.array([0]))
    unmixing = unmix_signed(features, recorded, np.arange(2000))
    components = (features - unmixing.mean) @ unmixing.matrix.T
    assert unmixing.contrast[0] > unmixing.contrast[1]
    assert np.corrcoef(components[:, 0], inputs[:, 1])[0, 1] > 0.99
    assert np.corrcoef(components[:, 1], inputs[:, 0])[0, 1] > 0.99
    assert unmixing.method == "none"
