import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.dropout import arm_gradient, concrete_mask, straight_through_mask

N = 200_001
GRID = (torch.arange(N, dtype=torch.float64) + 0.5) / N  # midpoints: an integral over u


def squared(target, c=1.0):
    """Squared error of one dropped coefficient."""
    return lambda mask, p: (c * mask / (1 - p) - target).square().sum(-1)


def exact_gradient(loss, p):
    """Gradient of the expectation, by summing over all masks."""
    p = p.detach().requires_grad_()
    total = 0.0
    for bits in itertools.product([0.0, 1.0], repeat=len(p)):
        m = torch.tensor(bits, dtype=p.dtype)
        total = total + torch.where(m > 0, 1 - p, p).prod() * loss(m[None], p)[0]
    return torch.autograd.grad(total, p)[0]


def averaged(mask, loss, p):
    """Gradient through a mask at all the uniforms of the grid, one coefficient."""
    p = p.detach().requires_grad_()
    return torch.autograd.grad(loss(mask(p, GRID[:, None]), p).mean(), p)[0]


def test_what_each_estimator_is_worth():
    # One coefficient c = 1, p = 0.1, L = (y - 0.74)². The expectation is 1 / (1 - p) + const.
    p, loss = torch.tensor([0.1], dtype=torch.float64), squared(0.74)
    exact = exact_gradient(loss, p).item()
    assert exact == pytest.approx(1 / 0.9**2)
    assert exact == pytest.approx(1.24, abs=0.01)
    assert averaged(straight_through_mask, loss, p).item() == pytest.approx(0.25, abs=0.005)
    relaxed = [
        averaged(lambda p, u, t=t: concrete_mask(p, u, t), loss, p).item()
        for t in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
    ]
    assert relaxed[0] == pytest.approx(0.68, abs=0.005)
    errors = [abs(g - exact) for g in relaxed]
    assert all(b < 0.8 * a for a, b in itertools.pairwise(errors))  # it vanishes with τ
    assert errors[-1] < 0.015
    g = torch.Generator().manual_seed(0)
    estimates = torch.stack([arm_gradient(loss, p, generator=g) for _ in range(4000)])
    error = (estimates.mean() - exact) / (estimates.std() / 4000**0.5)
    assert abs(error) < 4
    assert estimates.std() < 0.8  # without the antithetic centre it is twice as large


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31))
def test_arm_has_no_bias(seed):
    g = torch.Generator().manual_seed(seed)
    p = 0.05 + 0.9 * torch.rand(3, generator=g, dtype=torch.float64)
    a, b = torch.randn(2, 3, generator=g, dtype=torch.float64)

    def loss(mask, p):  # not multilinear, and not a sum over coefficients
        y = mask / (1 - p)
        return ((y * a).sum(-1) - 0.5).square() + (0.3 * y * b).sum(-1).cos()

    n = 20_000
    parts = torch.stack([arm_gradient(loss, p, n_samples=n // 40, generator=g) for _ in range(40)])
    error = (parts.mean(0) - exact_gradient(loss, p)) / (parts.std(0) / 40**0.5)
    assert error.abs().max() < 5.5


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.booleans())
def test_straight_through_is_exact_for_multilinear_losses_only(seed, multilinear):
    g = torch.Generator().manual_seed(seed)
    p = 0.1 + 0.8 * torch.rand(2, generator=g, dtype=torch.float64)
    a, b, d = torch.randn(3, generator=g, dtype=torch.float64)

    def loss(mask, p):
        y = mask / (1 - p)
        value = a * y[..., 0] + b * y[..., 1] + d * y[..., 0] * y[..., 1]
        return value if multilinear else value + y.square().sum(-1)

    # All masks at once: the weights of the four cells of the unit square.
    q = p.detach().requires_grad_()
    total = 0.0
    for bits in itertools.product([0.0, 1.0], repeat=2):
        m = torch.tensor(bits, dtype=p.dtype)
        u = torch.where(m > 0, 0.5 * (1 + p), 0.5 * p)
        mask = straight_through_mask(q, u)
        assert torch.equal(mask.detach(), m)
        weight = torch.where(m > 0, 1 - p, p).prod()
        total = total + weight * loss(mask[None], q)[0]
    (gradient,) = torch.autograd.grad(total, q)
    exact = exact_gradient(loss, p)
    if multilinear:
        torch.testing.assert_close(gradient, exact, rtol=1e-9, atol=1e-9)
    else:
        assert (gradient - exact).abs().min() > 0.1


def test_arm_repeats_with_its_generator_and_leaves_the_rest_alone():
    p = torch.tensor([0.3, 0.6])
    state = torch.get_rng_state()
    first, second = (
        arm_gradient(squared(0.5), p, n_samples=4, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not p.requires_grad


def test_rates_that_are_zero_and_losses_that_do_not_see_the_rates():
    g = torch.Generator().manual_seed(0)
    p = torch.tensor([0.0, 0.4], dtype=torch.float64)
    estimate = arm_gradient(squared(0.5), p, n_samples=100, generator=g)
    assert torch.isfinite(estimate).all()
    assert estimate[0] == pytest.approx(2 * (1 - 0.5))  # d/dp of (1 / (1 - p) - ½)² at p = 0
    counted = arm_gradient(lambda mask, _: mask.sum(-1), p, n_samples=20_000, generator=g)
    assert counted[0] == 0
    assert counted[1] == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize(
    ("p", "options", "match"),
    [
        (torch.tensor([1.0]), {}, r"vector of rates in \[0, 1\), got shape \(1,\) from 1.0"),
        (torch.tensor([-0.1, 0.5]), {}, "from -0.1"),
        (torch.tensor([[0.5]]), {}, r"got shape \(1, 1\)"),
        (torch.tensor([0.5]), {"n_samples": 0}, "n_samples must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_raise(p, options, match):
    with pytest.raises(ValueError, match=match):
        arm_gradient(squared(0.0), p, **options)


def test_a_loss_of_another_shape_raises():
    with pytest.raises(ValueError, match=r"loss must return a tensor of shape \(3,\), got \(\)"):
        arm_gradient(lambda mask, _: mask.sum(), torch.tensor([0.5]), n_samples=3)
