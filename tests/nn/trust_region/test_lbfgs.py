import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import (
    LimitedMemoryCurvature,
    TrustRegionController,
    compact_bfgs,
)

seeds = st.integers(0, 2**31)
DOUBLE = torch.float64


def recursion(b, steps, changes):
    """BFGS one pair at a time, the textbook's formula."""
    for s, y in zip(steps.T, changes.T, strict=True):
        b = b - torch.outer(b @ s, b @ s) / (s @ b @ s) + torch.outer(y, y) / (s @ y)
    return b


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 8), st.integers(1, 5))
def test_compact_representation_is_the_recursion(spd, seed, n, m):
    g = torch.Generator().manual_seed(seed)
    initial, hessian = spd(n, g), spd(n, g)
    steps = torch.randn(n, min(m, n), generator=g, dtype=DOUBLE)
    changes = hessian @ steps
    found = compact_bfgs(initial, steps, changes)
    torch.testing.assert_close(found, recursion(initial, steps, changes), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found @ steps[:, -1], changes[:, -1], rtol=1e-7, atol=1e-7)


def test_pairs_without_positive_curvature_are_skipped_and_old_ones_forgotten():
    curvature = LimitedMemoryCurvature(memory=2)
    step = torch.tensor([1.0, 2.0], dtype=DOUBLE)
    for change in (-step, 0 * step, torch.tensor([2.0, -1.0]), math.nan * step, math.inf * step):
        curvature.learn(step, change.double())
        assert curvature.state == ()
    for k in (1.0, 2.0, 3.0):
        curvature.learn(step, k * step)
    assert [float(y[0]) for _, y in curvature.state] == [2.0, 3.0]
    assert not curvature.matrix(torch.eye(3, dtype=DOUBLE)).any()  # of other parameters
    curvature.learn(torch.ones(3, dtype=DOUBLE), torch.ones(3, dtype=DOUBLE))
    assert [len(s) for s, _ in curvature.state] == [3]


def test_nearly_parallel_pairs_stay_positive_definite(spd):
    curvature = LimitedMemoryCurvature(memory=10)
    g = torch.Generator().manual_seed(0)
    h, step = spd(3, g), torch.randn(3, generator=g, dtype=DOUBLE)
    for k in range(10):
        near = step + 10.0 ** -(k + 1) * torch.randn(3, generator=g, dtype=DOUBLE)
        curvature.learn(near, h @ near)
        found = curvature.matrix(torch.eye(3, dtype=DOUBLE))
        assert torch.linalg.eigvalsh(found)[0] > 0
        torch.testing.assert_close(found @ near, h @ near, rtol=1e-4, atol=1e-6)


def test_it_does_not_depend_on_how_parameters_are_scaled(spd):
    g = torch.Generator().manual_seed(0)
    metric, hessian, scale = spd(3, g), spd(3, g), torch.tensor([1.0, 1e3, 1e-3]).double().diag()
    plain, scaled = LimitedMemoryCurvature(), LimitedMemoryCurvature()
    for _ in range(2):
        step = torch.randn(3, generator=g, dtype=DOUBLE)
        plain.learn(step, hessian @ step)
        scaled.learn(scale @ step, torch.linalg.solve(scale, hessian @ step))
    inverse = torch.linalg.inv(scale)
    torch.testing.assert_close(
        scale @ scaled.matrix(inverse @ metric @ inverse) @ scale, plain.matrix(metric)
    )


def test_it_learns_a_quadratic_on_the_way(spd, plain_layer):
    # Pairs of rejected steps count too, and no second derivative is ever taken.
    g = torch.Generator().manual_seed(0)
    h, centre = spd(3, g), torch.tensor([0.3, 0.5, 0.6], dtype=DOUBLE)
    layer = plain_layer([0.9, 0.1, 0.2])
    controller = TrustRegionController(
        [layer],
        curvature="lbfgs",
        step="dogleg",
        penalty=0.0,
        radius=0.2,
        radius_max=0.5,
        stationary_tol=1e-12,
        update_every=1,
        warmup_steps=0,
    )

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, p):
            ctx.save_for_backward(p)
            return 0.5 * (p - centre) @ h @ (p - centre)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, grad):
            return grad * (h @ (ctx.saved_tensors[0] - centre))

    for _ in range(25):
        controller.step(lambda: Once.apply(layer.current))
    assert controller.history["accepted"].count(True) > 5
    torch.testing.assert_close(layer.omega, centre, rtol=0, atol=1e-6)
    assert len(controller.curvature.state) == 10
    saved = controller.state_dict()
    other = TrustRegionController([plain_layer([0.5])], curvature="lbfgs")
    other.load_state_dict(saved)
    assert other.curvature.state == controller.curvature.state
    assert controller.history["rho"][-1] == pytest.approx(1, abs=0.2)
