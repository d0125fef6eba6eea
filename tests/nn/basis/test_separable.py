"""Products of bases, range and Doppler; what every basis does is in test_properties.py."""

import copy

import numpy as np
import pytest
import scipy.fft
import torch

from sklearn_dbt.nn.basis import (
    DCT,
    DWT,
    PCA,
    Fourier,
    Identity,
    RangeDoppler,
    Separable,
    SpatialDFT,
)


def signals(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def matrix(basis):
    eye = torch.eye(basis.n_features, dtype=torch.float64)
    return basis.analysis(eye).T


def test_scipy_multidimensional_dct():
    x, basis = signals(3, 4 * 5 * 2), Separable([DCT(4), DCT(5), DCT(2)])
    expected = scipy.fft.dctn(x.numpy().reshape(3, 4, 5, 2), axes=(1, 2, 3), norm="ortho")
    np.testing.assert_allclose(basis.analysis(x), expected.reshape(3, -1), atol=1e-12)
    assert (basis.shape, basis.coefficient_shape) == ((4, 5, 2), (4, 5, 2))
    assert basis.is_orthogonal
    assert not basis.takes_complex


@pytest.mark.parametrize("bases", [(DCT(4), DWT(5, "db2")), (DWT(6, "haar"), Identity(3), DCT(2))])
def test_kronecker_product(bases):
    expected = matrix(bases[0])
    for basis in bases[1:]:
        expected = torch.kron(expected, matrix(basis))
    torch.testing.assert_close(matrix(Separable(bases)), expected)


def test_numpy_two_dimensional_spectrum_of_real_signals():
    x, basis = signals(3, 6 * 8), Separable([SpatialDFT(6), Fourier(8)])
    c = basis.analysis(x)
    expected = np.fft.rfft2(x.numpy().reshape(3, 6, 8), norm="ortho")
    np.testing.assert_allclose(c, expected.reshape(3, -1), atol=1e-12)
    assert basis.is_complex
    assert basis.is_orthogonal
    assert not basis.takes_complex
    energy = (basis.layout.weight * c.abs().square()).sum(-1)
    torch.testing.assert_close(energy, x.square().sum(-1))
    torch.testing.assert_close(basis.synthesis(c), x)
    mask = torch.rand(basis.n_coefficients, generator=torch.Generator().manual_seed(2))
    assert basis.synthesis(mask * c).dtype == torch.float64


def test_real_members_act_on_both_parts_of_complex_signals():
    x = signals(3, 6 * 4, dtype=torch.complex128)
    basis = Separable([DCT(6), SpatialDFT(4)])
    assert basis.takes_complex
    grid = np.fft.fft(x.numpy().reshape(3, 6, 4), norm="ortho")
    expected = scipy.fft.dct(grid.real, axis=1, norm="ortho") + 1j * scipy.fft.dct(
        grid.imag, axis=1, norm="ortho"
    )
    np.testing.assert_allclose(basis.analysis(x), expected.reshape(3, -1), atol=1e-12)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


def test_layout_has_what_members_know():
    basis = Separable([DWT(4, "haar", level=1), Identity(3)])
    layout = basis.layout
    assert layout.scale.reshape(4, 3)[:, 1].tolist() == basis.bases[0].layout.scale.tolist()
    assert layout.frequency.reshape(4, 3)[2].tolist() == [0.375] * 3
    assert layout.position.isnan().all()  # both have one
    assert Separable([DCT(2), Identity(3)]).layout.position.tolist() == [0, 1, 2, 0, 1, 2]
    assert Separable([DWT(2, "haar"), DWT(2, "haar")]).layout.scale.tolist() == [0] * 4
    weights = Separable([DCT(2), Fourier(4)]).layout.weight
    assert weights.tolist() == [1.0, 2.0, 1.0] * 2


def test_frequency_is_the_highest_or_that_of_an_axis():
    low, high = [0.0, 0.25], [0.0, 0.25, -0.5, -0.25]
    bases = [DCT(2), SpatialDFT(4)]
    frequency = Separable(bases).layout.frequency
    assert frequency.tolist() == [max(abs(a), abs(b)) for a in low for b in high]
    frequency = Separable(bases, frequency_axis=1).layout.frequency
    assert frequency.tolist() == high * 2
    assert Separable([Identity(2), SpatialDFT(4)]).layout.frequency.tolist() == high * 2
    for axis in (0, 2, -1, "1"):
        with pytest.raises(ValueError, match=r"frequency_axis .* with frequencies, \[1\], got"):
            Separable([Identity(2), SpatialDFT(4)], frequency_axis=axis)


def test_members_that_adapt_get_the_moments_along_their_axis():
    mixing = signals(12, 12, seed=3)
    x = signals(40, 12, seed=4) @ mixing + signals(12, seed=5)
    basis, one, two = Separable([PCA(3), PCA(4)]), PCA(3), PCA(4)
    basis.update_from_moments(x.mean(0), torch.cov(x.T, correction=0))
    one.fit(x.reshape(40, 3, 4).movedim(1, 2))
    left = one.analysis(x.reshape(40, 3, 4).movedim(1, 2)).movedim(2, 1)
    two.fit(left)
    torch.testing.assert_close(basis.bases[0].components, one.components)
    torch.testing.assert_close(basis.bases[0].mean, one.mean)
    torch.testing.assert_close(basis.bases[1].components, two.components)
    torch.testing.assert_close(basis.bases[1].mean, two.mean)
    torch.testing.assert_close(basis.analysis(x), two.analysis(left).reshape(40, 12))
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


def test_members_adapt_beside_complex_ones():
    x = signals(30, 6, seed=6) @ signals(6, 6, seed=7)
    basis = Separable([SpatialDFT(3), PCA(2)])
    basis.update_from_moments(x.mean(0), torch.cov(x.T, correction=0))
    pca = PCA(2).fit(x.reshape(30, 3, 2))
    torch.testing.assert_close(basis.bases[1].components, pca.components)
    assert basis.needs_covariance
    assert not basis.takes_complex
    y = basis.synthesis(basis.analysis(x))
    torch.testing.assert_close(y, x)


def test_wrong_moments_change_nothing():
    basis = Separable([PCA(2), DCT(2)])
    before = copy.deepcopy(basis.state_dict())
    for mean, covariance in ((torch.zeros(3), torch.eye(4)), (torch.full((4,), torch.inf),) * 2):
        with pytest.raises(ValueError, match=r"Separable.update_from_moments: \w+ "):
            basis.update_from_moments(mean, covariance)
    assert all(torch.equal(value, before[name]) for name, value in basis.state_dict().items())


def test_two_half_spectra_are_refused():
    with pytest.raises(ValueError, match=r"at most 1 complex basis .* got 2: axes \[0, 2\]"):
        Separable([Fourier(4), DCT(2), Fourier(4)])


# --- range and Doppler ---------------------------------------------------------------------------


@pytest.mark.parametrize(("n_pulses", "n_range"), [(1, 1), (8, 5), (7, 3), (1, 4)])
@pytest.mark.parametrize("range_transform", [False, True])
def test_numpy_doppler_spectrum(n_pulses, n_range, range_transform):
    basis = RangeDoppler(n_pulses, n_range, range_transform)
    x = signals(2, n_pulses * n_range, dtype=torch.complex128)
    data = x.numpy().reshape(2, n_pulses, n_range)
    expected = np.fft.fft(data, axis=1, norm="ortho")
    if range_transform:
        expected = np.fft.fft(expected, axis=2, norm="ortho")
    c = basis.analysis(x)
    np.testing.assert_allclose(c, expected.reshape(2, -1), atol=1e-12)
    torch.testing.assert_close(basis.synthesis(c), x)
    torch.testing.assert_close(c.abs().square().sum(-1), x.abs().square().sum(-1))
    assert basis.is_orthogonal


def test_doppler_layout():
    layout = RangeDoppler(4, 3).layout
    np.testing.assert_allclose(layout.frequency, np.repeat(np.fft.fftfreq(4), 3))
    assert layout.position.tolist() == [0, 1, 2] * 4
    layout = RangeDoppler(4, 3, range_transform=True).layout
    np.testing.assert_allclose(layout.frequency, np.repeat(np.fft.fftfreq(4), 3))
    assert layout.position.isnan().all()


def test_a_moving_target_lies_at_its_doppler_frequency_and_range():
    pulses = torch.arange(16, dtype=torch.float64)
    data = torch.zeros(16, 5, dtype=torch.complex128)
    data[:, 3] = torch.polar(torch.ones_like(pulses), -2 * torch.pi * 0.1875 * pulses)
    basis = RangeDoppler(16, 5)
    strongest = basis.analysis(data.flatten()).abs().argmax()
    assert basis.layout.frequency[strongest].item() == -0.1875
    assert basis.layout.position[strongest].item() == 3


def test_radar_dimensions_are_checked():
    with pytest.raises(ValueError, match="n_pulses must be an integer of at least 1, got 0"):
        RangeDoppler(0, 3)
    with pytest.raises(TypeError, match="n_range must be an integer of at least 1, got a float"):
        RangeDoppler(3, 2.0)


def test_repr():
    assert repr(Separable([DCT(2), DCT(4)])) == "Separable(8, DCT(2) x DCT(4))"
    assert repr(RangeDoppler(8, 2)) == "RangeDoppler(n_pulses=8, n_range=2, range_transform=False)"
