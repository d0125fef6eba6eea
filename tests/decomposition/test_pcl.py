"""Pairs are consecutive or shuffled, always within a recording."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt._training import seeded_generator
from sklearn_dbt.decomposition._method import Recorded
from sklearn_dbt.decomposition._pcl import PermutationContrast

METHOD = PermutationContrast()


def recorded(lengths):
    """Points whose only coordinate is their row."""
    n = sum(lengths)
    starts = np.cumsum([0, *lengths[:-1]])
    return Recorded(torch.arange(float(n))[:, None], torch.zeros(n, dtype=torch.int64), starts)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=5), st.integers(0, 100))
def test_pairs_stay_within_their_recording(lengths, seed):
    data = recorded(lengths)
    rows = torch.arange(sum(lengths))
    shown, targets = METHOD.show(data, rows, rows, seeded_generator(seed))
    pairs = shown["pairs"][..., 0]
    which = np.repeat(np.arange(len(lengths)), lengths)
    assert (which[pairs.long().numpy()] == which[:, None, None]).all()
    assert torch.equal(pairs[:, 0, 0] - pairs[:, 0, 1], torch.ones(len(rows)))
    assert torch.equal(pairs[:, 1, 0], pairs[:, 0, 0])
    assert targets.tolist() == len(rows) * [[1, 0]]


def test_shuffled_points_are_of_all_times():
    rows = torch.full((3000,), 4)
    shown, _ = METHOD.show(recorded([10]), rows, rows, seeded_generator(0))
    counts = np.bincount(shown["pairs"][:, 1, 1, 0].long().numpy(), minlength=10)
    assert counts.min() > 200
    assert len(counts) == 10


def test_guessing():
    assert METHOD.chance(recorded([5]), None, None) == math.log(2)


def test_components_are_in_order_of_how_long_their_strength_lasts():
    rng = np.random.default_rng(0)
    lasting = np.repeat(rng.uniform(0.1, 3, 200), 30)
    features = np.stack([rng.normal(size=6000), lasting * rng.normal(size=6000)], axis=1)
    data = Recorded(torch.from_numpy(features), torch.zeros(6000).long(), np.array([0, 1500]))
    unmixing = METHOD.unmix(features, data, np.arange(6000))
    assert unmixing.contrast[0] > 0.2 > 0.1 > unmixing.contrast[1]
    components = (features - unmixing.mean) @ unmixing.matrix.T
    np.testing.assert_allclose(components.std(axis=0), 1)
    assert np.corrcoef(components[:, 0], features[:, 1])[0, 1] > 0.999
