"""Bands against PyWavelets' own transforms, one recording at a time."""

import warnings

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.feature_extraction._transform_choice import TRANSFORMS
from sklearn_dbt.feature_extraction._wavelet_bands import MANY

MODES = pywt.Modes.modes
DISCRETE = ("dwt", "swt", "packet")
each = pytest.mark.parametrize("name", DISCRETE)


def signals(n, seed=0, shape=(2, 3)):
    return np.random.default_rng(seed).normal(size=(*shape, n))


def reference(name, x, wavelet, mode, level):
    """Bands of one signal by PyWavelets' public transforms."""
    if name == "swt":
        return pywt.swt(x, wavelet, level, trim_approx=True)
    if name == "packet":
        packet = pywt.WaveletPacket(x, wavelet, mode, maxlevel=level)
        return [node.data for node in packet.get_level(level, order="freq")]
    with warnings.catch_warnings():  # PyWavelets warns of boundary effects
        warnings.simplefilter("ignore")
        return pywt.wavedec(x, wavelet, mode, level)


@each
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "level"), [(48, 1), (48, 3), (64, 4), (8, 3)])
@pytest.mark.parametrize("wavelet", ["haar", "db4", "bior2.4"])
def test_bands_are_pywavelets(name, mode, n, level, wavelet):
    x = signals(n)
    bands = TRANSFORMS[name](wavelet, mode, level).analysis(x)
    for i in np.ndindex(x.shape[:-1]):
        expected = reference(name, x[i], wavelet, mode, level)
        assert len(bands) == len(expected)
        for band, other in zip(bands, expected, strict=True):
            np.testing.assert_allclose(band[i], other, atol=1e-10)


@st.composite
def transforms(draw):
    n = draw(st.integers(2, 70))
    level = draw(st.integers(1, min(n.bit_length(), 5)))
    wavelet = draw(st.sampled_from(["haar", "db4", "sym7", "coif3", "bior3.3", "rbio1.5"]))
    name, mode = draw(st.sampled_from(DISCRETE)), draw(st.sampled_from(MODES))
    return n, TRANSFORMS[name](wavelet, mode, level)


@settings(max_examples=150)
@given(transforms(), st.integers(0, 2**16))
def test_synthesis_inverts_and_components_are_additive(case, seed):
    n, transform = case
    x = signals(n, seed, (2,))
    bands = transform.analysis(x)
    assert len(bands) == len(transform.names) == len(transform.edges)
    # Extrapolating modes grow where filters are longer than the signal.
    scale = max(np.abs(band).max() for band in bands) + 1
    np.testing.assert_allclose(transform.synthesis(bands, n), x, atol=1e-11 * scale)
    components = transform.components(x)
    assert components.shape == (2, len(bands), n)
    np.testing.assert_allclose(components.sum(axis=1), x, atol=1e-12 * scale)
    alone = [bands[0], *[None] * (len(bands) - 1)]
    lowest = transform.synthesis(alone, n)
    np.testing.assert_allclose(components[:, 0], lowest, atol=1e-10 * scale)


@pytest.mark.parametrize(("name", "kind"), [("dwt", "dwt"), ("swt", "swt")])
@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym5"])
def test_components_are_pywavelets_multiresolution_analysis(name, kind, wavelet):
    x = signals(128)
    components = TRANSFORMS[name](wavelet, "periodization", 3).components(x)
    expected = pywt.mra(x, wavelet, 3, axis=-1, transform=kind, mode="periodization")
    np.testing.assert_allclose(components, np.stack(expected, axis=-2), atol=1e-10)


@each
@pytest.mark.parametrize("wavelet", ["dmey", "db20"])
def test_components_sum_to_the_input_whatever_the_filter(name, wavelet):
    x = signals(50)
    components = TRANSFORMS[name](wavelet, "symmetric", 2).components(x)
    np.testing.assert_allclose(components.sum(axis=-2), x, atol=1e-12)


@each
def test_single_precision_is_kept(name):
    x = signals(37).astype(np.float32)
    transform = TRANSFORMS[name]("db2", "smooth", 2)
    bands = transform.analysis(x)
    assert {band.dtype for band in bands} == {np.dtype(np.float32)}
    assert transform.synthesis(bands, 37).dtype == np.float32
    assert transform.components(x).dtype == np.float32


@each
def test_a_wave_is_in_the_band_whose_edges_enclose_it(name):
    transform, t = TRANSFORMS[name]("db10", "symmetric", 3), np.arange(512)
    edges = transform.edges
    assert edges[0, 0] == 0
    assert edges[-1, 1] == 0.5
    np.testing.assert_array_equal(edges[1:, 0], edges[:-1, 1])
    for k, centre in enumerate(edges.mean(axis=1)):
        component = transform.components(np.hanning(512) * np.cos(2 * np.pi * centre * t))
        assert np.argmax((component**2).sum(axis=-1)) == k


def test_names():
    assert TRANSFORMS["dwt"]("haar", "zero", 3).names == ["a3", "d3", "d2", "d1"]
    assert TRANSFORMS["swt"]("haar", "zero", 1).names == ["a1", "d1"]
    names = TRANSFORMS["packet"]("haar", "zero", 3).names
    packet = pywt.WaveletPacket(np.zeros(8), "haar", maxlevel=3)
    assert names == [node.path for node in packet.get_level(3, order="freq")]


@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("wavelet", ["db4", "bior2.4"])
def test_many_samples_by_the_engine_are_pywavelets(mode, dtype, wavelet):
    x = signals(1001, shape=(30, 10)).astype(dtype)
    assert x.size >= MANY
    bands = TRANSFORMS["dwt"](wavelet, mode, 4).analysis(x)
    expected = pywt.wavedec(x, wavelet, mode, 4, axis=-1)
    for band, other in zip(bands, expected, strict=True):
        assert band.dtype == dtype
        np.testing.assert_allclose(band, other, atol=1e-12 if dtype == np.float64 else 2e-5)


def test_many_samples_that_are_read_only_or_not_in_order():
    x = signals(1001, shape=(10, 30)).swapaxes(0, 1)
    x.flags.writeable = False
    bands = TRANSFORMS["dwt"]("db2", "symmetric", 3).analysis(x)
    expected = pywt.wavedec(x, "db2", "symmetric", 3, axis=-1)
    np.testing.assert_allclose(bands[0], expected[0], atol=1e-12)


def test_filters_may_be_given_themselves():
    x, given = signals(40), pywt.Wavelet("mine", filter_bank=pywt.Wavelet("sym3").filter_bank)
    for name in DISCRETE:
        bands = TRANSFORMS[name](given, "periodization", 2).analysis(x)
        expected = TRANSFORMS[name]("sym3", "periodization", 2).analysis(x)
        for band, other in zip(bands, expected, strict=True):
            np.testing.assert_array_equal(band, other)
