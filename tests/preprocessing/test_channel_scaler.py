"""Per-channel standardisation: textbook moments, weights as repetitions, batches as one fit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_dbt.preprocessing import ChannelScaler


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return rng.standard_normal((6, 3, 20)) * [[1], [30], [0.01]] + [[0], [-200], [5]]


def ragged_list(X):
    return [recording[:, : 20 - 2 * i] for i, recording in enumerate(X)]


def as_table(X):
    """Every time point of every recording a row, every channel a column."""
    return np.concatenate([recording.T for recording in X])


@parametrize_with_checks([ChannelScaler(), ChannelScaler(with_mean=False, with_std=False)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("make", [np.asarray, ragged_list])
@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("with_std", [True, False])
def test_it_is_standard_scaler_over_time_points(X, make, with_mean, with_std):
    recordings = make(X)
    scaler = ChannelScaler(with_mean=with_mean, with_std=with_std).fit(recordings)
    oracle = StandardScaler(with_mean=with_mean, with_std=with_std).fit(as_table(recordings))
    if with_mean or with_std:
        np.testing.assert_allclose(scaler.mean_, oracle.mean_, rtol=1e-12)
    if with_std:
        np.testing.assert_allclose(scaler.var_, oracle.var_, rtol=1e-12)
    np.testing.assert_allclose(scaler.scale_, oracle.scale_ if with_std else 1, rtol=1e-12)
    assert scaler.n_samples_seen_ == oracle.n_samples_seen_
    for z, x in zip(scaler.transform(recordings), recordings, strict=True):
        np.testing.assert_allclose(z, oracle.transform(x.T).T, rtol=1e-10, atol=1e-12)


def test_weights_are_those_of_standard_scaler(X):
    weights = np.array([0.0, 1.0, 2.5, 0.25, 3.0, 1.0])
    scaler = ChannelScaler().fit(ragged_list(X), sample_weight=weights)
    repeated = np.repeat(weights, [20 - 2 * i for i in range(6)])
    oracle = StandardScaler().fit(as_table(ragged_list(X)), sample_weight=repeated)
    np.testing.assert_allclose(scaler.mean_, oracle.mean_, rtol=1e-12)
    np.testing.assert_allclose(scaler.var_, oracle.var_, rtol=1e-12)
    assert scaler.n_samples_seen_ == pytest.approx(repeated.sum(), rel=1e-12)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5),
    st.floats(-1e6, 1e6),
    st.integers(0, 2**32 - 1),
)
def test_batches_in_any_split_are_one_fit(sizes, offset, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((sum(sizes), 2, 7)) + offset
    weights = rng.uniform(0.5, 2, len(X))
    whole, parts = ChannelScaler().fit(X, sample_weight=weights), ChannelScaler()
    cuts = np.cumsum(sizes)[:-1]
    for batch, w in zip(np.split(X, cuts), np.split(weights, cuts), strict=True):
        parts.partial_fit(batch, sample_weight=w)
    np.testing.assert_allclose(parts.mean_, whole.mean_, rtol=1e-12, atol=1e-12)
    # The offset is rounded at 1e-16 of its size, and its rounding enters the variance squared.
    np.testing.assert_allclose(parts.var_, whole.var_, rtol=1e-9)
    assert parts.n_samples_seen_ == pytest.approx(whole.n_samples_seen_, rel=1e-12)


def test_an_integer_weight_is_a_repeated_recording(X):
    weights = np.array([1, 2, 0, 3, 1, 1])
    weighted = ChannelScaler().fit(X, sample_weight=weights)
    repeated = ChannelScaler().fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12)
    np.testing.assert_allclose(weighted.var_, repeated.var_, rtol=1e-12)


def test_fit_forgets_and_partial_fit_does_not(X):
    scaler = ChannelScaler().fit(X)
    once = scaler.mean_.copy()
    assert scaler.fit(X).n_samples_seen_ == 120
    np.testing.assert_array_equal(scaler.mean_, once)
    assert scaler.partial_fit(X).n_samples_seen_ == 240
    np.testing.assert_allclose(scaler.mean_, once, rtol=1e-12)
    with pytest.raises(ValueError, match="X has 2 features, but ChannelScaler is expecting 3"):
        scaler.partial_fit(X[:, :2])
    assert scaler.n_samples_seen_ == 240


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.asarray, ragged_list, lambda X: X[:, 0]])
def test_inverse_and_precision(X, dtype, make):
    recordings = make(X.astype(dtype))
    scaler = ChannelScaler().fit(recordings)
    Z = scaler.transform(recordings)
    back = scaler.inverse_transform(Z)
    assert isinstance(Z, list) == isinstance(recordings, list)
    for x, z, b in zip(recordings, Z, back, strict=True):
        assert x.shape == z.shape == b.shape
        assert z.dtype == b.dtype == dtype
        np.testing.assert_allclose(b, x, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_moments_of_single_precision_are_gathered_in_double():
    X = np.full((1, 1, 100_000), 1e4, dtype=np.float32)
    X[..., ::2] += 1
    scaler = ChannelScaler().fit(X)
    np.testing.assert_allclose(scaler.mean_, 10_000.5, rtol=1e-14)
    np.testing.assert_allclose(scaler.var_, 0.25, rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e5 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_channels_are_centred_and_not_divided(X, value, dtype):
    X[:, 1] = value
    X = X.astype(dtype)
    for scaler in (ChannelScaler().fit(X), ChannelScaler().partial_fit(X[:2]).partial_fit(X[2:])):
        assert scaler.scale_[1] == 1
        assert np.all(scaler.scale_[[0, 2]] != 1)
        np.testing.assert_allclose(scaler.transform(X)[:, 1], 0, atol=1e-10)
        assert StandardScaler().fit(as_table(X)).scale_[1] == 1


def test_one_time_point_is_constant():
    scaler = ChannelScaler().fit(np.array([[[3.0]]]))
    assert scaler.transform(np.array([[[5.0]]])).tolist() == [[[2.0]]]


def test_a_table_is_a_panel_of_one_channel(X):
    table = X[:, 1]
    scaler = ChannelScaler().fit(table)
    assert scaler.mean_.shape == (1,)
    assert scaler.n_features_in_ == 20
    np.testing.assert_array_equal(
        scaler.transform(table), ChannelScaler().fit_transform(X[:, 1:2])[:, 0]
    )


def test_names_are_those_of_the_columns(X):
    frame = pd.DataFrame(X[:, 0], columns=[f"t{t}" for t in range(20)])
    scaler = ChannelScaler().set_output(transform="pandas")
    assert list(scaler.fit_transform(frame).columns) == list(frame.columns)
    assert list(scaler.fit(X).get_feature_names_out()) == ["x0", "x1", "x2"]
    assert scaler.transform(X).shape == X.shape


def test_weights_are_routed_in_a_pipeline(X):
    weights = np.arange(6.0)
    model = make_pipeline(ChannelScaler()).fit(X, channelscaler__sample_weight=weights)
    np.testing.assert_array_equal(model[0].mean_, ChannelScaler().fit(X, None, weights).mean_)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(5), "sample_weight.shape"),
        (-np.ones(6), "Negative values in data"),
        (np.zeros(6), "weights.*zero"),
        (np.full(6, np.nan), "contains NaN"),
    ],
)
def test_bad_weights_are_refused(X, weights, message):
    scaler = ChannelScaler()
    with pytest.raises(ValueError, match=message):
        scaler.fit(X, sample_weight=weights)
    assert not hasattr(scaler, "mean_")


def test_bad_parameters_are_refused(X):
    with pytest.raises(ValueError, match="'with_mean' parameter of ChannelScaler"):
        ChannelScaler(with_mean="yes").fit(X)
    with pytest.raises(ValueError, match="'with_std' parameter of ChannelScaler"):
        ChannelScaler(with_std=2).partial_fit(X)


def test_bad_panels_are_refused(X):
    scaler = ChannelScaler().fit(X)
    with pytest.raises(ValueError, match="axes look swapped"):
        scaler.transform(X.transpose(0, 2, 1))
    with pytest.raises(ValueError, match="X has 2 features"):
        scaler.inverse_transform(X[:, :2])
    X[3, 1, 7] = np.nan
    with pytest.raises(ValueError, match="NaN: recording 3, channel 1, time point 7"):
        scaler.transform(X)


def test_fit_comes_first(X):
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(ChannelScaler(), method)(X)
