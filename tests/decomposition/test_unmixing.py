"""Unmixing of features that are known mixtures, by what the data support."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.exceptions import ConvergenceWarning

from sklearn_dbt.decomposition._unmixing import unmix, variances_change


def modulated(n=3, n_segments=20, n_times=200, seed=0):
    """Magnitudes of sources of changing scale, their linear mixture and the segments."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.1, 3, (n_segments, 1, n))
    q = np.abs(scales * rng.laplace(size=(n_segments, n_times, n))).reshape(-1, n)
    return q, q @ rng.normal(size=(n, n)) + 5, np.repeat(np.arange(n_segments), n_times)


def stationary(n=3, n_segments=20, n_times=200, seed=0):
    rng = np.random.default_rng(seed)
    q = rng.exponential(size=(n_segments * n_times, n))
    return q, q @ rng.normal(size=(n, n)), np.repeat(np.arange(n_segments), n_times)


def run(q, features, labels, method="auto"):
    result = unmix(features, labels, np.linalg.norm(q, axis=1), method, seed=0)
    return result, (features - result.mean) @ result.matrix.T


def matched_correlation(q, components):
    table = np.corrcoef(q.T, components.T)[: q.shape[1], q.shape[1] :]
    rows, columns = linear_sum_assignment(-np.abs(table))
    return table[rows, columns]


@pytest.mark.parametrize("method", ["auto", "joint_diagonalization", "fastica"])
def test_modulated_sources_are_recovered_with_their_sign(method):
    q, features, labels = modulated()
    result, components = run(q, features, labels, method)
    assert matched_correlation(q, components).min() > 0.97
    assert result.method == ("fastica" if method == "fastica" else "joint_diagonalization")


def test_without_modulation_fastica_steps_in():
    q, features, labels = stationary()
    result, components = run(q, features, labels)
    assert result.method == "fastica"
    assert matched_correlation(q, components).min() > 0.99


@pytest.mark.parametrize(("n_segments", "n_times"), [(3, 400), (50, 7)])
def test_few_or_short_segments_support_no_diagonalisation(n_segments, n_times):
    result, _ = run(*modulated(n_segments=n_segments, n_times=n_times))
    assert result.method == "fastica"


def test_changes_of_variance_must_repeat_in_every_pair():
    q, _, labels = modulated()
    segments = np.split(q, np.flatnonzero(np.diff(labels)) + 1)
    assert variances_change(segments, np.eye(3))
    same = [np.column_stack([s[:, 0], s[::-1, 0], s[:, 2]]) for s in segments]
    assert not variances_change(same, np.eye(3))
    constant = [np.column_stack([s[:, :2], np.ones(len(s))]) for s in segments]
    assert not variances_change(constant, np.eye(3))


def test_standard_form():
    q, features, labels = modulated()
    result, components = run(q, features, labels)
    np.testing.assert_allclose(components.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(components.std(axis=0), 1)
    assert (np.diff(result.contrast) <= 0).all()
    means = components.reshape(20, 200, 3).mean(axis=1)
    np.testing.assert_allclose(result.contrast, means.var(axis=0), rtol=1e-10)
    strength = np.linalg.norm(q, axis=1)
    assert all(np.corrcoef(strength, c)[0, 1] > 0 for c in components.T)


def test_the_mixture_does_not_matter():
    q, features, labels = modulated()
    other = np.random.default_rng(5).normal(size=(3, 3))
    (_, a), (_, b) = run(q, features, labels), run(q, features @ other - 2, labels)
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_one_component_is_only_standardised():
    q, features, labels = modulated(n=1)
    result, components = run(q, features, labels)
    assert result.method == "none"
    assert matched_correlation(q, components)[0] == pytest.approx(1)


def test_features_that_died_are_borne():
    q, features, labels = modulated(n=2)
    dead = np.column_stack([features, np.full(len(features), 3.0)])
    _, components = run(q, dead, labels, "joint_diagonalization")
    assert np.isfinite(components).all()
    living = components[:, components.std(axis=0) > 1e-6]
    assert matched_correlation(q, living).min() > 0.97
    nothing = np.full((len(features), 2), 3.0)
    result, components = run(q, nothing, labels, "joint_diagonalization")
    np.testing.assert_array_equal(components, 0)
    np.testing.assert_array_equal(result.contrast, 0)


def test_many_points_are_a_sample_for_fastica():
    q, features, labels = stationary(n_times=2000)
    _, components = run(q, features, labels, "fastica")
    assert matched_correlation(q, components).min() > 0.99


def test_fastica_says_when_it_does_not_converge():
    rng = np.random.default_rng(0)
    gaussian, labels = rng.normal(size=(60, 12)), np.repeat([0, 1], 30)
    with pytest.warns(ConvergenceWarning, match="FastICA did not converge"):
        run(gaussian, gaussian, labels, "fastica")
