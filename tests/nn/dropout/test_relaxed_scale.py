import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.dropout import concrete_mask
from sklearn_dbt.nn.dropout._relaxed_scale import relaxed_scale

DOUBLE = torch.float64


def case(seed, shape=(4, 5)):
    g = torch.Generator().manual_seed(seed)
    p = 0.9 * torch.rand(shape[-1], generator=g, dtype=DOUBLE) + 0.02
    return p, torch.rand(shape, generator=g, dtype=DOUBLE)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.2, 2.0))
def test_value_and_two_derivatives_are_those_of_the_formula(seed, temperature):
    p, u = case(seed)
    formula = lambda p: concrete_mask(p, u, temperature) / (1 - p)  # noqa: E731
    scale = lambda p: relaxed_scale(p, u, temperature)  # noqa: E731
    torch.testing.assert_close(scale(p), formula(p))
    weights = torch.randn(u.shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    for f in (lambda s: (s * weights).sum(), lambda s: (s * weights).square().sum()):
        found, expected = (
            (
                torch.autograd.functional.jacobian(lambda p, g=g, f=f: f(g(p)), p),
                torch.autograd.functional.hessian(lambda p, g=g, f=f: f(g(p)), p),
            )
            for g in (scale, formula)
        )
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5)])
def test_derivatives_agree_with_differences(shape):
    p, u = case(0, shape)
    for rates in (p, p.expand(shape).clone()):  # shared by the samples, and one of each
        rates = rates.requires_grad_()
        assert torch.autograd.gradcheck(lambda p: relaxed_scale(p, u, 0.5), rates)
        assert torch.autograd.gradgradcheck(lambda p: relaxed_scale(p, u, 0.5), rates)


def test_rates_of_zero_keep_and_feel_no_mask():
    p = torch.tensor([0.0, 0.5], dtype=DOUBLE, requires_grad=True)
    u = torch.tensor([[0.3, 0.3], [0.0, 0.0]], dtype=DOUBLE)  # 0 too is drawn now and then
    scale = relaxed_scale(p, u, 0.5)
    assert scale[:, 0].tolist() == [1.0, 1.0]
    (slope,) = torch.autograd.grad(scale.sum(), p, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), p)
    assert slope[0] == 2  # of 1 / (1 - p) alone
    assert bend[0] == 4
    assert torch.isfinite(slope).all()
    assert torch.isfinite(bend).all()


def test_a_third_derivative_is_refused_and_transforms_are_served():
    p, u = case(1)
    p = p.requires_grad_()
    (slope,) = torch.autograd.grad(relaxed_scale(p, u, 0.5).sum(), p, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), p, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(bend.sum(), p)
    rows = torch.func.vmap(lambda u: relaxed_scale(p.detach(), u, 0.5))(u)
    torch.testing.assert_close(rows, relaxed_scale(p.detach(), u, 0.5))
