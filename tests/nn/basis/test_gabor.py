"""Gabor frames against SciPy's dual windows; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import ShortTimeFFT

from sklearn_dbt.nn.basis import Gabor


def gaussian(width, n_fft):
    return np.exp(-0.5 * ((np.arange(n_fft) - n_fft // 2) / width) ** 2)


@pytest.mark.parametrize("tight", [True, False])
@pytest.mark.parametrize(
    ("n", "width", "hop", "n_fft"), [(60, 2.5, 5, 20), (61, 3.0, 4, 21), (7, 2.0, 3, 16)]
)
def test_windows_are_the_canonical_ones(n, width, hop, n_fft, tight):
    basis = Gabor(n, width, hop, n_fft, tight)
    window = basis._window.numpy()
    ratio = window / gaussian(width, n_fft)
    if tight:  # g / √D is its own dual
        np.testing.assert_allclose(basis._dual, window, rtol=1e-12)
        np.testing.assert_allclose(ratio[hop:], ratio[:-hop], rtol=1e-12)
    else:
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    dual = ShortTimeFFT(window, hop, fs=1.0, mfft=n_fft).dual_win
    np.testing.assert_allclose(basis._dual, dual, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("n", [5, 16, 33])
@pytest.mark.parametrize("hop", [1, 3, 4])
def test_frame_bounds_are_the_extreme_gains(n, hop):
    basis = Gabor(n, 1.5, hop, 12, tight=False)
    matrix = basis.analysis(torch.eye(n, dtype=torch.float64)) * basis.layout.weight.double().sqrt()
    operator = (matrix @ matrix.conj().T).real
    diagonal = operator.diagonal()
    torch.testing.assert_close(operator, diagonal.diag(), rtol=0, atol=1e-12)
    expected = (diagonal.min().item(), diagonal.max().item())
    assert basis.frame_bounds == pytest.approx(expected, rel=1e-12)


def test_tight_window_is_nearly_the_gaussian():
    window, shape = Gabor(64, 4.0, 4, 32)._window, torch.from_numpy(gaussian(4.0, 32))
    cosine = window @ shape / (window.norm() * shape.norm())
    assert 0.9999 < cosine < 1


def test_layout_finds_a_burst():
    basis = Gabor(256, 8.0, 8, 64)
    t = torch.arange(256)
    x = torch.exp(-(((t - 120) / 10.0) ** 2)) * torch.cos(2 * math.pi * 0.25 * t)
    loudest = basis.analysis(x).abs().argmax()
    assert basis.layout.frequency[loudest] == 0.25
    assert basis.layout.position[loudest] == 120


def test_repr():
    expected = "Gabor(64, width=3.192, hop=6, n_fft=26, tight=True)"
    assert repr(Gabor(64)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0.0}, "width must be a positive number of samples, got 0.0"),
        ({"width": math.nan}, "width must be a positive number of samples, got nan"),
        ({"hop": 0}, "hop must be an integer of at least 1, got 0"),
        ({"n_fft": 0}, "n_fft must be an integer of at least 1, got 0"),
        ({"n_fft": 8, "hop": 9}, "Gaussians of width 1.784 over n_fft=8 samples every hop=9"),
        ({"width": 0.1, "hop": 2}, "leave samples unseen; take a smaller hop"),
    ],
)
def test_wrong_choices_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        Gabor(20, **arguments)
