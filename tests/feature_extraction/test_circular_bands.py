"""Stationary bands against PyWavelets, continuous ones against the engine and their formula."""

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.feature_extraction._circular_bands import ContinuousTransform, StationaryTransform
from sklearn_dbt.nn import CWT

MODES = pywt.Modes.modes
each_wavelet = pytest.mark.parametrize("wavelet", ["morlet", "mexican_hat"])


def signals(n, seed=0, shape=(2, 3)):
    return np.random.default_rng(seed).normal(size=(*shape, n))


def continuous(wavelet="morlet", level=3, n_voices=4):
    return ContinuousTransform(wavelet, "periodization", level, n_voices)


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"periodization"}))
@pytest.mark.parametrize(("n", "level"), [(45, 4), (3, 3), (2, 2)])
def test_stationary_transform_extends_to_a_multiple(mode, n, level):
    x = signals(n)
    missing = -n % 2**level
    # One signal at a time, and both ends: some modes of pywt.pad cannot do without.
    pad = lambda row: pywt.pad(row, (missing, missing), mode)[missing:]  # noqa: E731
    extended = np.apply_along_axis(pad, -1, x)
    bands = StationaryTransform("db2", mode, level).analysis(x)
    expected = pywt.swt(extended, "db2", level, axis=-1, trim_approx=True)
    np.testing.assert_allclose(np.stack(bands), np.stack(expected), atol=1e-12)


def test_stationary_transform_extends_periodically_by_default():
    x = signals(5)
    extended = x[..., [0, 1, 2, 3, 4, 4, 0, 1]]
    bands = StationaryTransform("db2", "periodization", 2).analysis(x)
    expected = pywt.swt(extended, "db2", 2, axis=-1, trim_approx=True)
    np.testing.assert_allclose(np.stack(bands), np.stack(expected), atol=1e-12)


@pytest.mark.parametrize("wavelet", ["haar", "db4", "bior2.4", "sym20"])
@pytest.mark.parametrize(("n", "level"), [(2, 1), (24, 3), (64, 6)])
def test_stationary_synthesis_is_pywavelets(wavelet, n, level):
    bands = [signals(n, seed) for seed in range(level + 1)]
    transform = StationaryTransform(wavelet, "periodization", level)
    expected = pywt.iswt(bands, wavelet, axis=-1)
    np.testing.assert_allclose(transform.synthesis(bands, n), expected, atol=1e-11)
    alone = [None] * level + bands[-1:]
    zeros = [np.zeros_like(band) for band in bands[:-1]]
    expected = pywt.iswt([*zeros, bands[-1]], wavelet, axis=-1)
    np.testing.assert_allclose(transform.synthesis(alone, n), expected, atol=1e-11)


@each_wavelet
@pytest.mark.parametrize(("n", "level", "n_voices"), [(64, 2, 4), (51, 3, 8), (300, 5, 2)])
def test_continuous_bands_are_the_engines_scaled(wavelet, n, level, n_voices):
    x, transform = signals(n), continuous(wavelet, level, n_voices)
    bands = transform.analysis(x)
    f_max = 0.5 * 2 ** (-0.5 / n_voices)
    f_min = 0.5 * 2 ** (-level + 0.5 / n_voices)
    basis = CWT(n, wavelet, n_voices, f_min, f_max).double()
    expected = basis.analysis(torch.from_numpy(x)).unflatten(-1, (-1, n)).numpy()
    assert len(bands) == len(transform.names) == len(transform.edges) == expected.shape[-2]
    for k, band in enumerate(bands):
        ratio = band[0, 0, 0] / expected[0, 0, k, 0]
        np.testing.assert_allclose(band, ratio * expected[:, :, k], atol=1e-12)
    peaks = basis.frequencies.numpy()
    np.testing.assert_allclose(np.sqrt(transform.edges[1:].prod(axis=1)), peaks, rtol=1e-6)


@each_wavelet
def test_white_noise_has_unit_coefficients_in_every_continuous_band(wavelet):
    bands = continuous(wavelet, 5).analysis(signals(1024, shape=(200,)))
    power = [np.square(np.abs(band)).mean() for band in bands]
    # Narrow bands have few independent coefficients.
    np.testing.assert_allclose(power, 1, atol=0.12)
    np.testing.assert_allclose(power[-4:], 1, atol=0.02)


def test_a_morlet_coefficient_is_the_textbook_inner_product():
    n, transform = 256, continuous("morlet", 4, 4)
    x, t = signals(n, shape=()), np.arange(n)
    bands = transform.analysis(x)
    k = 8
    frequency = np.sqrt(transform.edges[k].prod())
    for centre in (60, 128):
        u = 2 * np.pi * frequency * (t - centre) / 6
        psi = np.exp(-0.5 * u**2) * np.exp(6j * u)
        psi /= np.linalg.norm(psi)
        assert bands[k][centre] == pytest.approx(np.vdot(psi, x), abs=1e-6)


@settings(max_examples=60)
@given(
    st.integers(2, 90),
    st.sampled_from(["morlet", "mexican_hat"]),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(0, 2**16),
)
def test_continuous_synthesis_inverts(n, wavelet, level, n_voices, seed):
    x, transform = signals(n, seed, (2,)), continuous(wavelet, min(level, n.bit_length()), n_voices)
    bands = transform.analysis(x)
    np.testing.assert_allclose(transform.synthesis(bands, n), x, atol=1e-9)
    components = transform.components(x)
    assert components.shape == (2, len(bands), n)
    np.testing.assert_allclose(components.sum(axis=1), x, atol=1e-12)
    lowest = transform.synthesis([bands[0], *[None] * (len(bands) - 1)], n)
    np.testing.assert_allclose(components[:, 0], lowest, atol=1e-9)


@each_wavelet
def test_a_wave_is_in_the_continuous_band_whose_edges_enclose_it(wavelet):
    transform, t = continuous(wavelet, 4, 3), np.arange(1024)
    edges = transform.edges
    assert (edges[0, 0], edges[-1, 1]) == (0, 0.5)
    np.testing.assert_array_equal(edges[1:, 0], edges[:-1, 1])
    # Broad wavelets reach into the band below them all, and beyond the Nyquist frequency.
    inner = slice(1, -3)
    for k, (low, high) in enumerate(edges[inner]):
        wave = np.cos(2 * np.pi * np.sqrt(low * high) * t)
        power = [np.square(np.abs(band)).mean() for band in transform.analysis(wave)]
        share = np.array(power) * np.diff(edges)[:, 0]
        assert np.argmax(share[inner]) == k


@each_wavelet
def test_a_shift_of_the_signal_shifts_continuous_bands(wavelet):
    x, transform = signals(64), continuous(wavelet)
    for band, shifted in zip(
        transform.analysis(x), transform.analysis(np.roll(x, 5, axis=-1)), strict=True
    ):
        np.testing.assert_allclose(shifted, np.roll(band, 5, axis=-1), atol=1e-12)


@each_wavelet
def test_single_precision_is_kept(wavelet):
    x, transform = signals(37).astype(np.float32), continuous(wavelet)
    bands = transform.analysis(x)
    expected = np.complex64 if wavelet == "morlet" else np.float32
    assert {band.dtype for band in bands} == {np.dtype(expected)}
    assert transform.synthesis(bands, 37).dtype == np.float32


def test_names_of_continuous_bands():
    assert continuous(level=1, n_voices=3).names == ["a1", "s3", "s2", "s1"]
    np.testing.assert_allclose(continuous(level=2, n_voices=1).edges[:, 1], [0.125, 0.25, 0.5])
