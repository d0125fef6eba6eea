"""The Hartley basis; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.basis import Hartley


@pytest.mark.parametrize("n", range(1, 34))
def test_matrix_is_the_definition_symmetric_and_its_own_inverse(n):
    k = np.arange(n)
    angle = 2 * np.pi * np.outer(k, k) / n
    expected = torch.from_numpy((np.cos(angle) + np.sin(angle)) / np.sqrt(n))
    eye = torch.eye(n, dtype=torch.float64)
    matrix = Hartley(n).analysis(eye)
    torch.testing.assert_close(matrix, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix @ matrix, eye, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [7, 12])
def test_pairs_of_coefficients_have_the_fourier_energy(n):
    x = np.random.default_rng(n).normal(size=n)
    c = Hartley(n).analysis(torch.from_numpy(x)).numpy()
    pairs = (c**2 + np.roll(c[::-1], 1) ** 2) / 2
    np.testing.assert_allclose(pairs, np.abs(np.fft.fft(x, norm="ortho")) ** 2, atol=1e-12)


def test_wave_is_found_at_its_frequency():
    n = 32
    basis, t = Hartley(n), torch.arange(n)
    for k in range(n // 2 + 1):
        c = basis.analysis(torch.cos(2 * math.pi * k * t / n + 0.3))
        assert basis.layout.frequency[c.abs() > 1e-4].unique().tolist() == pytest.approx([k / n])
