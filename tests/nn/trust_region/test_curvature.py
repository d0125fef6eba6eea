import pytest
import torch

from sklearn_dbt.nn.trust_region import (
    DiagonalCurvature,
    ExactCurvature,
    TrustRegionController,
    principal_axes,
)
from sklearn_dbt.nn.trust_region._curvature import Place

DOUBLE = torch.float64


def smooth(omega):
    value = (omega.sin() * omega.roll(1).exp()).sum() + omega.prod()
    return value, value


@pytest.fixture
def place(spd):
    n, g = 4, torch.Generator().manual_seed(0)
    return Place(smooth, torch.randn(n, generator=g, dtype=DOUBLE), spd(n, g), [], None, g)


def test_exact_curvature_is_the_hessian(place):
    expansion, curvature = ExactCurvature().expand(place)
    hessian = torch.autograd.functional.hessian(lambda w: smooth(w)[0], place.omega)
    torch.testing.assert_close(curvature, hessian)
    gradient = torch.autograd.functional.jacobian(lambda w: smooth(w)[0], place.omega)
    torch.testing.assert_close(expansion.gradient, gradient)


def test_diagonal_curvature_agrees_with_the_hessian_along_the_metrics_axes_and_only_there(place):
    _, curvature = DiagonalCurvature().expand(place)
    hessian = torch.autograd.functional.hessian(lambda w: smooth(w)[0], place.omega)
    axes = principal_axes(place.metric)
    found, expected = axes.T @ curvature @ axes, axes.T @ hessian @ axes
    torch.testing.assert_close(found, expected.diagonal().diag())
    assert not torch.allclose(curvature, hessian)


def test_curvatures_of_ones_own_are_taken_as_they_are(plain_layer):
    class Doubled(ExactCurvature):
        def expand(self, place):
            here, curvature = super().expand(place)
            return here, 2 * curvature

    layer = plain_layer([0.5, 0.5])
    controller = TrustRegionController(
        [layer],
        curvature=Doubled(),
        step="dogleg",
        penalty=0.0,
        radius=1.0,
        radius_max=1.0,
        update_every=1,
        warmup_steps=0,
    )
    controller.step(lambda: (layer.current - 0.3).square().sum())
    assert layer.omega.tolist() == pytest.approx([0.4, 0.4], abs=1e-5)  # half of Newton's step
