"""The mel basis; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.basis import STFT, Mel


def mel_filters(bins, f_min, f_max, n_mels):
    """Triangles of unit norm, one point at a time, by interpolation."""
    mel = np.linspace(*(1127 * np.log1p(np.array([f_min, f_max]) / 700)), n_mels + 2)
    edges = 700 * np.expm1(mel / 1127)
    rows = [np.interp(bins, edges[i : i + 3], [0, 1, 0], 0, 0) for i in range(n_mels)]
    return np.array([row / np.linalg.norm(row) for row in rows])


@pytest.mark.parametrize(
    ("n", "n_mels", "f_min", "f_max"), [(300, 8, 0.0, None), (301, 5, 40.0, 1500.0)]
)
def test_coefficients_are_pooled_spectra(n, n_mels, f_min, f_max):
    basis = Mel(n, 4000.0, n_mels, f_min, f_max, window_length=64, hop=16, n_fft=128)
    x = torch.randn(2, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    spectra = STFT(n, 64, 16, 128).analysis(x).unflatten(-1, (65, basis.n_frames))
    # mel(f) is 1127 log(1 + f / 700) up to the digits of 2595, which cancel.
    filters = mel_filters(np.arange(65) * 4000 / 128, f_min, f_max or 2000.0, n_mels)
    expected = np.einsum("bk,ikj->ibj", filters, spectra)
    c = basis.analysis(x).unflatten(-1, (n_mels, basis.n_frames))
    np.testing.assert_allclose(c, expected, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 31])
def test_synthesis_of_analysis_is_a_self_adjoint_contraction(n):
    basis = Mel(n, 100.0)
    seen = basis.synthesis(basis.analysis(torch.eye(n, dtype=torch.float64)))
    torch.testing.assert_close(seen, seen.T, rtol=0, atol=1e-12)
    eigenvalues = torch.linalg.eigvalsh(seen)
    assert eigenvalues.min() > -1e-12
    assert eigenvalues.max() < 1 + 1e-12
    assert eigenvalues.max() > 0.1
    assert eigenvalues.min() < 0.9


def test_synthesis_gives_the_spectra_of_least_squares():
    basis = Mel(64, 100.0, 4)
    shape = (2, 4, basis.n_frames)
    c = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    filters = mel_filters(np.arange(basis.stft.n_frequencies) * 100 / 16, 0.0, 50.0, 4)
    for one in c:
        spectra = np.linalg.lstsq(filters, one.numpy(), rcond=None)[0]
        expected = basis.stft.synthesis(torch.from_numpy(spectra).flatten())
        torch.testing.assert_close(basis.synthesis(one.flatten()), expected)


def test_tone_is_found_in_its_filter_and_loses_nothing_in_the_middle():
    basis = Mel(4096, 16000.0, 20, n_fft=512)
    frequency = basis.layout.frequency.unflatten(-1, (20, -1))[:, 0]
    t = torch.arange(4096)
    for band in (2, 9, 15):
        x = torch.cos(2 * math.pi * frequency[band] * t)
        energy = basis.analysis(x).abs().square().unflatten(-1, (20, -1)).sum(-1)
        assert energy.argmax() == band


def test_phases_do_not_cancel_within_a_filter():
    # An impulse at the centre of a frame has the same phase at all frequencies.
    basis = Mel(64, 100.0, 3, window_length=16, hop=8)
    x = torch.zeros(64, dtype=torch.float64)
    x[32] = 1.0
    c = basis.analysis(x).unflatten(-1, (3, -1))[:, 4]
    spectrum = basis.stft.analysis(x).unflatten(-1, (9, -1))[:, 4]
    expected = mel_filters(np.arange(9) * 100 / 16, 0.0, 50.0, 3) @ spectrum.abs().numpy()
    np.testing.assert_allclose(c, expected, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 64, 601])
def test_default_number_of_filters_has_a_frequency_for_each(n):
    basis = Mel(n, 16000.0)
    assert 1 <= basis.n_mels <= 40
    filters = mel_filters(
        np.arange(basis.stft.n_frequencies) * 16000 / basis.stft.n_fft, 0.0, 8000.0, basis.n_mels
    )
    assert np.isfinite(filters).all()


def test_repr():
    assert repr(Mel(64, 100.0, 3)) == "Mel(64, sampling_rate=100, n_mels=3)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampling_rate": 0.0}, "sampling_rate must be positive, in Hz, got 0.0"),
        ({"sampling_rate": math.inf}, "sampling_rate must be positive, in Hz, got inf"),
        ({"f_min": -1.0}, "0 <= f_min < f_max <= 50 Hz, got f_min=-1.0, f_max=50.0"),
        ({"f_min": 20.0, "f_max": 10.0}, "got f_min=20.0, f_max=10.0"),
        ({"f_max": 51.0}, "got f_min=0.0, f_max=51.0"),
        ({"n_mels": 0}, "n_mels must be an integer of at least 1, got 0"),
        ({"n_mels": 30}, "n_mels=30: between 0 and 50 Hz a mel filter has none of .* 6.25 Hz"),
        ({"f_max": 3.0}, "n_mels: between 0 and 3 Hz a mel filter has none"),
        ({"n_fft": 8}, "n_fft must be at least 16, the window, got 8"),
    ],
)
def test_wrong_choices_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mel(64, **{"sampling_rate": 100.0, **arguments})
