"""The short-time Fourier basis against SciPy; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import ShortTimeFFT, get_window

from sklearn_dbt.nn.basis import STFT


def tight_window(window, hop):
    """A window over the root of the energy of all its shifts, from the definition."""
    shifts = [sum(window[m % hop :: hop] ** 2) for m in range(len(window))]
    return window / np.sqrt(shifts)


def scipy_stft(x, window, hop, n_fft):
    """SciPy's transform, in the middle of a signal that is repeated often enough."""
    n_frames = -(-len(x) // hop)
    period = np.pad(x, (0, n_frames * hop - len(x)))
    around = -(-len(window) // len(period)) + 1
    transform = ShortTimeFFT(window, hop, fs=1.0, mfft=n_fft, fft_mode="onesided", phase_shift=0)
    first = around * n_frames
    spectra = transform.stft(np.tile(period, 2 * around + 1), p0=first, p1=first + n_frames)
    return spectra.ravel() / math.sqrt(n_fft)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 80),
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(0, 9),
    st.sampled_from(["boxcar", "hamming", ("kaiser", 4.0)]),
    st.integers(0, 99),
)
def test_any_transform_is_scipys_and_keeps_the_energy(n, length, hop, more, window, seed):
    hop = min(hop, length)
    basis = STFT(n, length, hop, length + more, window)
    x = np.random.default_rng(seed).normal(size=n)
    c = basis.analysis(torch.from_numpy(x))
    tight = tight_window(get_window(window, length), hop)
    expected = scipy_stft(x, tight, hop, length + more)
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-12)
    energy = (basis.layout.weight * c.abs() ** 2).sum()
    assert energy.item() == pytest.approx((x**2).sum(), rel=1e-12)
    np.testing.assert_allclose(basis.synthesis(c), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "length"), [(1, 1), (2, 2), (3, 3), (10, 8), (100, 32), (601, 64)])
def test_defaults(n, length):
    basis = STFT(n)
    assert basis.window_length == basis.n_fft == length
    assert basis.hop == max(length // 2, 1)
    assert basis.n_coefficients == basis.n_frames * basis.n_frequencies


def test_plain_blocks_are_an_orthogonal_basis():
    assert STFT(24, 8, 8, window="boxcar").is_orthogonal
    assert not STFT(23, 8, 8, window="boxcar").is_orthogonal
    assert not STFT(24, 8, 4, window="boxcar").is_orthogonal
    assert not STFT(24, 8, 8, 9, window="boxcar").is_orthogonal


def test_own_window():
    window = np.random.default_rng(0).uniform(0.5, 1.0, size=6)
    x = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = STFT(20, hop=3, window=window)
    expected = scipy_stft(x.numpy(), tight_window(window, 3), 3, 6)
    np.testing.assert_allclose(basis.analysis(x), expected, atol=1e-12)
    assert torch.equal(STFT(20, 6, 3, window=list(window)).analysis(x), basis.analysis(x))


def test_layout_finds_a_burst():
    basis = STFT(256, 32, 8)
    t = torch.arange(256)
    x = torch.exp(-(((t - 120) / 10.0) ** 2)) * torch.cos(2 * math.pi * 0.25 * t)
    loudest = basis.analysis(x).abs().argmax()
    assert basis.layout.frequency[loudest] == 0.25
    assert basis.layout.position[loudest] == 120
    c = basis.analysis(x).unflatten(-1, (basis.n_frequencies, basis.n_frames))
    assert c.abs().amax(1).argmax() == 8
    assert c.abs().amax(0).argmax() == 15


def test_repr():
    assert repr(STFT(20, 6, 3)) == "STFT(20, 6, hop=3, n_fft=6)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_length": 0}, "window_length must be an integer of at least 1, got 0"),
        ({"hop": 0}, "hop must be an integer of at least 1, got 0"),
        ({"window_length": 8, "n_fft": 7}, "n_fft must be at least 8, the window, got 7"),
        ({"window_length": 4, "hop": 5}, "windows of 4 samples every hop=5 samples leave"),
        ({"window_length": 4, "hop": 4}, "windows of 4 samples every hop=4 samples leave"),
        ({"window": [[1.0, 2.0]]}, r"finite samples of shape \(window_length,\), got \(1, 2\)"),
        ({"window": [1.0, 2.0], "window_length": 3}, r"finite samples of shape \(3,\), got \(2,\)"),
        ({"window": [1.0, np.nan]}, "window must be a name or finite samples"),
        ({"window": "no such"}, "no such"),
    ],
)
def test_wrong_choices_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        STFT(20, **arguments)


def test_lengths_are_integers():
    with pytest.raises(TypeError, match="hop must be an integer of at least 1, got a float"):
        STFT(20, hop=2.0)
