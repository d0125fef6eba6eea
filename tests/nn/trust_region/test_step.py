import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import (
    QuadraticModel,
    cauchy_step,
    longest_within,
    stationarity,
)

seeds = st.integers(0, 2**31)


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 6), st.floats(1e-3, 10), st.booleans())
def test_cauchy_step_is_the_best_along_its_direction(spd, seed, n, radius, convex):
    g = torch.Generator().manual_seed(seed)
    h = spd(n, g)
    h = h if convex else h - 5 * torch.eye(n, dtype=torch.float64)
    model = QuadraticModel(0.0, torch.randn(n, generator=g, dtype=torch.float64), h, spd(n, g))
    step = cauchy_step(model, radius)
    assert model.norm(step) <= radius * (1 + 1e-9)
    # Along -G⁻¹g, against a grid of every length that the radius allows.
    direction = -torch.linalg.solve(model.metric, model.gradient)
    direction = direction / model.norm(direction)
    grid = [model.reduction(t * radius * direction) for t in torch.linspace(0, 1, 1001).double()]
    assert model.reduction(step) >= max(grid) - 1e-12
    assert torch.linalg.vector_norm(step / step.norm() - direction / direction.norm()) < 1e-6


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(2, 6))
def test_cauchy_contracts_as_the_condition_number_says(spd, seed, n):
    g = torch.Generator().manual_seed(seed)
    h, p = spd(n, g, condition=50.0), torch.randn(n, generator=g, dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(h)
    kappa = float(eigenvalues[-1] / eigenvalues[0])
    for _ in range(10):
        before = float(p @ h @ p) ** 0.5
        p = p + cauchy_step(QuadraticModel(0.0, h @ p, h, torch.eye(n, dtype=torch.float64)), 1e9)
        assert float(p @ h @ p) ** 0.5 <= (kappa - 1) / (kappa + 1) * before * (1 + 1e-9)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(1, 5))
def test_cauchy_step_stays_in_the_box_and_decreases_the_model(spd, seed, n):
    g = torch.Generator().manual_seed(seed)
    model = QuadraticModel(
        0.0, torch.randn(n, generator=g, dtype=torch.float64), spd(n, g), spd(n, g)
    )
    lower = -torch.rand(n, generator=g, dtype=torch.float64)
    lower[torch.rand(n, generator=g) < 0.4] = 0
    upper = torch.rand(n, generator=g, dtype=torch.float64)
    upper[torch.rand(n, generator=g) < 0.4] = 0
    step = cauchy_step(model, 0.5, lower, upper)
    slack = 1e-12
    assert (step >= lower - slack).all()
    assert (step <= upper + slack).all()
    blocked = (model.gradient > 0) & (lower >= 0) | (model.gradient < 0) & (upper <= 0)
    if blocked.all():
        assert not step.any()
    else:
        assert model.reduction(step) > 0


def test_cauchy_step_at_a_zero_gradient_is_zero():
    eye = torch.eye(2)
    assert not cauchy_step(QuadraticModel(0.0, torch.zeros(2), eye, eye), 1.0).any()


def test_a_coupled_metric_does_not_push_a_parameter_through_its_bound():
    # G⁻¹g turns the first parameter, free by its gradient, against its bound.
    metric = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    model = QuadraticModel(0.0, torch.tensor([0.1, 1.0]), torch.zeros(2), metric)
    step = cauchy_step(model, 1.0, torch.full((2,), -1.0), torch.tensor([0.0, 1.0]))
    assert step[0] == 0
    assert step[1] < 0


def test_stationarity_sees_through_saturation_and_the_box():
    wide = torch.full((2,), 1.0)
    jacobian, slope = 1e-9 * torch.eye(2).double(), torch.tensor([3.0, -4.0]).double()
    gradient = jacobian.T @ slope  # tiny, since the sigmoid is flat
    assert stationarity(jacobian, gradient, -9 * wide, 9 * wide) == pytest.approx(5.0)
    # At the lower end of the box, only the rate that wants to grow counts.
    assert stationarity(jacobian, gradient, 0 * wide, 9 * wide) == pytest.approx(4.0)
    # What no parameter can move does not count.
    shared = torch.ones(2, 1).double()
    opposed = shared.T @ torch.tensor([1.0, -1.0]).double()
    assert stationarity(shared, opposed, -9 * wide, 9 * wide) == 0
    assert stationarity(torch.zeros(2, 1).double(), torch.zeros(1).double(), -wide, wide) == 0


@given(st.floats(0, 1))
def test_longest_within_fits(limit):
    for bend in (0.5, 1.0, 3.0):
        fraction = longest_within(lambda t, bend=bend: t**bend, limit**bend)
        assert fraction**bend <= limit**bend
        assert fraction >= limit * (1 - 3e-3) - 1e-8


def test_longest_within_takes_few_tries():
    # A distance is nearly linear, and each try costs rates of all samples.
    tries = []
    longest_within(lambda t: tries.append(t) or 0.3 * t + 0.05 * t**2, 0.1)
    assert len(tries) <= 5
    assert longest_within(lambda _: math.nan, 1.0) == 0
