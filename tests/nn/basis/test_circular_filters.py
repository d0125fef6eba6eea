"""Circular filters against convolution by hand; the bases made of them have tests of their own."""

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.basis._circular_filters import CircularFilters


def bank(n):
    rng = np.random.default_rng(n)
    return rng.normal(size=(3, n // 2 + 1)) + 1j * rng.normal(size=(3, n // 2 + 1))


def circular_matrix(response, n, analytic):
    """The filter as a matrix: its impulse response, shifted round."""
    full = np.zeros(n, dtype=complex)
    full[: n // 2 + 1] = response
    if not analytic:
        shared = [0] if n % 2 else [0, n // 2]  # the mean and the Nyquist frequency are real
        full[shared] = full[shared].real
        full[n // 2 + 1 :] = full[1 : (n + 1) // 2][::-1].conj()
    impulse = np.fft.ifft(full)
    return np.array([[impulse[(t - s) % n] for s in range(n)] for t in range(n)])


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("analytic", [False, True])
def test_analysis_is_circular_convolution(n, analytic):
    responses = bank(n)
    x = np.random.default_rng(0).normal(size=n)
    expected = [circular_matrix(r, n, analytic) @ x for r in responses]
    c = CircularFilters(n, responses, analytic=analytic).analysis(torch.from_numpy(x))
    np.testing.assert_allclose(c, np.concatenate(expected), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("analytic", [False, True])
def test_synthesis_is_the_canonical_dual_and_bounds_are_extreme_gains(n, analytic):
    responses = np.abs(bank(n)) + 0.1
    filters = CircularFilters(n, responses, analytic=analytic)
    matrix = filters.analysis(torch.eye(n, dtype=torch.float64)).T
    if analytic:  # as a matrix of real numbers, twice for the conjugates
        matrix = np.sqrt(2) * torch.cat([matrix.real, matrix.imag])
    gains = torch.linalg.svdvals(matrix).square()
    assert filters.frame_bounds == pytest.approx((gains.min().item(), gains.max().item()))
    assert filters.sees_all
    c = torch.randn(3, 3 * n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    c = torch.complex(c, c.flip(-1)) if analytic else c
    stacked = np.sqrt(2) * torch.cat([c.real, c.imag], dim=-1) if analytic else c
    expected = stacked @ torch.linalg.pinv(matrix).T
    torch.testing.assert_close(filters.synthesis(c), expected)


def test_what_has_no_gain_stays_away():
    responses = np.ones((2, 5))
    responses[:, 3] = 0.0
    filters = CircularFilters(8, responses)
    assert not filters.sees_all
    assert filters.frame_bounds == pytest.approx((0.0, 2.0))
    x = torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(x)
    spectrum[3] = 0
    torch.testing.assert_close(filters.synthesis(filters.analysis(x)), torch.fft.irfft(spectrum))


def test_no_gain_at_all_is_not_divided_by():
    filters = CircularFilters(4, np.zeros((1, 3)))
    assert torch.equal(filters.synthesis(torch.ones(4)), torch.zeros(4))
    assert not filters.sees_all


def test_given_duals_are_taken():
    responses = np.array([[1.0, 1.0], [1.0, -1.0]])
    duals = np.array([[1.0, 1.0], [0.0, 0.0]])
    filters = CircularFilters(2, responses, duals)
    c = torch.tensor([1.0, 2.0, 7.0, -5.0])
    torch.testing.assert_close(filters.synthesis(c), c[:2])
