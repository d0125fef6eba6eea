import pytest
import torch

from sklearn_dbt.nn.dropout import _kernels
from sklearn_dbt.nn.dropout._fused import words


def uniforms(seed, *shape):
    out = torch.empty(shape)
    _kernels.fill_(out, seed)
    return out


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 1), (2, 5, 8), (300, 33)])
def test_uniforms_are_the_words_of_the_torch_oracle(shape):
    for seed in (0, 1, 2**62 + 12345, 2**63 - 1):
        expected = (words(seed, shape) >> 8) / 2**24
        assert torch.equal(uniforms(seed, *shape).double(), expected.double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_scaling_is_the_formula(dtype, per_row, n):
    g = torch.Generator().manual_seed(n)
    c = torch.randn(4, 6, n, generator=g, dtype=dtype)
    rates = 0.9 * torch.rand((4, 6, n) if per_row else (n,), generator=g, dtype=c.real.dtype)
    rates[..., 0] = 0
    keep = words(5, c.shape) >= (rates.double() * 2**32).long()
    expected = c * (keep / (1 - rates))
    scaled = c.clone()
    _kernels.scale_(scaled, rates, 5)
    torch.testing.assert_close(scaled, expected, rtol=3e-7, atol=0)
    assert torch.equal(scaled[..., 0], c[..., 0])
    assert n == 1 or 0 < keep.double().mean() < 1


def test_threads_change_nothing(monkeypatch):
    c = torch.ones(7, 10)
    rates = torch.linspace(0, 0.9, 10)
    results = []
    for enough in (2**21, 1):
        monkeypatch.setattr(_kernels, "_ENOUGH", enough)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
        scaled = c.clone()
        _kernels.scale_(scaled, rates, 3)
        results.append(torch.stack([scaled, uniforms(3, 7, 10)]))
    assert torch.equal(*results)


# Whether the numbers are random


def test_moments_and_frequencies():
    u = uniforms(11, 1000, 1001).double()
    n = u.numel()
    assert abs(u.mean() - 0.5) < 4.5 / (12 * n) ** 0.5
    assert abs(u.var() - 1 / 12) < 4.5 / (180 * n) ** 0.5
    counts = torch.histc(u, bins=1024, min=0, max=1)
    chi_square = (counts - n / 1024).square().sum() / (n / 1024)
    assert abs(chi_square - 1023) < 4.5 * (2 * 1023) ** 0.5
    # The same for each coefficient by itself.
    assert ((u.mean(0) - 0.5).abs() < 5 / (12 * 1000) ** 0.5).all()


def correlation(a, b):
    a, b = a.double() - 0.5, b.double() - 0.5
    return float(12 * (a * b).mean() * a.numel() ** 0.5)  # standard normal if independent


def test_neighbours_rows_and_halves_are_not_correlated():
    u = uniforms(12, 1000, 1000)
    for lag in (1, 2, 3, 7, 64, 500):
        assert abs(correlation(u[:, lag:], u[:, :-lag])) < 4.5
        assert abs(correlation(u[lag:], u[:-lag])) < 4.5
    pairs = (4 * u).floor()[:, ::2].long() * 4 + (4 * u).floor()[:, 1::2].long()
    counts = pairs.flatten().bincount(minlength=16).double()
    assert ((counts - counts.mean()).square().sum() / counts.mean() - 15).abs() < 4.5 * 30**0.5


def test_passes_are_not_correlated():
    rows = torch.stack([uniforms(seed, 40, 50).flatten() for seed in range(300)]).double() - 0.5
    z = 12 * (rows @ rows.T) / 2000**0.5
    z = z[tuple(torch.triu_indices(300, 300, 1))]
    assert z.abs().max() < 5.5  # of 44 850
    assert abs(z.var() - 1) < 4.5 * (2 / len(z)) ** 0.5


@pytest.mark.parametrize("p", [1e-5, 0.001, 0.3, 0.5, 0.95])
def test_coefficients_are_dropped_at_their_rate(p):
    c = torch.ones(2000, 1000)
    _kernels.scale_(c, torch.full((1000,), p), 21)
    n = c.numel()
    dropped = float((c == 0).double().mean())
    assert abs(dropped - p) < 4.5 * (p * (1 - p) / n) ** 0.5
    assert abs(c.double().mean() - 1) < 4.5 * (p / (1 - p) / n) ** 0.5
