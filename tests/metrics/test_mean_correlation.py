"""The score against every assignment, scipy's correlations and what it must not see."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from sklearn_dbt.metrics import match_components, mean_correlation_coefficient

kinds = pytest.mark.parametrize("kind", ["pearson", "spearman"])


def series(n=4, n_times=60, seed=0):
    return np.random.default_rng(seed).laplace(size=(n, n_times))


@kinds
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2), st.integers(0, 1000))
def test_best_of_all_assignments(kind, n, n_more, seed):
    sources = series(n, seed=seed)
    found = series(n + n_more, seed=seed + 1)
    found[:n] += sources[::-1]
    correlate = {"pearson": pearsonr, "spearman": spearmanr}[kind]
    table = np.array([[abs(correlate(a, b).statistic) for b in found] for a in sources])
    best = max(table[range(n), list(p)].mean() for p in permutations(range(n + n_more), n))
    assert mean_correlation_coefficient(sources, found, kind) == pytest.approx(best, abs=1e-12)


@kinds
def test_order_sign_scale_and_offset_are_not_seen(kind):
    sources = series()
    found = -3 * sources[[2, 0, 3, 1]] + np.arange(4)[:, None]
    assert mean_correlation_coefficient(sources, found, kind) == pytest.approx(1, abs=1e-12)
    order, correlation = match_components(sources, found, kind)
    assert order.tolist() == [1, 3, 0, 2]
    np.testing.assert_allclose(correlation, -1)
    np.testing.assert_allclose(found[order], -3 * sources + order[:, None])


def test_ranks_do_not_see_a_monotone_function():
    sources = series()
    assert mean_correlation_coefficient(sources, np.exp(sources), "spearman") == pytest.approx(1)
    assert mean_correlation_coefficient(sources, np.exp(sources)) < 0.95


def test_one_component_serves_one_source():
    sources = series()
    found = np.stack([sources[0]] * 4)
    assert mean_correlation_coefficient(sources, found) < 0.6


def test_chance():
    assert mean_correlation_coefficient(series(3, 20_000), series(3, 20_000, seed=1)) < 0.03


@kinds
def test_panels_and_ragged_recordings(kind):
    sources, found = series(3, 90), series(3, 90, seed=1) + series(3, 90)
    expected = mean_correlation_coefficient(sources, found, kind)
    panel = [z.reshape(3, 3, 30).swapaxes(0, 1) for z in (sources, found)]
    ragged = [np.split(z, [20, 70], axis=1) for z in (sources, found)]
    assert mean_correlation_coefficient(*panel, kind) == pytest.approx(expected, abs=1e-12)
    assert mean_correlation_coefficient(*ragged, kind) == pytest.approx(expected, abs=1e-12)
    lists = sources.tolist(), found.tolist()
    assert mean_correlation_coefficient(*lists, kind) == pytest.approx(expected, abs=1e-12)


@kinds
def test_constant_series(kind):
    sources = series(2)
    dead = sources.copy()
    dead[1] = 0.1
    assert mean_correlation_coefficient(sources, dead, kind) == pytest.approx(0.5)
    assert mean_correlation_coefficient(dead, sources, kind) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("true", "found", "message"),
    [
        (series(), series(3), "3 components, fewer than the 4 sources"),
        (series(), series(4, 50), "s_true has 60 time points and s_est 50"),
        (np.ones(5), series(), r"s_true must be .* got shapes"),
        (series(), np.ones((2, 2, 2, 2)), r"s_est must be .* got shapes"),
        ([], series(), "s_true must be"),
        ([series(3), series(2)], series(), "one number of series"),
        (np.full((2, 4), np.nan), series(2, 4), "s_true holds NaN or infinity"),
    ],
)
def test_what_is_refused(true, found, message):
    with pytest.raises(ValueError, match=message):
        mean_correlation_coefficient(true, found)


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"one of \['pearson', 'spearman'\], got 'kendall'"):
        mean_correlation_coefficient(series(), series(), kind="kendall")
