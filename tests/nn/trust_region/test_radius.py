import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import RadiusRule, reduction_ratio


@given(st.floats(-1e3, 1e3), st.floats(1e-4, 0.05))
def test_decision_follows_the_rule(rho, radius):
    rule = RadiusRule(0.1, 0.75, 0.25, 3.0, 1e-3, 0.05)
    accepted, after = rule.decide(rho, radius)
    if rho < 0.1:
        assert (accepted, after) == (False, 0.25 * radius)
    elif rho < 0.75:
        assert (accepted, after) == (True, radius)
    else:
        assert (accepted, after) == (True, min(3.0 * radius, 0.05))


@pytest.mark.parametrize("rho", [math.nan, math.inf, -math.inf])
def test_a_ratio_that_is_not_finite_is_rejected(rho):
    assert RadiusRule().decide(rho, 0.02) == (False, 0.01)


def test_retries_go_below_the_minimum_but_a_start_does_not():
    rule, radius = RadiusRule(minimum=1e-3), 1e-3
    for _ in range(5):
        _, radius = rule.decide(-1.0, radius)
    assert radius == 1e-3 * 0.5**5
    assert rule.start(radius) == 1e-3
    assert rule.start(0.03) == 0.03


def test_ratio():
    assert reduction_ratio(0.5, 1.0, 0.0, 1e-16) == pytest.approx(0.5)
    assert reduction_ratio(-1e-8, 0.0, 1.0, 1e-7) > 0.9  # both are rounding
    assert reduction_ratio(0.0, 0.0, 5.0, 1e-7) == 1.0
    assert math.isnan(reduction_ratio(math.nan, 1.0, 0.0, 1e-7))
    assert math.isnan(reduction_ratio(math.inf, 1.0, 0.0, 1e-7))
    # The slack grows with the objective: so does the rounding of its difference.
    assert reduction_ratio(0.0, 1e-4, 1e4, 1e-7) > 0.9
    assert reduction_ratio(0.0, 1e-4, 1.0, 1e-7) < 0.02


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"eta1": 0.0}, "eta1"),
        ({"eta1": 0.8}, "eta1 < eta2"),
        ({"eta2": 1.0}, "eta2"),
        ({"gamma1": 1.0}, "gamma1"),
        ({"gamma2": 0.9}, "gamma2"),
        ({"minimum": 0.0}, "radius_min"),
        ({"minimum": 0.1}, "radius_min"),
        ({"maximum": math.inf}, "radius_max"),
    ],
)
def test_wrong_constants_raise(wrong, match):
    with pytest.raises(ValueError, match=match):
        RadiusRule(**wrong)
