"""What the autoencoder is shown, and the loss of guessing."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from sklearn_dbt._training import seeded_generator
from sklearn_dbt.decomposition._ivae import VariationalBound
from sklearn_dbt.decomposition._method import Recorded

METHOD = VariationalBound(2)


def recorded(dtype=torch.float64):
    inputs = torch.randn(40, 3, generator=seeded_generator(0), dtype=dtype)
    return Recorded(inputs, torch.arange(40) // 10, np.array([0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_segments_and_noise(dtype):
    data, rows = recorded(dtype), torch.tensor([31, 4])
    shown, targets = METHOD.show(data, rows, rows, seeded_generator(3))
    assert torch.equal(shown["x"], data.inputs[rows])
    assert shown["u"].tolist() == targets.tolist() == [3, 0]
    assert shown["noise"].shape == (2, 2)
    assert shown["noise"].dtype == dtype


def test_noise_is_standard_normal():
    rows = torch.zeros(5000, dtype=torch.int64)
    noise = METHOD.show(recorded(), rows, rows, seeded_generator(3))[0]["noise"]
    assert abs(float(noise.mean())) < 0.03
    assert float(noise.std()) == pytest.approx(1, abs=0.03)


def test_the_loss_is_the_sum_of_the_terms():
    output = torch.randn(6, 2, 3, generator=seeded_generator(1))
    torch.testing.assert_close(METHOD.loss(output, None), output[..., 0] + output[..., 1:].sum(-1))
    torch.testing.assert_close(METHOD.loss(output, None, reduction="mean"), output.sum(-1).mean())


def test_guessing_is_one_gaussian_and_any_segment():
    data, rows = recorded(), torch.arange(40)
    expected = -norm.logpdf(data.inputs.numpy()).sum(axis=1).mean() + math.log(4)
    assert METHOD.chance(data, rows, rows) == pytest.approx(expected)
