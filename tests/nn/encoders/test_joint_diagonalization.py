"""Joint diagonalisation against the exact cases, brute force, and the criterion's definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.optimize import minimize

from sklearn_dbt.nn.encoders import joint_diagonalize, separability


def diagonalisable(n=4, n_segments=6, seed=0, noise=0):
    """Covariances of independent sources, mixed; Wishart samples when `noise` says how few."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n, n)) + 2 * np.eye(n)
    variances = rng.uniform(0.1, 3, (n_segments, n))
    if not noise:
        return mixing, variances, np.stack([mixing * v @ mixing.T for v in variances])
    samples = rng.standard_normal((n_segments, noise, n)) * np.sqrt(variances)[:, None] @ mixing.T
    return mixing, variances, samples.transpose(0, 2, 1) @ samples / noise


def pham(unmixing, covariances, weights=None):
    """The criterion as the docstring writes it."""
    weights = np.ones(len(covariances)) if weights is None else np.asarray(weights)
    values = [
        0.5 * (np.log(np.diag(d)).sum() - np.linalg.slogdet(d)[1])
        for d in (unmixing @ c @ unmixing.T for c in covariances)
    ]
    return weights @ values / weights.sum()


def is_scaled_permutation(matrix, tol):
    largest = np.abs(matrix).max(axis=1)
    rest = np.abs(matrix) / largest[:, None]
    return ((rest > tol).sum(axis=1) == 1).all() and len(set(rest.argmax(1))) == len(matrix)


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(3, 9), st.integers(0, 10_000))
def test_exactly_diagonalisable_sets_are_unmixed(n, n_segments, seed):
    mixing, _, covariances = diagonalisable(n, n_segments, seed)
    found = joint_diagonalize(covariances)
    assert pham(found.unmixing, covariances) < 1e-10
    assert is_scaled_permutation(found.unmixing @ mixing, 1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_two_matrices_are_a_generalised_eigenproblem(seed):
    _, _, covariances = diagonalisable(5, 2, seed, noise=50)
    found = joint_diagonalize(covariances)
    _, vectors = eigh(covariances[0], covariances[1])
    assert is_scaled_permutation(found.unmixing @ np.linalg.inv(vectors.T), 1e-6)
    assert pham(found.unmixing, covariances) == pytest.approx(0, abs=1e-12)


def test_noisy_sets_reach_the_minimum_that_a_general_optimiser_finds():
    _, _, covariances = diagonalisable(3, 7, noise=20)
    weights = np.arange(1.0, 8.0)
    found = joint_diagonalize(covariances, weights)
    general = minimize(
        lambda b: pham(b.reshape(3, 3), covariances, weights), found.unmixing.ravel() + 0.05
    )
    value = pham(found.unmixing, covariances, weights)
    assert value == pytest.approx(general.fun, abs=1e-9)
    assert value > 1e-3
    assert found.gradient <= 1e-8


def test_two_components_against_a_grid_of_angles():
    _, _, covariances = diagonalisable(2, 5, seed=3, noise=15)
    values, vectors = np.linalg.eigh(covariances.mean(0))
    whitener = vectors.T / np.sqrt(values)[:, None]
    angles = np.linspace(-np.pi / 2, np.pi / 2, 60)
    best = min(
        pham(np.array([[np.cos(a), np.sin(a)], [np.cos(b), np.sin(b)]]) @ whitener, covariances)
        for a in angles
        for b in angles[np.abs(np.sin(angles - a)) > 0.1]
    )
    value = pham(joint_diagonalize(covariances).unmixing, covariances)
    assert value <= best
    assert best - value < 2e-2


def test_the_mean_gets_a_unit_diagonal():
    _, _, covariances = diagonalisable(noise=30)
    weights = np.linspace(1, 2, 6)
    unmixing = joint_diagonalize(covariances, weights).unmixing
    mean = np.average(covariances, axis=0, weights=weights)
    np.testing.assert_allclose(np.diag(unmixing @ mean @ unmixing.T), 1, rtol=1e-12)


def test_equivariance():
    _, _, covariances = diagonalisable(noise=30)
    other = np.random.default_rng(9).standard_normal((4, 4))
    direct = joint_diagonalize(covariances).unmixing
    moved = joint_diagonalize(other @ covariances @ other.T).unmixing
    assert is_scaled_permutation(moved @ other @ np.linalg.inv(direct), 1e-5)


def test_weights_count_repetitions():
    _, _, covariances = diagonalisable(3, 3, noise=20)
    repeated = joint_diagonalize(covariances[[0, 0, 1, 2, 2, 2]]).unmixing
    weighted = joint_diagonalize(covariances, [2, 1, 3]).unmixing
    np.testing.assert_allclose(weighted, repeated, atol=1e-6)


def test_proportional_variances_end_in_finite_steps():
    same = np.stack([k * np.array([[2.0, 0.3], [0.3, 1.0]]) for k in (1, 2, 3)])
    found = joint_diagonalize(same)
    assert np.isfinite(found.unmixing).all()
    assert pham(found.unmixing, same) == pytest.approx(0, abs=1e-12)


def test_the_number_of_iterations_is_bounded_and_told():
    _, _, covariances = diagonalisable(noise=30)
    short = joint_diagonalize(covariances, max_iter=1)
    assert short.n_iter == 1
    assert short.gradient > joint_diagonalize(covariances).gradient


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000))
def test_separability_is_the_formula_and_not_negative(n, n_segments, seed):
    variances = np.random.default_rng(seed).uniform(0.1, 3, (n_segments, n))
    found = separability(variances)
    for i in range(n):
        for j in range(n):
            ratio = variances[:, i] / variances[:, j]
            expected = ratio.mean() * (1 / ratio).mean() - 1
            assert found[i, j] == pytest.approx(expected, abs=1e-12)
    assert (found >= -1e-12).all()


