import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import QuadraticModel, principal_axes

seeds = st.integers(0, 2**31)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 6))
def test_principal_axes_are_orthonormal_in_the_metric(spd, seed, n):
    metric = spd(n, torch.Generator().manual_seed(seed), condition=1e4)
    axes = principal_axes(metric)
    torch.testing.assert_close(
        axes.T @ metric @ axes, torch.eye(n, dtype=torch.float64), atol=1e-9, rtol=0
    )


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 5))
def test_model_is_the_second_order_expansion(spd, seed, n):
    g = torch.Generator().manual_seed(seed)
    h, gradient, step = spd(n, g), *torch.randn(2, n, generator=g, dtype=torch.float64)
    model = QuadraticModel(1.5, gradient, h, spd(n, g))
    expected = 1.5 + gradient @ step + 0.5 * step @ h @ step
    assert model(step) == pytest.approx(float(expected))
    assert model.reduction(step) == pytest.approx(1.5 - float(expected))
    assert model.norm(step) == pytest.approx(float(step @ model.metric @ step) ** 0.5)
    diagonal = QuadraticModel(1.5, gradient, h.diagonal(), model.metric)
    full = QuadraticModel(1.5, gradient, h.diagonal().diag(), model.metric)
    assert diagonal(step) == pytest.approx(full(step))
