"""The Fourier basis; what every basis does is in test_properties.py."""

import math

import pytest
import torch

from sklearn_dbt.nn.basis import Fourier


@pytest.mark.parametrize("n", [7, 8])
def test_definition(n):
    x = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.arange(n, dtype=torch.float64)
    for k, c in enumerate(Fourier(n).analysis(x)):
        angle = 2 * math.pi * k * t / n
        expected = torch.complex((x * angle.cos()).sum(), -(x * angle.sin()).sum()) / math.sqrt(n)
        torch.testing.assert_close(c, expected)


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_layout(n):
    layout = Fourier(n).layout
    assert layout.frequency.tolist() == pytest.approx([k / n for k in range(n // 2 + 1)])
    assert layout.weight.sum() == n
    assert layout.weight[0] == 1
    assert layout.position.isnan().all()


@pytest.mark.parametrize("n", [31, 32])
def test_cosine_is_found_at_its_frequency(n):
    basis = Fourier(n)
    k = torch.arange(basis.n_coefficients)
    waves = torch.cos(2 * math.pi * basis.layout.frequency[:, None] * torch.arange(n))
    assert torch.equal(basis.analysis(waves).abs().argmax(-1), k)


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_imaginary_part_of_real_bins_is_ignored(n):
    basis = Fourier(n)
    c = torch.zeros(basis.n_coefficients, dtype=torch.complex128)
    c[basis.layout.weight == 1] = 1j
    assert not basis.synthesis(c).any()
