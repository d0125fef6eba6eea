import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import QuadraticModel, cauchy_step, steihaug_step

seeds = st.integers(0, 2**31)
DOUBLE = torch.float64


def orthogonal(n, generator):
    return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=DOUBLE))[0]


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(1, 6), st.floats(1e-3, 20), st.sampled_from([0.0, 5.0, 50.0]))
def test_steihaug_is_in_the_ball_and_as_good_as_cauchy(random_model, seed, n, radius, shift):
    model = random_model(n, torch.Generator().manual_seed(seed), shift)
    step = steihaug_step(model, radius)
    assert model.norm(step) <= radius * (1 + 1e-9)
    cauchy = model.reduction(cauchy_step(model, radius))
    assert model.reduction(step) >= cauchy * (1 - 1e-9) > 0


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(1, 6), st.floats(1e-2, 5), st.sampled_from([0.0, 5.0]))
def test_steihaug_is_in_the_box_and_as_good_as_cauchy(
    random_model, random_box, seed, n, radius, shift
):
    g = torch.Generator().manual_seed(seed)
    model, (lower, upper) = random_model(n, g, shift), random_box(n, g)
    step = steihaug_step(model, radius, lower, upper)
    assert ((step >= lower) & (step <= upper)).all()
    assert model.norm(step) <= radius * (1 + 1e-9)
    cauchy = model.reduction(cauchy_step(model, radius, lower, upper))
    assert model.reduction(step) >= cauchy * (1 - 1e-9)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 6))
def test_steihaug_is_newtons_step_in_a_wide_ball(random_model, seed, n):
    model = random_model(n, torch.Generator().manual_seed(seed))
    newton = -torch.linalg.solve(model.matrix(), model.gradient)
    torch.testing.assert_close(steihaug_step(model, 1e6), newton, rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_iterations_are_the_number_of_distinct_eigenvalues_in_the_metric(seed):
    # G has condition 1e6, and so has H; in the metric H has three eigenvalues.
    g = torch.Generator().manual_seed(seed)
    n = 12
    q = orthogonal(n, g)
    scale = torch.logspace(0, 6, n, dtype=DOUBLE)
    metric, root = q * scale @ q.T, q * scale.sqrt() @ q.T
    v = orthogonal(n, g)
    values = torch.tensor([1.0, 3.0, 10.0], dtype=DOUBLE).repeat(4)
    h = root @ (v * values @ v.T) @ root
    h = (h + h.T) / 2
    gradient = root @ torch.randn(n, generator=g, dtype=DOUBLE)
    newton = -torch.linalg.solve(h, gradient)

    def error(preconditioner, max_iter):
        model = QuadraticModel(0.0, gradient, h, preconditioner)
        step = steihaug_step(model, math.inf, max_iter=max_iter)
        missing = step - newton
        return float((missing @ h @ missing) / (newton @ h @ newton)) ** 0.5

    assert error(metric, 3) < 1e-6
    assert error(metric, 2) > 1e-4
    assert error(torch.eye(n, dtype=DOUBLE), 3) > 1e-2  # what the metric is good for


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(2, 6))
def test_negative_curvature_leads_to_the_sphere(random_model, seed, n):
    model = random_model(n, torch.Generator().manual_seed(seed), shift=50.0)
    assert model.norm(steihaug_step(model, 2.0)) == pytest.approx(2.0, rel=1e-9)


def test_steihaug_sees_negative_curvature_that_cauchy_does_not():
    h = torch.diag(torch.tensor([1.0, -1.0], dtype=DOUBLE))
    model = QuadraticModel(0.0, torch.tensor([1.0, 0.1], dtype=DOUBLE), h, torch.eye(2).double())
    assert model.norm(cauchy_step(model, 9.0)) < 1.1
    step = steihaug_step(model, 9.0)
    assert model.norm(step) == pytest.approx(9.0)
    assert model.reduction(step) > 30


def test_steihaug_goes_on_along_a_bound():
    h = torch.diag(torch.tensor([1.0, 1.0, 4.0], dtype=DOUBLE))
    target = torch.tensor([3.0, 0.5, -0.5], dtype=DOUBLE)
    model = QuadraticModel(0.0, -h @ target, h, torch.eye(3, dtype=DOUBLE))
    one = torch.ones(3, dtype=DOUBLE)
    torch.testing.assert_close(
        steihaug_step(model, 9.0, -one, one), torch.tensor([1.0, 0.5, -0.5], dtype=DOUBLE)
    )
    assert not steihaug_step(QuadraticModel(0.0, 0 * target, h, h), 1.0).any()
