"""Statistics of bands against numpy and scipy, and where there is nothing to measure."""

import numpy as np
import pytest
import scipy.stats

from sklearn_dbt.feature_extraction._band_statistics import STATISTICS, band_statistics

EDGES = np.array([[0.0, 0.125], [0.125, 0.25], [0.25, 0.5]])


@pytest.fixture
def bands():
    rng = np.random.default_rng(0)
    return [s * rng.normal(m, size=(4, 2, k)) for s, m, k in ((1, 3, 16), (5, 0, 16), (0.1, 0, 32))]


def table(bands, *names, edges=EDGES):
    return band_statistics(bands, edges, names)


def test_moments(bands):
    got = table(bands, "mean", "std", "energy", "log_energy", "kurtosis")
    assert got.shape == (4, 2, 3, 5)
    for b, c in enumerate(bands):
        np.testing.assert_allclose(got[:, :, b, 0], c.mean(-1))
        np.testing.assert_allclose(got[:, :, b, 1], c.std(-1))
        np.testing.assert_allclose(got[:, :, b, 2], (c**2).mean(-1))
        np.testing.assert_allclose(got[:, :, b, 3], np.log((c**2).mean(-1)))
        np.testing.assert_allclose(got[:, :, b, 4], scipy.stats.kurtosis(c, axis=-1))


def test_entropy(bands):
    got = table(bands, "entropy")[..., 0]
    for b, c in enumerate(bands):
        expected = scipy.stats.entropy(c**2, axis=-1) / np.log(c.shape[-1])
        np.testing.assert_allclose(got[:, :, b], expected, rtol=1e-6)
    assert ((got > 0) & (got < 1)).all()


def test_entropy_of_a_peak_and_of_an_even_spread():
    peak, even = np.eye(1, 32), np.tile([1.0, -1.0], 16)[None]
    got = table([peak, even], "entropy", edges=EDGES[1:])
    np.testing.assert_allclose(got[0, :, 0], [0, 1], atol=1e-6)


def test_relative_energies_sum_to_one(bands):
    got = table(bands, "relative_energy", "energy")
    np.testing.assert_allclose(got[..., 0].sum(-1), 1)
    shares = got[..., 1] * [0.25, 0.25, 0.5]
    np.testing.assert_allclose(got[..., 0], shares / shares.sum(-1, keepdims=True))


@pytest.mark.parametrize("name", STATISTICS)
def test_silence_and_one_coefficient_are_finite(name):
    for value in (0.0, 1.0):
        got = table([np.full((3, 1), value)] * 3, name)
        assert np.isfinite(got).all()
        got = table([np.full((3, 8), value)] * 3, name)
        assert np.isfinite(got).all()


@pytest.mark.parametrize("name", STATISTICS)
def test_rounding_noise_is_not_measured(name):
    # A band at the level of float32's rounding of its channel, twice with other noise.
    rng = np.random.default_rng(0)
    loud = rng.normal(size=(1, 64))
    quiet = [1e-9 * rng.normal(size=(1, 64)) for _ in range(2)]
    first, second = (table([loud, q], name, edges=EDGES[1:])[0, 1, 0] for q in quiet)
    assert first == pytest.approx(second, abs=1e-3)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units(name, scale):
    rng = np.random.default_rng(0)
    bands = [rng.normal(size=(2, 64)), 0.1 * rng.normal(size=(2, 64))]
    one = table(bands, name, edges=EDGES[1:])
    other = table([scale * band for band in bands], name, edges=EDGES[1:])
    expected = {
        "mean": one * scale,
        "std": one * scale,
        "energy": one * scale**2,
        "log_energy": one + 2 * np.log(scale),
        "log_variance": one + 2 * np.log(scale),
    }.get(name, one)
    np.testing.assert_allclose(other, expected, rtol=1e-6)