def test_proportional_variances_are_not_separable():
    variances = np.array([[1.0, 2.0, 1.0], [3.0, 6.0, 1.0], [2.0, 4.0, 1.0]])
    found = separability(variances, [1, 2, 3])
    assert found[0, 1] == pytest.approx(0, abs=1e-15)
    assert found[0, 2] > 0.1


GOOD = np.stack([np.eye(2), 2 * np.eye(2)])
BAD = [
    (np.eye(2), r"shape \(n_segments, n, n\) with neither 0, got \(2, 2\)"),
    (np.ones((2, 2, 3)), r"got \(2, 2, 3\)"),
    (np.ones((0, 2, 2)), r"got \(0, 2, 2\)"),
    (np.full((1, 2, 2), np.nan), "NaN or infinity"),
    (np.stack([np.eye(2), [[1, 0.5], [0.1, 1]]]), r"covariances\[1\] is not symmetric"),
    (np.stack([np.eye(2), np.ones((2, 2)) - 2 * np.eye(2)]), r"\[1\] is not positive definite"),
]


@pytest.mark.parametrize(("covariances", "message"), BAD)
def test_bad_covariances(covariances, message):
    with pytest.raises(ValueError, match=message):
        joint_diagonalize(covariances)


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0], r"weights must have shape \(2,\), got \(1,\)"), ([1.0, 0.0], "positive and finite")],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        joint_diagonalize(GOOD, weights)
    with pytest.raises(ValueError, match=message):
        separability(np.ones((2, 2)), weights)


@pytest.mark.parametrize(
    ("variances", "message"),
    [
        (np.ones(3), r"shape \(n_segments, n\) with neither 0, got \(3,\)"),
        (np.ones((0, 3)), r"got \(0, 3\)"),
        (np.array([[1.0, 0.0]]), "variances must be positive and finite"),
        (np.array([[1.0, np.inf]]), "variances must be positive and finite"),
    ],
)
def test_bad_variances(variances, message):
    with pytest.raises(ValueError, match=message):
        separability(variances)
