import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import derivatives, principal_axes

seeds = st.integers(0, 2**31)


def smooth(omega):
    value = (omega.sin() * omega.roll(1).exp()).sum() + omega.prod()
    return value, value


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 5))
def test_derivatives_agree_with_torchs_functional_ones(spd, seed, n):
    g = torch.Generator().manual_seed(seed)
    omega = torch.randn(n, generator=g, dtype=torch.float64)
    value, loss, gradient, curvature = derivatives(smooth, omega)
    hessian = torch.autograd.functional.hessian(lambda w: smooth(w)[0], omega)
    assert value == loss == smooth(omega)[0]
    torch.testing.assert_close(
        gradient, torch.autograd.functional.jacobian(lambda w: smooth(w)[0], omega)
    )
    torch.testing.assert_close(curvature, hessian.diagonal())
    axes = principal_axes(spd(n, g))
    _, _, _, along = derivatives(smooth, omega, axes)
    torch.testing.assert_close(along, (axes.T @ hessian @ axes).diagonal())


def test_hutchinson_is_exact_for_a_diagonal_hessian_and_unbiased_else(spd):
    g = torch.Generator().manual_seed(0)
    omega = torch.randn(6, generator=g, dtype=torch.float64)
    cubic = lambda w: ((w**3).sum(), (w**3).sum())  # noqa: E731
    *_, curvature = derivatives(cubic, omega, exact_limit=2, n_probes=1, generator=g)
    torch.testing.assert_close(curvature, 6 * omega)
    h = spd(6, g)
    form = lambda w: (0.5 * w @ h @ w, w.sum())  # noqa: E731
    *_, curvature = derivatives(form, omega, exact_limit=2, n_probes=1000, generator=g)
    off = (h - h.diagonal().diag()).square().sum(1).sqrt()
    assert ((curvature - h.diagonal()).abs() <= 5 * off / 1000**0.5).all()


class OnceDifferentiable(torch.autograd.Function):
    """x² whose backward has no derivative, as fused recurrent kernels."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


def test_differences_replace_a_missing_second_derivative():
    h = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    loss = lambda w: ((h * OnceDifferentiable.apply(w)).sum(),) * 2  # noqa: E731
    omega = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    _, _, gradient, curvature = derivatives(loss, omega)
    torch.testing.assert_close(gradient, 2 * h * omega)
    torch.testing.assert_close(curvature, 2 * h, rtol=1e-9, atol=1e-9)
    axes = 1e4 * torch.eye(3, dtype=torch.float64)  # long axes, as where rates saturate
    torch.testing.assert_close(derivatives(loss, omega, axes)[3], 2e8 * h, rtol=1e-9, atol=0)


def test_objectives_that_are_linear_or_constant_or_not_finite():
    omega = torch.tensor([1.0, 2.0], dtype=torch.float64)
    _, _, gradient, curvature = derivatives(lambda w: (3 * w.sum(), w.sum()), omega)
    assert gradient.tolist() == [3.0, 3.0]
    assert curvature.tolist() == [0.0, 0.0]
    constant = torch.tensor(7.0)
    value, _, gradient, curvature = derivatives(lambda _: (constant, constant), omega)
    assert value == 7
    assert not gradient.any()
    assert not curvature.any()
    value, _, gradient, _ = derivatives(lambda w: (w.sum() / 0, w.sum()), omega)
    assert value.isinf()
    assert not gradient.any()


def test_only_omega_is_differentiated():
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    weight.grad = torch.tensor([5.0, 6.0], dtype=torch.float64)
    derivatives(lambda w: ((w * weight).square().sum(),) * 2, torch.ones(2, dtype=torch.float64))
    assert weight.grad.tolist() == [5.0, 6.0]
