"""Transforms in sequence; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import scipy.fft
import torch

from sklearn_dbt.nn.basis import (
    DCT,
    DWT,
    PCA,
    Choice,
    Composition,
    Fourier,
    Identity,
    Separable,
    SpatialDFT,
    Stack,
)


def signals(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def dct(x):
    return scipy.fft.dct(x, norm="ortho")


def test_scipy_transform_of_a_transform():
    x, basis = signals(3, 9), Composition(DCT(9), DCT(9))
    np.testing.assert_allclose(basis.analysis(x), dct(dct(x.numpy())), atol=1e-12)
    assert basis.is_orthogonal


def test_real_second_acts_on_both_parts_of_a_spectrum():
    x, basis = signals(3, 9), Composition(Fourier(9), DCT(5))
    spectrum = np.fft.rfft(x.numpy(), norm="ortho")
    c = basis.analysis(x)
    np.testing.assert_allclose(c, dct(spectrum.real) + 1j * dct(spectrum.imag), atol=1e-12)
    torch.testing.assert_close(basis.synthesis(c), x)
    assert basis.is_complex
    assert not basis.is_orthogonal  # multiplicities got mixed up
    assert not basis.takes_complex


def test_complex_second_of_a_spectrum():
    x, basis = signals(3, 9), Composition(Fourier(9), SpatialDFT(5))
    expected = np.fft.fft(np.fft.rfft(x.numpy(), norm="ortho"), norm="ortho")
    np.testing.assert_allclose(basis.analysis(x), expected, atol=1e-12)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


def test_complex_signals_go_through():
    x, basis = signals(3, 8, dtype=torch.complex128), Composition(SpatialDFT(8), DWT(8, "haar"))
    assert basis.takes_complex
    assert basis.is_orthogonal
    c = basis.analysis(x)
    torch.testing.assert_close(c.abs().square().sum(-1), x.abs().square().sum(-1))
    torch.testing.assert_close(basis.synthesis(c), x)


def test_signals_stay_real_where_the_second_could_take_complex_ones():
    basis = Composition(DCT(6), SpatialDFT(6))
    assert basis.is_orthogonal
    assert not basis.takes_complex
    mask = torch.rand(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = signals(3, 6)
    assert basis.synthesis(mask * basis.analysis(x)).dtype == torch.float64
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


def test_layout_has_the_mean_frequency_of_the_spectrum():
    first, second = DCT(12), DWT(12, "db2")
    share = second.analysis(torch.eye(12, dtype=torch.float64)).square()
    expected = (first.layout.frequency.double() @ share) / share.sum(0)
    layout = Composition(first, second).layout
    torch.testing.assert_close(layout.frequency.double(), expected, rtol=1e-6, atol=1e-7)
    assert layout.position.isnan().all()
    assert (layout.scale == 0).all()


def test_layout_of_a_long_one_is_the_same_in_parts():
    second = DWT(601, "haar", level=1)
    position = Composition(Identity(601), second).layout.position
    share = second.analysis(torch.eye(601, dtype=torch.float64)).square()
    expected = (torch.arange(601).double() @ share) / share.sum(0)
    expected[-1] = 300.0  # the detail of the last sample's own copy is always 0
    torch.testing.assert_close(position.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("second", [PCA(8), Choice([DCT(8), Identity(8)])])
def test_layout_says_nothing_where_the_second_may_change(second):
    assert Composition(DCT(8), second).layout.frequency.isnan().all()


def test_both_adapt_to_the_moments_of_what_they_see():
    x = signals(40, 6, seed=1) @ signals(6, 6, seed=2) + signals(6, seed=3)
    moments = x.mean(0), torch.cov(x.T)
    basis = Composition(Separable([PCA(2), DCT(3)]), PCA(6))
    assert basis.needs_covariance
    basis.update_from_moments(*moments)
    first = Separable([PCA(2), DCT(3)])
    first.update_from_moments(*moments)
    second = PCA(6).fit(first.analysis(x))
    torch.testing.assert_close(basis.second.components, second.components)
    torch.testing.assert_close(basis.analysis(x), second.analysis(first.analysis(x)))
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    variance = basis.analysis(x).var(0)
    torch.testing.assert_close(variance, basis.second.eigenvalues)


def test_wrong_moments_change_nothing():
    basis = Composition(PCA(2), PCA(2))
    with pytest.raises(ValueError, match=r"Composition.update_from_moments: mean must have shape"):
        basis.update_from_moments(torch.zeros(3), torch.eye(2))
    assert torch.equal(basis.first.components, torch.eye(2, dtype=torch.float64))


def test_a_composition_of_stacks():
    x, basis = signals(2, 4), Composition(Stack([DCT(4), Identity(4)]), DCT(8))
    expected = dct(np.concatenate([dct(x.numpy()), x.numpy()], -1) / np.sqrt(2))
    np.testing.assert_allclose(basis.analysis(x), expected, atol=1e-12)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    assert not basis.is_orthogonal


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (DCT(4), "second must be for signals of 5 samples, .* got n_features=4"),
        (Fourier(5), "complex transform of real signals"),
        (PCA(5), "adapts to moments of real signals"),
    ],
)
def test_a_second_that_does_not_fit_is_refused(second, message):
    with pytest.raises(ValueError, match=message):
        Composition(Fourier(8), second)


def test_repr():
    assert repr(Composition(DCT(8), PCA(8))) == "Composition(DCT(8), PCA(8))"
