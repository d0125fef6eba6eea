"""Reading heat-map series: every error fires, and frames find back to their recordings."""

import numpy as np
import pytest

from sklearn_dbt._base import DBTEstimator
from sklearn_dbt.feature_extraction import _frames
from sklearn_dbt.feature_extraction._frames import Frames, check_frames


class Viewer(DBTEstimator):
    """Looks at frames and remembers what an estimator has to."""

    def fit(self, X, y=None):
        self.frames_ = check_frames(self, X, reset=True)
        self.frame_shape_ = self.frames_.shape
        return self

    def view(self, X):
        return check_frames(self, X, reset=False)


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((3, 7, 2, 4))


def ragged_list(X):
    return [recording[: 7 - i] for i, recording in enumerate(X)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_series_are_read_frame_by_frame(X, dtype):
    frames = check_frames(Viewer(), X.astype(dtype), reset=True)
    np.testing.assert_array_equal(frames.pixels, X.astype(dtype).reshape(21, 8))
    assert frames.pixels.dtype == dtype
    assert frames.shape == (2, 4)
    assert frames.lengths.tolist() == [7, 7, 7]


def test_integers_become_float64():
    frames = check_frames(Viewer(), np.ones((2, 3, 4, 5), dtype=int), reset=True)
    assert frames.pixels.dtype == np.float64


def test_a_table_holds_single_frames(X):
    table = X.reshape(21, 8)
    frames = check_frames(Viewer(), table, reset=True)
    np.testing.assert_array_equal(frames.pixels, table)
    assert frames.shape == (8,)
    assert frames.lengths is None
    assert frames.as_input(table[:, :2]).shape == (21, 2)


def test_recordings_of_different_lengths_are_read_in_order(X):
    recordings = ragged_list(X)
    frames = check_frames(Viewer(), recordings, reset=True)
    assert frames.lengths.tolist() == [7, 6, 5]
    for recording, back in zip(recordings, frames.as_input(frames.pixels), strict=True):
        np.testing.assert_array_equal(back.T.reshape(recording.shape), recording)


def test_a_list_of_equal_recordings_is_a_series(X):
    frames = check_frames(Viewer(), list(X), reset=True)
    np.testing.assert_array_equal(frames.pixels, X.reshape(21, 8))
    assert frames.as_input(frames.pixels).shape == (3, 8, 7)


def test_mixed_precisions_in_a_list_become_the_wider_one(X):
    recordings = ragged_list(X)
    recordings[0] = recordings[0].astype(np.float32)
    assert check_frames(Viewer(), recordings, reset=True).pixels.dtype == np.float64


def test_time_is_last_in_the_output():
    features = np.arange(12.0).reshape(6, 2)
    panel = Frames(features, (2,), np.array([3, 3])).as_input(features)
    np.testing.assert_array_equal(panel[1], [[6, 8, 10], [7, 9, 11]])
    assert panel.flags.c_contiguous


def put(X, where, value):
    X = X.copy()
    X[where] = value
    return X


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: X[0], r"3 dimensions, shape \(7, 2, 4\); expected heat-map .* pass X\[None\]"),
        (lambda X: X[None], "5 dimensions"),
        (lambda X: X[0, 0, 0], "Expected 2D array, got 1D array"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[:, :0], r"recording 0 of X has shape \(0, 2, 4\)"),
        (lambda X: X[:, :, :0], r"at least one frame"),
        (lambda X: X[..., :0], r"recording 0 of X has shape \(7, 2, 0\)"),
        (lambda X: [X[0], X[1][:0]], r"recording 1 of X has shape \(0, 2, 4\)"),
        (lambda X: [X[0], X[1, 0]], r"recording 1 of X has shape \(2, 4\)"),
        (lambda X: [X[0], X[1, :, :1]], r"frames of recording 1 of X have shape \(1, 4\)"),
        (lambda X: put(X, (2, 3, 1, 0), np.nan), "NaN: recording 2, frame 3, row 1, column 0"),
        (lambda X: put(X, (0, 0, 0, 3), -np.inf), "infinity: recording 0, frame 0, row 0, col"),
        (
            lambda X: ragged_list(put(X, (1, 5, 0, 2), np.nan)),
            "NaN: recording 1, frame 5, row 0, column 2",
        ),
        (lambda X: put(X.reshape(21, 8), (1, 1), np.nan), "contains NaN"),
        (lambda X: X.astype(complex), "Complex data not supported"),
        (lambda X: np.full(X.shape, "loud"), "could not convert string"),
    ],
)
def test_bad_frames_are_refused(X, make, message):
    viewer = Viewer()
    with pytest.raises(ValueError, match=message):
        viewer.fit(make(X))
    assert not hasattr(viewer, "frame_shape_")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: X.transpose(0, 2, 3, 1), r"shape \(4, 7\), but \(2, 4\) was .* look swapped"),
        (lambda X: X.swapaxes(2, 3), r"shape \(4, 2\), but \(2, 4\) was seen in fit; its axes"),
        (lambda X: X[..., :3], r"shape \(2, 3\), but \(2, 4\) was seen in fit; expected"),
        (lambda X: [x[:, :1] for x in X], r"shape \(1, 4\)"),
        (lambda X: X.reshape(21, 8), r"fitted on series of 2 x 4 frames and got a table"),
    ],
)
def test_other_frames_than_in_fit_are_refused(X, make, message):
    with pytest.raises(ValueError, match=message):
        Viewer().fit(X).view(make(X))


def test_series_are_refused_after_a_table(X):
    viewer = Viewer().fit(X.reshape(21, 8))
    with pytest.raises(ValueError, match="fitted on a table and got series of 2 x 4 frames"):
        viewer.view(X)
    with pytest.raises(ValueError, match="X has 4 features, but Viewer is expecting 8"):
        viewer.view(X.reshape(42, 4))


def test_more_or_fewer_frames_than_in_fit_are_welcome(X):
    viewer = Viewer().fit(X)
    assert viewer.view(X[:1, :2]).lengths.tolist() == [2]
    assert viewer.view(ragged_list(X)).lengths.tolist() == [7, 6, 5]


@pytest.mark.parametrize("size", [1, 2, 5, 21, 50, None])
def test_blocks_hold_all_frames_in_order(X, size):
    for given in (X, ragged_list(X), X.swapaxes(2, 3).copy().swapaxes(2, 3)):
        frames = check_frames(Viewer(), given, reset=True)
        blocks = list(frames.blocks(size))
        sizes = [len(block) for block in blocks]
        assert all(n == size for n in sizes[:-1]) or size is None
        assert max(sizes) <= (size or 21)
        np.testing.assert_array_equal(np.concatenate(blocks), frames.pixels)


def test_integers_are_read_where_they_are(X, monkeypatch):
    counts = (100 * X).astype(np.int16)
    frames = check_frames(Viewer(), counts, reset=True)
    assert frames.recordings is counts
    (block,) = frames.blocks()
    np.testing.assert_array_equal(block, counts.reshape(21, 8).astype(float))
    # What is not finite is found in whichever block it is.
    monkeypatch.setattr(_frames, "BLOCK", 16)
    with pytest.raises(ValueError, match="NaN: recording 2, frame 3, row 1, column 0"):
        check_frames(Viewer(), put(X, (2, 3, 1, 0), np.nan), reset=True)
