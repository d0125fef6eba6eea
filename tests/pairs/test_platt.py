"""The line is the logistic regression's; hard cases end."""

import numpy as np
import pytest
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression

from sklearn_dbt.pairs._platt import LEAST_SLOPE, fit_line, soft_targets

RNG = np.random.default_rng(0)
SAME = np.arange(200) % 2
DISTANCE = 50 + 10 * RNG.normal(size=200) - 8 * SAME


def test_it_is_platts():
    scale, threshold = fit_line(DISTANCE, SAME, np.ones(200))
    a, b = _sigmoid_calibration(-DISTANCE, SAME)
    assert scale == pytest.approx(-a, rel=1e-3)
    assert threshold == pytest.approx(-b, rel=1e-3)


def test_it_is_the_logistic_regression_with_soft_targets():
    weights = RNG.integers(1, 4, size=200).astype(float)
    scale, threshold = fit_line(DISTANCE, SAME, weights)
    negative, positive = soft_targets(SAME, weights)
    target = np.where(SAME == 1, positive, negative)
    # each pair once as positive with weight `target`, once as negative with the rest
    u = (DISTANCE - 50) / 10
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.r_[u, u][:, None],
        np.repeat([1, 0], 200),
        sample_weight=np.r_[weights * target, weights * (1 - target)],
    )
    assert scale == pytest.approx(-oracle.coef_[0, 0] / 10, rel=1e-5)
    assert threshold - 50 * scale == pytest.approx(oracle.intercept_[0], rel=1e-4, abs=1e-5)


def test_weights_are_repetitions():
    weights = RNG.integers(0, 4, size=200)
    rows = np.repeat(np.arange(200), weights)
    np.testing.assert_allclose(
        fit_line(DISTANCE, SAME, weights.astype(float)),
        fit_line(DISTANCE[rows], SAME[rows], np.ones(len(rows))),
        rtol=1e-8,
    )


def test_units_do_not_matter():
    scale, threshold = fit_line(DISTANCE, SAME, np.ones(200))
    other_scale, other_threshold = fit_line(1e6 * DISTANCE + 1e7, SAME, np.ones(200))
    assert other_scale == pytest.approx(scale / 1e6, rel=1e-8)
    assert other_threshold - other_scale * 1e7 == pytest.approx(threshold, rel=1e-6)


def test_classes_that_do_not_overlap_have_a_finite_line():
    distance = np.where(SAME == 1, 1.0, 1e4) + 1e-3 * RNG.normal(size=200)
    scale, threshold = fit_line(distance, SAME, np.ones(200))
    p = 1 / (1 + np.exp(scale * distance - threshold))
    np.testing.assert_allclose(p, np.where(SAME == 1, 101 / 102, 1 / 102), rtol=1e-3)


@pytest.mark.parametrize("distance", [-DISTANCE, np.ones(200)])
def test_distances_that_do_not_tell_give_the_prior(distance):
    same = (np.arange(200) % 4 == 0).astype(int)
    distance = np.where(same == 1, distance + 30, distance) if np.ptp(distance) else distance
    scale, threshold = fit_line(distance, same, np.ones(200))
    assert scale == pytest.approx(LEAST_SLOPE / (distance.std() or 1.0))
    p = 1 / (1 + np.exp(scale * distance - threshold))
    np.testing.assert_allclose(p, same.mean(), atol=0.01)
