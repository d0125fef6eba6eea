"""Bands against PyWavelets' own transforms, one recording at a time."""

import warnings

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.feature_extraction._shrinkage import RULES, shrink
from sklearn_dbt.feature_extraction._wavelet_embedder import TRANSFORMS

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


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"periodization"}))
@pytest.mark.parametrize(("n", "level"), [(45, 4), (3, 3), (2, 2)])
def test_stationary_transform_extends_to_a_multiple(mode, n, level):
    x = signals(n)
    missing = -n % 2**level
    # One signal at a time, and both ends: some modes of pywt.pad cannot do without.
    pad = lambda row: pywt.pad(row, (missing, missing), mode)[missing:]  # noqa: E731
    extended = np.apply_along_axis(pad, -1, x)
    bands = TRANSFORMS["swt"]("db2", mode, level).analysis(x)
    expected = pywt.swt(extended, "db2", level, axis=-1, trim_approx=True)
    np.testing.assert_allclose(np.stack(bands), np.stack(expected), atol=1e-12)


def test_stationary_transform_extends_periodically_by_default():
    x = signals(5)
    extended = x[..., [0, 1, 2, 3, 4, 4, 0, 1]]
    bands = TRANSFORMS["swt"]("db2", "periodization", 2).analysis(x)
    expected = pywt.swt(extended, "db2", 2, axis=-1, trim_approx=True)
    np.testing.assert_allclose(np.stack(bands), np.stack(expected), atol=1e-12)


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


@pytest.mark.parametrize("wavelet", ["haar", "db4", "bior2.4", "sym20"])
@pytest.mark.parametrize(("n", "level"), [(2, 1), (24, 3), (64, 6)])
def test_stationary_synthesis_is_pywavelets(wavelet, n, level):
    bands = [signals(n, seed) for seed in range(level + 1)]
    transform = TRANSFORMS["swt"](wavelet, "periodization", level)
    expected = pywt.iswt(bands, wavelet, axis=-1)
    np.testing.assert_allclose(transform.synthesis(bands, n), expected, atol=1e-11)
    alone = [None] * level + bands[-1:]
    zeros = [np.zeros_like(band) for band in bands[:-1]]
    expected = pywt.iswt([*zeros, bands[-1]], wavelet, axis=-1)
    np.testing.assert_allclose(transform.synthesis(alone, n), expected, atol=1e-11)


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


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_pywavelets(rule):
    c = np.linspace(-3, 3, 61)
    ours = RULES[rule](c, np.array([1.05]))
    np.testing.assert_allclose(ours, pywt.threshold(c, 1.05, rule), atol=1e-15)


def test_threshold_is_the_universal_one():
    rng = np.random.default_rng(0)
    bands = [rng.normal(size=(2, 8)), rng.normal(size=(2, 8)), 3 * rng.normal(size=(2, 16))]
    for noise in ("finest", "level"):
        shrunk = shrink(bands, 32, "hard", noise)
        assert shrunk[0] is bands[0]
        for k in (1, 2):
            source = bands[k if noise == "level" else 2]
            for i in range(2):
                sigma = np.median(np.abs(source[i])) / 0.6744897501960817
                expected = pywt.threshold(bands[k][i], sigma * np.sqrt(2 * np.log(32)), "hard")
                np.testing.assert_array_equal(shrunk[k][i], expected)


@each
def test_white_noise_is_removed_and_silence_stays(name):
    transform = TRANSFORMS[name]("db4", "periodization", 3)
    noise = signals(512)
    bands = shrink(transform.analysis(noise), 512, "soft", "finest")
    assert all((band**2).mean() < 0.01 for band in bands[1:])
    silence = shrink(transform.analysis(np.zeros((1, 64))), 64, "soft", "level")
    assert not any(band.any() for band in silence)
