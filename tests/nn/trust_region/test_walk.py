import math

import pytest
import torch

from sklearn_dbt.nn.trust_region import QuadraticModel
from sklearn_dbt.nn.trust_region._walk import Walk, steepest_descent

DOUBLE = torch.float64


def model(metric, gradient=None):
    n = len(metric)
    gradient = torch.ones(n, dtype=DOUBLE) if gradient is None else gradient
    return QuadraticModel(0.0, gradient, torch.zeros(n, dtype=DOUBLE), metric)


def test_a_walk_ends_on_the_sphere_of_the_metric():
    metric = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=DOUBLE)
    walk = Walk(model(metric), 1.5, None, None)
    assert walk.advance(torch.tensor([0.1, -0.2], dtype=DOUBLE))
    assert not walk.at_sphere
    for direction in ([1.0, 2.0], [-3.0, 0.5], [0.0, -1.0]):  # from the sphere: into it or not
        assert not walk.advance(torch.tensor(direction, dtype=DOUBLE), math.inf)
        assert walk.at_sphere
        assert walk.model.norm(walk.step) == pytest.approx(1.5, rel=1e-12)


def test_a_walk_ends_exactly_on_the_bound_it_meets_first():
    lower, upper = torch.tensor([-0.3, -1.0]).double(), torch.tensor([1.0, 0.1]).double()
    walk = Walk(model(torch.eye(2, dtype=DOUBLE)), 9.0, lower, upper)
    assert not walk.advance(torch.tensor([-1.0, 1.0], dtype=DOUBLE))
    assert walk.at_box
    assert walk.step[1] == upper[1]
    assert walk.step[0] == pytest.approx(-0.1)
    assert not walk.advance(torch.tensor([0.0, 1.0], dtype=DOUBLE))  # no room left
    assert walk.step[1] == upper[1]


def test_a_direction_without_end_raises():
    walk = Walk(model(torch.eye(1, dtype=DOUBLE)), math.inf, None, None)
    with pytest.raises(ValueError, match="no minimum"):
        walk.advance(torch.ones(1, dtype=DOUBLE), math.inf)


def test_steepest_descent_stops_what_pushes_against_a_bound():
    metric = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 4.0]], dtype=DOUBLE)
    wide = torch.full((3,), 9.0, dtype=DOUBLE)
    gradient = torch.tensor([0.1, 1.0, 2.0], dtype=DOUBLE)
    free, inverse, direction = steepest_descent(metric, gradient, -wide, wide)
    assert free.all()
    torch.testing.assert_close(metric @ direction, -gradient)
    torch.testing.assert_close(metric @ inverse(wide), wide)
    # The gradient pushes the last one against its bound: the others move as if it were not there.
    lower = torch.tensor([-9.0, -9.0, 0.0], dtype=DOUBLE)
    free, inverse, direction = steepest_descent(metric, gradient, lower, wide)
    assert free.tolist() == [True, True, False]
    torch.testing.assert_close(metric[:2, :2] @ direction[:2], -gradient[:2])
    assert direction[2] == 0 == inverse(wide)[2]
    # The metric turns the first one against its bound: it stops too.
    upper = torch.tensor([0.0, 9.0, 9.0], dtype=DOUBLE)
    free, _, direction = steepest_descent(metric, gradient, -wide, upper)
    assert free.tolist() == [False, True, True]
    assert direction.tolist() == [0.0, -1.0, -0.5]
