import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import (
    TrustRegionController,
    kronecker_factors,
    pulled_back,
)
from sklearn_dbt.nn.trust_region._curvature import Place
from sklearn_dbt.nn.trust_region._group import RateGroup

seeds = st.integers(0, 2**31)
DOUBLE = torch.float64


def outer_products(slopes):
    """Mean of the outer products of each sample's derivatives, one by one."""
    n = len(slopes)
    rows = [n * row.flatten() for row in slopes]
    return sum(torch.outer(row, row) for row in rows) / n


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 4), st.integers(1, 5))
def test_factors_keep_the_trace_and_are_exact_for_one_rank_of_channels(seed, channels, k):
    g = torch.Generator().manual_seed(seed)
    slopes = torch.randn(6, channels, k, generator=g, dtype=DOUBLE)
    a, b = kronecker_factors([slopes])
    assert float(torch.kron(a, b).trace()) == pytest.approx(float(outer_products(slopes).trace()))
    # Every sample's derivatives a product of the same channel pattern and its own spectrum.
    pattern = torch.randn(channels, generator=g, dtype=DOUBLE)
    slopes = pattern[None, :, None] * torch.randn(6, 1, k, generator=g, dtype=DOUBLE)
    a, b = kronecker_factors([slopes])
    torch.testing.assert_close(torch.kron(a, b), outer_products(slopes))


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_pull_back_is_the_product_written_out(seed, channels, k, n):
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(channels, channels, generator=g, dtype=DOUBLE)
    b = torch.randn(k, k, generator=g, dtype=DOUBLE)
    jacobian = torch.randn(5, channels * k, n, generator=g, dtype=DOUBLE)
    expected = sum(j.T @ torch.kron(a, b) @ j for j in jacobian)
    torch.testing.assert_close(pulled_back(jacobian, a, b), expected)
    shared = torch.randn(1, k, n, generator=g, dtype=DOUBLE)  # all channels have these rates
    repeated = shared[0].repeat(channels, 1)
    torch.testing.assert_close(pulled_back(shared, a, b), repeated.T @ torch.kron(a, b) @ repeated)


def test_layers_must_record_their_rates(plain_layer):
    class Silent(plain_layer):
        recording = None

    with pytest.raises(TypeError, match=r"layers\[1\], a Silent, has no method recording"):
        TrustRegionController([plain_layer([0.5]), Silent([0.5])], curvature="kronecker")


def expansion(plain_layer, loss, **options):
    layer = plain_layer([0.2, 0.7, 0.4], **options)
    controller = TrustRegionController([layer], curvature="kronecker")
    group = RateGroup([layer], [torch.zeros(1)])
    omega, snapshots = group.omega, [layer.snapshot()]
    jacobian = group.jacobian(omega, snapshots)
    metric = group.metric(jacobian, 1e-9)

    def objective(w):
        with layer.relaxed(w, [], 1.0):
            value = loss(layer)
        return value, value.detach()

    place = Place(objective, omega, metric, jacobian, group, torch.Generator())
    return metric, objective, omega, *controller.curvature.expand(place)


def test_curvature_along_the_steepest_descent_is_exact(plain_layer):
    target = torch.tensor([0.1, 0.2, 0.3], dtype=DOUBLE)
    metric, objective, omega, here, curvature = expansion(
        plain_layer, lambda layer: (layer.current - target).square().sum(), sigmoid=True
    )
    slope = 2 * (omega.sigmoid() - target)  # the outer product of this is what it is made of
    jacobian = (omega.sigmoid() * (1 - omega.sigmoid())).diag()
    shape = jacobian @ torch.outer(slope, slope) @ jacobian
    torch.testing.assert_close(curvature / curvature.norm(), shape / shape.norm())
    hessian = torch.autograd.functional.hessian(lambda w: objective(w)[0], omega)
    steepest = torch.linalg.solve(metric, here.gradient)
    assert float(steepest @ curvature @ steepest) == pytest.approx(
        float(steepest @ hessian @ steepest)
    )


def test_negative_curvature_counts_as_none_and_foreign_objectives_have_the_metrics(plain_layer):
    *_, curvature = expansion(plain_layer, lambda layer: -layer.current.square().sum())
    assert not curvature.any()
    # An objective that does not go through the rates of the passes.
    metric, *_, curvature = expansion(plain_layer, lambda layer: layer.relaxed_omega.square().sum())
    torch.testing.assert_close(curvature, 2 * metric)
