"""The cosine basis; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import scipy.fft
import torch

from sklearn_dbt.nn.basis import DCT


@pytest.mark.parametrize("n", range(1, 34))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_scipy(n, dtype, tolerance):
    x = np.random.default_rng(n).normal(size=(3, n)).astype(dtype)
    c = DCT(n).analysis(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(c, scipy.fft.dct(x, norm="ortho"), atol=tolerance)
    y = DCT(n).synthesis(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, scipy.fft.idct(x, norm="ortho"), atol=tolerance)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_matrix_is_the_definition_and_orthogonal(n):
    k, t = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
    matrix = math.sqrt(2 / n) * torch.cos(math.pi * k * (2 * t + 1) / (2 * n))
    matrix[0] /= math.sqrt(2)
    eye = torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(DCT(n).analysis(eye), matrix.T)
    torch.testing.assert_close(matrix @ matrix.T, eye)


def test_layout():
    layout = DCT(5).layout
    assert layout.frequency.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert layout.weight.tolist() == [1.0] * 5


def test_half_period_cosine_is_found_at_its_frequency():
    n = 32
    basis = DCT(n)
    t = torch.arange(n) + 0.5
    waves = torch.cos(2 * math.pi * basis.layout.frequency[:, None] * t)
    assert torch.equal(basis.analysis(waves).abs().argmax(-1), torch.arange(n))
