"""Moments against numpy and StandardScaler; merging against all at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from sklearn_dbt.preprocessing import ChannelScaler


def panel(n=6, n_channels=3, n_times=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal([[5.0], [-100.0], [0.0]], [[1.0], [30.0], [1e-6]], (n, n_channels, n_times))


def test_it_is_standard_scaler_over_recordings_and_time():
    X = panel()
    scaler, oracle = ChannelScaler().fit(X), StandardScaler()
    flat = X.transpose(0, 2, 1).reshape(-1, 3)
    Z = oracle.fit_transform(flat).reshape(6, 20, 3).transpose(0, 2, 1)
    np.testing.assert_allclose(scaler.transform(X), Z, rtol=1e-10)
    np.testing.assert_allclose(scaler.var_, oracle.var_, rtol=1e-12)
    assert scaler.n_samples_seen_ == oracle.n_samples_seen_


def test_a_table_has_one_mean_and_one_scale():
    X = panel()[:, 0]
    np.testing.assert_allclose(
        ChannelScaler().fit_transform(X), (X - X.mean()) / X.std(), rtol=1e-12
    )


def test_a_ragged_list_counts_every_time_point_once():
    ragged = [recording[:, : 20 - 3 * i] for i, recording in enumerate(panel())]
    scaler = ChannelScaler().fit(ragged)
    together = np.concatenate(ragged, axis=1)
    np.testing.assert_allclose(scaler.mean_, together.mean(1), rtol=1e-12)
    np.testing.assert_allclose(scaler.scale_, together.std(1), rtol=1e-12)
    Z = scaler.transform(ragged)
    np.testing.assert_allclose(np.concatenate(Z, axis=1).std(1), 1)


@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("with_std", [True, False])
def test_options_and_inverse(with_mean, with_std):
    X = panel()
    scaler = ChannelScaler(with_mean=with_mean, with_std=with_std).fit(X)
    Z = scaler.transform(X)
    axes = (0, 2)
    assert np.allclose(Z.mean(axes), 0, atol=1e-8) == with_mean
    assert np.allclose(Z.std(axes), 1) == with_std
    np.testing.assert_allclose(scaler.inverse_transform(Z), X, rtol=1e-10)


def test_a_constant_channel_becomes_zero():
    X = panel().astype(np.float32)
    X[:, 1] = 0.1
    np.testing.assert_allclose(ChannelScaler().fit_transform(X)[:, 1], 0, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(0, 100))
def test_parts_give_what_the_whole_gives(cut, seed):
    X = panel(seed=seed)
    weights = np.random.default_rng(seed).uniform(0.1, 2, 6)
    whole = ChannelScaler().fit(X, sample_weight=weights)
    parts = ChannelScaler().partial_fit(X[:cut], sample_weight=weights[:cut])
    parts.partial_fit(X[cut:], sample_weight=weights[cut:])
    for name in ("mean_", "var_", "scale_", "n_samples_seen_"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9)


def test_an_integer_weight_is_a_repeated_recording():
    X, weights = panel(), np.array([1, 2, 0, 3, 1, 1])
    weighted = ChannelScaler().fit(X, sample_weight=weights)
    repeated = ChannelScaler().fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.var_, repeated.var_, rtol=1e-12)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        ChannelScaler().fit(panel(), sample_weight=-np.ones(6))
