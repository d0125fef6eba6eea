"""All forms of pairs are read to the same recordings; every error fires."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sklearn_dbt.pairs._pair_data import read_pairs

RNG = np.random.default_rng(0)
PANEL = RNG.normal(size=(4, 3, 6))
IDS = np.array([[0, 1], [2, 0], [3, 3]])


def unpack(pairs):
    """The recordings that pairs point to, without padding."""
    return [
        tuple(pairs.series[i][:, : pairs.lengths[i]] for i in (a, b)) for a, b in pairs.ids.tolist()
    ]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (a, b), (c, d) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


@pytest.mark.parametrize("form", [PANEL[IDS], list(PANEL[IDS]), PANEL[IDS].tolist()])
def test_arrays(form):
    estimator = BaseEstimator()
    pairs = read_pairs(estimator, form, reset=True)
    assert_same(unpack(pairs), list(PANEL[IDS]))
    assert pairs.series.shape == (4, 3, 6)  # recordings that occur twice are kept once
    assert estimator.n_features_in_ == 3


@pytest.mark.parametrize(
    "panel", [PANEL, list(PANEL), [x[:, : 6 - i] for i, x in enumerate(PANEL)]]
)
def test_indices_point_into_the_preprocessor(panel):
    estimator = BaseEstimator()
    for ids in (IDS, IDS.tolist(), pd.DataFrame(IDS)):
        pairs = read_pairs(estimator, ids, reset=True, preprocessor=panel)
        assert_same(unpack(pairs), [(panel[i], panel[j]) for i, j in IDS])


def test_pairs_of_new_recordings_pass_beside_a_preprocessor():
    pairs = read_pairs(BaseEstimator(), PANEL[IDS], reset=True, preprocessor=PANEL[:1])
    assert_same(unpack(pairs), list(PANEL[IDS]))


def test_ragged_two_tuples():
    form = [(PANEL[i, :, : 6 - i], PANEL[j, :, : 3 + j]) for i, j in IDS]
    pairs = read_pairs(BaseEstimator(), form, reset=True)
    assert_same(unpack(pairs), form)
    assert pairs.series.shape[2] == 6
    array = np.empty(3, dtype=object)
    array[:] = form
    assert_same(unpack(read_pairs(BaseEstimator(), array, reset=True)), form)


@pytest.mark.parametrize("n_columns", [2, 5, 6])
def test_rows_of_a_table_are_two_halves(n_columns):
    table = RNG.normal(size=(5, n_columns))
    estimator = BaseEstimator()
    half = -(-n_columns // 2)
    expected = [(row[None, :half], row[None, n_columns // 2 :]) for row in table]
    assert_same(unpack(read_pairs(estimator, table, reset=True)), expected)
    assert_same(unpack(read_pairs(estimator, pd.DataFrame(table), reset=True)), expected)
    assert estimator.n_features_in_ == n_columns


def test_precision_is_kept():
    single = PANEL.astype(np.float32)
    assert read_pairs(BaseEstimator(), single[IDS], reset=True).series.dtype == np.float32
    mixed = [(single[0], PANEL[1])]
    assert read_pairs(BaseEstimator(), mixed, reset=True).series.dtype == np.float64


BAD = PANEL[IDS].copy()
BAD[1, 0, 2, 3] = np.nan


@pytest.mark.parametrize(
    ("X", "panel", "message"),
    [
        (PANEL, None, r"3 dimensions, shape \(4, 3, 6\); pairs are an array"),
        (PANEL[None, None], None, r"shape \(1, 1, 4, 3, 6\); pairs are"),
        (PANEL[[[0, 1, 2]]], None, r"shape \(1, 3, 3, 6\); pairs are"),
        ([(PANEL[0], PANEL[1]), (PANEL[0],)], None, "pair 1 of X holds 1 series instead of 2"),
        ([PANEL[0], PANEL[1, :, :3]], None, "X is a list of ndarrays; pairs are"),
        (BAD, None, "contains NaN"),
        (PANEL[IDS][:0], None, "0 sample"),
        (PANEL[IDS][..., :0], None, "0 time points"),
        (PANEL[IDS][..., :1], None, r"1 time point\(s\) and at least 2"),
        (np.ones((4, 1)), None, "n_features = 1"),
        (IDS[:, :1], PANEL, r"shape \(n_pairs, 2\); got shape \(3, 1\)"),
        (IDS[:0], PANEL, "0 pairs"),
        (IDS + 0.5, PANEL, "numbers of recordings; got float64"),
        (IDS + 1, PANEL, "pair 2 points to recording 4, but preprocessor holds 4, .* 0 to 3"),
        (IDS - 1, PANEL, "pair 0 points to recording -1"),
        (IDS, PANEL[..., :1], "1 time point"),
    ],
)
def test_errors(X, panel, message):
    with pytest.raises(ValueError, match=message):
        read_pairs(BaseEstimator(), X, reset=True, preprocessor=panel)


def test_other_channels_than_in_fit():
    estimator = BaseEstimator()
    read_pairs(estimator, PANEL[IDS], reset=True)
    with pytest.raises(ValueError, match="2"):
        read_pairs(estimator, PANEL[IDS][:, :, :2], reset=False)
    with pytest.raises(ValueError, match="swapped"):
        read_pairs(estimator, PANEL[IDS].swapaxes(2, 3), reset=False)
    with pytest.raises(ValueError, match="fitted on a panel"):
        read_pairs(estimator, np.ones((3, 6)), reset=False)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity")])
@pytest.mark.parametrize("as_list", [False, True])
def test_a_value_that_is_not_finite_is_placed_in_its_pair(value, word, as_list):
    form = PANEL[IDS].copy()
    form[2, 1, 0, 4] = value
    given = [tuple(pair) for pair in form] if as_list else form
    message = rf"Input X contains {word}: pair 2, series 1, place \(0, 4\) of it"
    with pytest.raises(ValueError, match=message):
        read_pairs(BaseEstimator(), given, reset=True)
