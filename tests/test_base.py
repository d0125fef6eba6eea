"""The panel and its checks: every error fires, and says what was got and what is allowed."""

import warnings

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from sklearn_dbt._base import DBTEstimator, Panel, check_panel, series_names


class Reader(DBTEstimator):
    """Reads a panel and does nothing with it."""

    def __init__(self, ragged=True, min_times=1):
        self.ragged = ragged
        self.min_times = min_times

    def fit(self, X, y=None):
        self.panel_ = check_panel(self, X, reset=True, ragged=self.ragged, min_times=self.min_times)
        return self

    def read(self, X):
        return check_panel(self, X, reset=False, ragged=self.ragged, min_times=self.min_times)


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((4, 3, 20))


def ragged_list(X):
    return [recording[:, : 20 - i] for i, recording in enumerate(X)]


def test_the_checks_satisfy_scikit_learn():
    check_estimator(Reader())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_panel_keeps_shape_dtype_and_counts_channels(X, dtype):
    panel = Reader().fit(X.astype(dtype)).panel_
    assert panel.data.shape == (4, 3, 20)
    assert panel.dtype == dtype
    assert (panel.n_recordings, panel.n_channels, panel.n_times) == (4, 3, 20)
    assert not panel.is_table
    assert not panel.is_ragged
    assert Reader().fit(X).n_features_in_ == 3


def test_integers_become_float64():
    assert Reader().fit(np.ones((2, 3, 4), dtype=int)).panel_.dtype == np.float64


def test_a_table_is_a_panel_of_one_channel(X):
    reader = Reader().fit(X[:, 0])
    assert reader.panel_.data.shape == (4, 1, 20)
    assert reader.panel_.is_table
    assert reader.n_features_in_ == 20


def test_a_ragged_list_stays_a_list(X):
    reader = Reader().fit(ragged_list(X.astype(np.float32)))
    assert reader.panel_.is_ragged
    assert reader.panel_.lengths.tolist() == [20, 19, 18, 17]
    assert reader.panel_.n_times == 20
    assert reader.panel_.dtype == np.float32
    assert reader.n_features_in_ == 3


def test_an_object_array_of_recordings_is_a_ragged_list(X):
    objects = np.empty(4, dtype=object)
    objects[:] = ragged_list(X)
    assert Reader().fit(objects).panel_.is_ragged


def test_a_list_of_equal_recordings_is_a_panel(X):
    panel = Reader().fit(list(X)).panel_
    np.testing.assert_array_equal(panel.data, X)


def test_mixed_precisions_in_a_list_become_the_wider_one(X):
    recordings = ragged_list(X)
    recordings[0] = recordings[0].astype(np.float32)
    assert Reader().fit(recordings).panel_.dtype == np.float64


def test_results_take_the_rank_of_the_input(X):
    series = np.zeros((4, 2, 5))
    assert Panel(X).like_input(series).shape == (4, 2, 5)
    assert Panel(X[:, :1], is_table=True).like_input(series).shape == (4, 10)


def nan_at(X, *where):
    X = X.copy()
    X[where] = np.nan
    return X


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: X[None], r"X has 4?.*dimensions, shape \(1, 4, 3, 20\); expected a panel"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[:, :0], "X has 0 channels"),
        (lambda X: X[:, :, :0], "X has 0 time points"),
        (lambda X: nan_at(X, 2, 1, 7), "contains NaN: recording 2, channel 1, time point 7"),
        (lambda X: np.where(X[1, 0, 3] == X, np.inf, X), "infinity: recording 1, channel 0"),
        (lambda X: X.astype(complex), "Complex data not supported"),
        (lambda X: [X[0], X[1, :2]], r"different numbers of channels \[2, 3\]"),
        (lambda X: [X[0].T, X[1, :, :5].T], "axes look swapped; pass each one transposed"),
        (lambda X: [X[0], X[1, 0]], r"recording 1 of X has shape \(20,\)"),
        (lambda X: [X[0], X[1][:, :0]], r"recording 1 of X has shape \(3, 0\)"),
        (lambda X: ragged_list(nan_at(X, 3, 0, 2)), "NaN: recording 3, channel 0, time point 2"),
    ],
)
def test_bad_panels_are_refused(X, make, message):
    with pytest.raises(ValueError, match=message):
        Reader().fit(make(X))


def test_huge_finite_values_are_finite():
    X = np.full((2, 2, 3), np.finfo(np.float32).max, dtype=np.float32)
    Reader().fit(X)


def test_ragged_lists_are_refused_where_lengths_must_agree(X):
    with pytest.raises(ValueError, match="4 different lengths, from 17 to 20 time points"):
        Reader(ragged=False).fit(ragged_list(X))


def test_too_short_recordings_are_refused(X):
    with pytest.raises(ValueError, match=r"has 20 time point\(s\) and at least 21 are required"):
        Reader(min_times=21).fit(X)
    with pytest.raises(ValueError, match="n_features = 20 and at least 21"):
        Reader(min_times=21).fit(X[:, 0])


def test_swapped_axes_warn_in_fit_and_raise_after(X):
    with pytest.warns(UserWarning, match=r"20 channels and only 3 time points; its axes look"):
        Reader().fit(X.transpose(0, 2, 1))
    reader = Reader().fit(X)
    with pytest.raises(ValueError, match=r"20 channels, but 3 were .* axes look swapped"):
        reader.read(X.transpose(0, 2, 1))


def test_single_time_points_do_not_look_swapped(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Reader().fit(X[:, :, :1])


def test_another_number_of_channels_is_refused(X):
    reader = Reader().fit(X)
    with pytest.raises(ValueError, match="X has 2 features, but Reader is expecting 3"):
        reader.read(X[:, :2])
    with pytest.raises(ValueError, match="X has 2 channels, but Reader was fitted with 3"):
        reader.read(ragged_list(X[:, :2]))


def test_another_rank_is_refused(X):
    with pytest.raises(ValueError, match=r"fitted on a panel \(3D\) and got a table \(2D\)"):
        Reader().fit(X).read(X[:, 0, :3])
    with pytest.raises(ValueError, match=r"fitted on a table \(2D\) and got a panel \(3D\)"):
        Reader().fit(X[:, 0]).read(X)


def test_targets_are_checked_with_the_panel(X):
    reader = Reader()
    for data in (X, X[:, 0], ragged_list(X)):
        _, y = check_panel(reader, data, [1.0, 2.0, 3.0, 4.0], reset=True, ragged=True)
        assert isinstance(y, np.ndarray)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            check_panel(reader, data, [1.0, 2.0], reset=True, ragged=True)
        with pytest.raises(ValueError, match="y contains NaN"):
            check_panel(reader, data, [1.0, np.nan, 3.0, 4.0], reset=True, ragged=True)


def test_columns_of_a_series_are_named():
    assert series_names(["a", "b"], 2, False).tolist() == ["a", "b"]
    assert series_names(["a", "b"], 2, True).tolist() == ["a_t0", "a_t1", "b_t0", "b_t1"]


def test_the_html_display_links_to_our_documentation():
    link = Reader()._get_doc_link()
    assert link == ""  # a class outside the package has no page
    Reader.__module__, module = "sklearn_dbt.pairs._x", Reader.__module__
    try:
        assert Reader()._get_doc_link().endswith("generated/sklearn_dbt.pairs.Reader.html")
    finally:
        Reader.__module__ = module
