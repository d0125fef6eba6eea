import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import QuadraticModel, cauchy_step, dogleg_step

seeds = st.integers(0, 2**31)


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(1, 6), st.floats(1e-3, 20), st.sampled_from([0.0, 5.0, 50.0]))
def test_dogleg_is_in_the_ball_and_as_good_as_cauchy(random_model, seed, n, radius, shift):
    model = random_model(n, torch.Generator().manual_seed(seed), shift)
    step = dogleg_step(model, radius)
    assert model.norm(step) <= radius * (1 + 1e-9)
    cauchy = model.reduction(cauchy_step(model, radius))
    assert model.reduction(step) >= cauchy * (1 - 1e-9) > 0


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(1, 6), st.floats(1e-2, 5), st.sampled_from([0.0, 5.0]))
def test_dogleg_is_in_the_box_and_as_good_as_cauchy(
    random_model, random_box, seed, n, radius, shift
):
    g = torch.Generator().manual_seed(seed)
    model, (lower, upper) = random_model(n, g, shift), random_box(n, g)
    step = dogleg_step(model, radius, lower, upper)
    assert ((step >= lower) & (step <= upper)).all()
    assert model.norm(step) <= radius * (1 + 1e-9)
    cauchy = model.reduction(cauchy_step(model, radius, lower, upper))
    assert model.reduction(step) >= cauchy * (1 - 1e-9)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 6))
def test_dogleg_is_newtons_step_in_a_wide_ball(random_model, seed, n):
    model = random_model(n, torch.Generator().manual_seed(seed))
    newton = -torch.linalg.solve(model.matrix(), model.gradient)
    torch.testing.assert_close(dogleg_step(model, 1e6), newton)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(2, 5))
def test_dogleg_lies_on_its_path(random_model, seed, n):
    # Between the two ends of the second leg, where the sphere cuts it.
    model = random_model(n, torch.Generator().manual_seed(seed))
    newton = -torch.linalg.solve(model.matrix(), model.gradient)
    corner = cauchy_step(model, 1e6)
    radius = (model.norm(corner) + model.norm(newton)) / 2
    step = dogleg_step(model, radius)
    assert model.norm(step) == pytest.approx(radius, rel=1e-9)
    t = float((step - corner) @ (newton - corner) / (newton - corner).square().sum())
    assert 0 < t < 1
    torch.testing.assert_close(step, corner + t * (newton - corner))


def test_dogleg_goes_on_along_a_bound():
    h = torch.diag(torch.tensor([1.0, 1.0, 4.0], dtype=torch.float64))
    target = torch.tensor([3.0, 0.5, -0.5], dtype=torch.float64)
    model = QuadraticModel(0.0, -h @ target, h, torch.eye(3, dtype=torch.float64))
    one = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(
        dogleg_step(model, 9.0, -one, one), torch.tensor([1.0, 0.5, -0.5], dtype=torch.float64)
    )


def test_dogleg_without_a_minimum_ends_at_cauchys_point():
    h = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
    model = QuadraticModel(0.0, torch.tensor([1.0, 0.1]).double(), h, torch.eye(2).double())
    torch.testing.assert_close(dogleg_step(model, 9.0), cauchy_step(model, 9.0))
    assert not dogleg_step(QuadraticModel(0.0, torch.zeros(2), h.float(), torch.eye(2)), 1.0).any()
