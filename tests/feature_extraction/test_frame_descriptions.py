"""Moments, cosines and regions against scipy and one pixel at a time.

Percentiles, histograms and eigenframes are tested through the estimator.
"""

import numpy as np
import pytest
import scipy.fft
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_dbt.feature_extraction import FrameEmbedder
from sklearn_dbt.feature_extraction._frame_descriptions import DESCRIPTIONS


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((2, 6, 5, 7)) ** 3


def describe(X, method, **options):
    return FrameEmbedder(method, **options).fit(X).transform(X)


def test_moments_are_scipys(X):
    panel = describe(X, "moments")
    pixels = X.reshape(2, 6, 35)
    for j, moment in enumerate((np.mean, np.std, scipy.stats.skew, scipy.stats.kurtosis)):
        np.testing.assert_allclose(panel[:, j], moment(pixels, axis=-1), rtol=1e-10)
    np.testing.assert_array_equal(describe(X, "moments", n_moments=2), panel[:, :2])


@settings(max_examples=40)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e-12))
def test_moments_of_blank_frames_are_finite_and_still(level, ripple):
    X = np.full((1, 2, 3, 3), level)
    X[0, 0, 0, 0] += ripple * abs(level)
    np.testing.assert_allclose(describe(X, "moments")[0, 1:], 0)


@pytest.mark.parametrize("size", [3, (2, 6), 99])
def test_cosines_are_scipys(X, size):
    panel = describe(X, "dct", dct_size=size)
    rows, columns = (size, size) if isinstance(size, int) else size
    expected = scipy.fft.dctn(X, axes=(2, 3), norm="ortho")[:, :, :rows, :columns]
    np.testing.assert_allclose(panel, expected.reshape(2, 6, -1).swapaxes(1, 2), atol=1e-12)


def test_all_cosines_keep_the_energy(X):
    panel = describe(X, "dct", dct_size=(5, 7))
    np.testing.assert_allclose((panel**2).sum(1), (X**2).sum((2, 3)))


def test_cosines_of_a_table_go_along_its_rows(X):
    table = X.reshape(12, 35)
    expected = scipy.fft.dct(table, norm="ortho")[:, :4]
    np.testing.assert_allclose(describe(table, "dct"), expected, atol=1e-12)


@settings(max_examples=25)
@given(arrays(np.int64, (5, 7), elements=st.integers(-1, 3)))
def test_regions_one_pixel_at_a_time(regions):
    X = np.random.default_rng(0).standard_normal((2, 6, 5, 7))
    regions[0, 0] = 2
    embedder = FrameEmbedder("regions", regions=regions).fit(X)
    panel = embedder.transform(X)
    labels = sorted({int(label) for label in regions.ravel() if label > 0})
    assert embedder.get_feature_names_out().tolist() == [f"region_{label}" for label in labels]
    for j, label in enumerate(labels):
        np.testing.assert_allclose(panel[:, j], X[:, :, regions == label].mean(-1), atol=1e-12)


def test_a_mask_is_one_region_and_no_mask_the_whole(X):
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:] = True
    np.testing.assert_allclose(describe(X, "regions", regions=mask)[:, 0], X[:, :, mask].mean(-1))
    np.testing.assert_allclose(describe(X, "regions")[:, 0], X.mean((2, 3)))
    table = X.reshape(12, 35)
    expected = X[:, :, mask].mean(-1).reshape(12, 1)
    np.testing.assert_allclose(describe(table, "regions", regions=mask), expected)
    with pytest.raises(ValueError, match="regions has 6 labels, and a frame 35 pixels"):
        describe(table, "regions", regions=np.ones((2, 3), int))


def test_names(X):
    embedder = FrameEmbedder(["moments", "dct"], dct_size=(1, 2), n_moments=3).fit(X)
    assert embedder.get_feature_names_out().tolist() == [
        *("moment_mean", "moment_std", "moment_skewness", "dct_0_0", "dct_0_1")
    ]


def test_every_description_says_as_many_names_as_numbers(X):
    for method in DESCRIPTIONS:
        embedder = FrameEmbedder(method).fit(X)
        description = DESCRIPTIONS[method](embedder)
        assert description.describe(X.reshape(12, 35)).shape == (12, len(description.names()))
