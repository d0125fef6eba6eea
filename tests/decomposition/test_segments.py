"""Recordings as labelled time points: each step against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import RandomState

from sklearn_dbt._base import Panel
from sklearn_dbt.decomposition._segments import (
    check_segments,
    hold_out_blocks,
    label_segments,
    offset_and_gain,
    whitening_of,
)


def recording(n_channels=3, n_times=50, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return (5 + rng.normal(size=(n_channels, n_times)) * [[1], [4], [9]]).astype(dtype)


def standardise(x, **options):
    offset, gain = offset_and_gain(x, **options)
    return (x - offset[:, None]) * x.dtype.type(gain)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_offsets_and_one_gain_are_removed(dtype):
    x = recording(dtype=dtype)
    result = standardise(x)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.mean(axis=1), 0, atol=1e-6)
    assert np.square(result).mean() == pytest.approx(1, rel=1e-5)
    ratio = result.std(axis=1) / x.std(axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_what_electrodes_and_amplifier_do_does_not_matter():
    x = recording()
    changed = 7 * x + [[1], [-20], [300]]
    np.testing.assert_allclose(standardise(changed), standardise(x), atol=1e-12)


def test_either_can_stay():
    x = recording()
    np.testing.assert_array_equal(standardise(x, offset=False, gain=False), x)
    centred = x - x.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(standardise(x, gain=False), centred)
    only_gain = standardise(x, offset=False)
    np.testing.assert_allclose(only_gain * np.sqrt(np.square(centred).mean()), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_of_a_constant_is_not_blown_up(dtype):
    x = np.full((2, 999), 1.1e6, dtype=dtype)
    np.testing.assert_array_equal(standardise(x), 0)
    np.testing.assert_array_equal(standardise(x, offset=False), x)
    np.testing.assert_array_equal(standardise(np.zeros((2, 5), dtype=dtype)), 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whitening(dtype):
    points = standardise(recording(n_times=500, dtype=dtype)).T
    whitening = whitening_of(points.T @ points / len(points), points.dtype)
    assert whitening.shape == (3, 3)
    np.testing.assert_allclose(np.cov((points @ whitening.T).T, ddof=0), np.eye(3), atol=1e-4)
    assert (np.diff(np.linalg.norm(whitening, axis=1)) > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_that_do_not_vary_are_left_out(dtype):
    x = recording(n_times=500, dtype=dtype)
    dependent = np.concatenate([x, x[:1] + x[1:2], np.zeros((1, 500), dtype)])
    points = standardise(dependent).T
    whitening = whitening_of(points.T @ points / len(points), points.dtype)
    assert whitening.shape == (3, 5)
    np.testing.assert_allclose(np.cov((points @ whitening.T).T, ddof=0), np.eye(3), atol=1e-4)
    assert whitening_of(np.zeros((2, 2), dtype=dtype), np.dtype(dtype)).shape == (0, 2)


@settings(max_examples=30)
@given(st.integers(1, 5), st.lists(st.integers(5, 40), min_size=1, max_size=6))
def test_windows_are_equal_and_in_order(n_windows, lengths):
    labels = label_segments(np.array(lengths), n_windows)
    assert len(labels) == sum(lengths)
    assert (np.diff(labels) >= 0).all()
    start = 0
    for i, length in enumerate(lengths):
        counts = np.bincount(labels[start : start + length] - i * n_windows, minlength=n_windows)
        assert len(counts) == n_windows
        assert np.ptp(counts) <= 1
        start += length


@settings(max_examples=50)
@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=8),
    st.floats(0.01, 0.99),
    st.integers(0, 100),
)
def test_one_block_of_each_segment_is_held_out(counts, fraction, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    held_out = hold_out_blocks(labels, fraction, RandomState(seed))
    for segment, count in enumerate(counts):
        rows = np.flatnonzero(held_out[labels == segment])
        assert 1 <= len(rows) < count
        assert (np.diff(rows) == 1).all()
        assert len(rows) == np.clip(round(fraction * count), 1, count - 1)


def test_blocks_lie_everywhere():
    labels = np.repeat(np.arange(2000), 10)
    held_out = hold_out_blocks(labels, 0.2, RandomState(0)).reshape(2000, 10)
    share = held_out.mean(axis=0)
    # Blocks of two start at 0..8 with equal chances; inner points are in two of them.
    np.testing.assert_allclose(share[1:-1], 2 / 9, atol=0.04)
    np.testing.assert_allclose(share[[0, -1]], 1 / 9, atol=0.04)


def panel_of(n_recordings, n_times):
    return Panel(np.zeros((n_recordings, 2, n_times)))


def test_number_of_windows():
    assert check_segments(panel_of(3, 8), "recording", "Encoder") == 1
    assert check_segments(panel_of(1, 8), 4, "Encoder") == 4


@pytest.mark.parametrize("segments", ["recording", 1])
def test_one_segment_is_refused(segments):
    with pytest.raises(ValueError, match=r"Encoder: X has one recording .* windows: segments=20"):
        check_segments(panel_of(1, 8), segments, "Encoder")


def test_short_recordings_are_refused():
    panel = Panel([np.zeros((2, 9)), np.zeros((2, 7))])
    with pytest.raises(ValueError, match=r"recording 1 of X has n_times=7, too few for segments=4"):
        check_segments(panel, 4, "Encoder")
