"""The continuous wavelet basis against its definition; the rest is in test_properties.py."""

import math

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.basis import CWT


def morlet(t):
    bump = np.exp(1j * 6 * t) - np.exp(-18.0)
    return np.exp(-(t**2) / 2) * bump / math.sqrt(2 * math.pi)


def mexican_hat(t):
    return (1 - t**2) * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize(
    # The Morlet wavelet proper is analytic but for 1e-8 of it.
    ("name", "psi", "centre", "tolerance"),
    [("morlet", morlet, 6.0, 1e-7), ("mexican_hat", mexican_hat, math.sqrt(2), 1e-10)],
)
@pytest.mark.parametrize("n", [60, 61])
def test_coefficients_are_circular_correlations_with_the_wavelet(name, psi, centre, tolerance, n):
    basis = CWT(n, name, n_voices=3, f_min=0.03, f_max=0.08)
    x = np.random.default_rng(n).normal(size=n)
    c = basis.analysis(torch.from_numpy(x)).unflatten(-1, (-1, n))
    hat = {"morlet": lambda w: np.exp(-((w - 6) ** 2) / 2) - np.exp(-(w**2) / 2 - 18)}.get(
        name, lambda w: w**2 * np.exp(-(w**2) / 2)
    )
    total = sum(hat(centre * 2 ** (i / 3)) ** 2 for i in range(-40, 40))
    t = np.arange(-10 * n, 10 * n)
    for row, frequency in zip(c[1:].numpy(), basis.frequencies.tolist(), strict=True):
        scale = centre / (2 * math.pi * frequency)
        # Its Fourier transform is that of ψ at s ω: psi(t / s) / s, all periods together.
        wavelet = (psi(t / scale) / scale).reshape(-1, n).sum(0)
        expected = [np.dot(x, np.roll(wavelet[::-1], s + 1)) for s in range(n)]
        np.testing.assert_allclose(row, np.array(expected) / math.sqrt(total), atol=tolerance)


def test_scales_are_geometric_down_to_the_lowest():
    basis = CWT(256, n_voices=4, f_min=0.025, f_max=0.4)
    expected = 0.4 * 2.0 ** (-np.arange(16, -1, -1) / 4)
    np.testing.assert_allclose(basis.frequencies, expected)
    frequency = basis.layout.frequency.unflatten(-1, (-1, 256))[:, 0]
    np.testing.assert_allclose(frequency, [0.0125, *expected], rtol=1e-6)
    scale = basis.layout.scale.unflatten(-1, (-1, 256))[:, 0]
    assert scale.tolist() == [17, *range(17, 0, -1)]


@pytest.mark.parametrize("n", [1, 2, 3, 100])
def test_default_band_reaches_down_to_two_periods(n):
    lowest = CWT(n).frequencies[0]
    assert lowest >= min(2 / n, 0.4) * (1 - 1e-12)
    assert lowest <= min(2 / n, 0.4) * 2**0.25


@pytest.mark.parametrize("wavelet", ["morlet", "mexican_hat"])
def test_gain_is_even_between_the_ends(wavelet):
    # Together the scales and what lies below have the same gain at every lower frequency.
    basis = CWT(1000, wavelet, f_min=0.02)
    t = torch.arange(1000, dtype=torch.float64)
    frequency = torch.tensor([0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05], dtype=torch.float64)
    waves = torch.cos(2 * math.pi * frequency[:, None] * t)
    energy = (basis.layout.weight * basis.analysis(waves).abs() ** 2).sum(-1)
    torch.testing.assert_close(
        energy / (waves**2).sum(-1), torch.ones(7, dtype=torch.float64), rtol=0, atol=3e-3
    )


@pytest.mark.parametrize("wavelet", ["morlet", "mexican_hat"])
@pytest.mark.parametrize("lowpass", [True, False])
@pytest.mark.parametrize("n", [1, 6, 9])
def test_frame_bounds_are_the_extreme_gains(wavelet, lowpass, n):
    basis = CWT(n, wavelet, lowpass=lowpass)
    matrix = basis.analysis(torch.eye(n, dtype=torch.float64))
    matrix = matrix * basis.layout.weight.double().sqrt()
    gains = torch.linalg.eigvalsh((matrix @ matrix.conj().T).real)
    expected = (gains.min().item(), gains.max().item())
    assert basis.frame_bounds == pytest.approx(expected, abs=1e-12)
    assert basis.is_invertible == lowpass


def test_without_the_low_pass_only_the_mean_is_lost():
    basis = CWT(64, "mexican_hat", f_min=1 / 64, lowpass=False)
    x = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x - x.mean())


def test_tone_is_found_at_its_scale():
    basis, t = CWT(256), torch.arange(256)
    for band in (3, 10, 15):
        wave = torch.cos(2 * math.pi * basis.frequencies[band] * t)
        energy = basis.analysis(wave).abs().square().unflatten(-1, (-1, 256))[:, 100:150].sum(-1)
        assert energy.argmax() == band + 1


def test_repr():
    expected = "CWT(64, wavelet='morlet', n_voices=4, lowpass=True)"
    assert repr(CWT(64)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wavelet": "db4"}, "wavelet must be one of 'morlet', 'mexican_hat'; got 'db4'"),
        ({"n_voices": 0}, "n_voices must be an integer of at least 1, got 0"),
        ({"f_min": 0.0}, "0 < f_min <= f_max <= 0.5 cycles per sample, got f_min=0.0, f_max=0.4"),
        ({"f_min": 0.45}, "got f_min=0.45, f_max=0.4"),
        ({"f_max": 0.6}, "got f_min=None, f_max=0.6"),
        ({"f_max": math.nan}, "got f_min=None, f_max=nan"),
    ],
)
def test_wrong_choices_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        CWT(64, **arguments)
