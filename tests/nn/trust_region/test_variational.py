"""The variational objective against quadrature, enumeration and one-dimensional minimisation."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from torch import nn

from sklearn_dbt.nn.dropout import TransformDropout
from sklearn_dbt.nn.trust_region import TrustRegionController, kl_divergence

OFTEN = {"update_every": 1, "warmup_steps": 0}


def exact_divergence(alpha):
    """KL of N(1, α) noise from the log-uniform prior, its constant 0 at infinite α."""
    density = lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    expected = lambda z: math.log(abs(1 + math.sqrt(alpha) * z)) * density(z)  # noqa: E731
    pole = -1 / math.sqrt(alpha)
    ends = sorted({-12.0, 12.0, min(max(pole, -12.0), 12.0)})
    mean = sum(quad(expected, a, b, limit=400)[0] for a, b in itertools.pairwise(ends))
    of_noise = -(np.euler_gamma + math.log(2)) / 2
    return mean - math.log(alpha) / 2 - of_noise


@pytest.mark.parametrize("p", [0.001, 0.05, 0.2, 0.5, 0.8, 0.95, 0.999])
def test_divergence_is_the_integral(p):
    exact = exact_divergence(p / (1 - p))
    assert float(kl_divergence(torch.tensor(p).double())) == pytest.approx(exact, abs=0.01)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-4, 0.98), st.floats(1e-3, 1e-2))
def test_divergence_falls_with_the_rate(p, step):
    low, high = kl_divergence(torch.tensor([p, p + step], dtype=torch.float64)).tolist()
    assert low > high > 0


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31))
def test_dropping_is_a_ridge_of_the_rates_odds(seed):
    # Over all masks, by their probability: E (y - ŷ)² = (y - wᵀx)² + Σ p/(1-p) c² w².
    g = torch.Generator().manual_seed(seed)
    k = 3
    x, y = torch.randn(k, generator=g).double(), torch.randn(1, generator=g).double()
    layer = TransformDropout(k, "dct", "index", p=0.4, p_max=0.9, seed=seed).double()
    linear = nn.Linear(k, 1, bias=False).double()
    p, c, w = layer.rates.double(), layer.basis.analysis(x), layer.basis.analysis(linear.weight)[0]
    assert p.std() > 0.1
    dropped = layer(x.expand(4000, k))
    errors = (linear(dropped) - y).square()[:, 0]
    kept = (layer.basis.analysis(dropped) / c).round().bool()
    mean = 0.0
    for mask in itertools.product([False, True], repeat=k):
        rows = (kept == torch.tensor(mask)).all(1)
        assert rows.any()
        probability = float(torch.where(torch.tensor(mask), 1 - p, p).prod())
        mean += probability * errors[rows][0]
    ridge = (p / (1 - p) * c.square() * w.square()).sum()
    # The layer divides by 1 - p in float32.
    torch.testing.assert_close(mean, (linear(x) - y).square()[0] + ridge, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("weight", "n"), [(1.0, 10), (1.0, 200), (0.3, 10)])
def test_one_rate_of_a_linear_layer_goes_to_the_minimum(plain_layer, weight, n):
    # Expected squared error: residual plus the ridge that the rate is.
    residual, energy = 0.5, 0.2
    layer = plain_layer([0.3], bounds=(1e-3, 0.99))
    controller = TrustRegionController(
        [layer],
        objective="variational",
        likelihood="gaussian",
        kl_weight=weight,
        n_samples=n,
        stationary_tol=1e-10,
        radius_min=1e-5,
        **OFTEN,
    )

    def loss():
        p = layer.current
        return (residual + energy * p / (1 - p)).sum()

    for _ in range(150):
        controller.step(loss)

    def bound(p):
        alpha = p / (1 - p)
        likelihood = 0.5 * math.log(2 * math.pi * math.e * (residual + energy * alpha))
        k1, k2, k3 = 0.63576, 1.87320, 1.48695
        s = 1 / (1 + math.exp(-k2 - k3 * math.log(alpha)))
        return likelihood + weight / n * (k1 - k1 * s + 0.5 * math.log1p(1 / alpha))

    best = minimize_scalar(bound, bounds=(1e-3, 0.99), method="bounded", options={"xatol": 1e-10})
    assert 0.002 < best.x < 0.5
    assert float(layer.omega) == pytest.approx(best.x, rel=1e-3)
    assert controller.history["objective"][-1] == pytest.approx(best.fun, abs=1e-7)


def test_masks_of_a_linear_layer_go_to_the_minimum_of_their_own_bound():
    # The relaxed masks written out anew, at uniforms that every update repeats.
    g = torch.Generator().manual_seed(0)
    x, k = torch.randn(64, 6, generator=g), 6
    w = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2, 0.1])
    y = x @ w + 1.5 * torch.randn(64, generator=g)
    layer = TransformDropout(k, "dct", "uniform", p=0.3, p_min=1e-3, seed=0)
    start, c = layer.get_rng_state(), layer.basis.analysis(x).double()
    v = layer.basis.analysis(w).double()
    u = layer._source.draw(x.shape, x.device).double()
    controller = TrustRegionController(
        [layer],
        objective="variational",
        likelihood="gaussian",
        n_samples=64,
        radius_min=1e-5,
        **OFTEN,
    )
    layer(x)
    for _ in range(60):
        layer(x)
        layer.set_rng_state(start)
        controller.step(lambda: (layer(x) @ w - y).square().mean())

    def bound(p):
        logits = math.log((1 - p) / p) + torch.log(u / (1 - u))
        outputs = (c * torch.sigmoid(logits / 0.5) / (1 - p)) @ v
        square = float((outputs - y).square().mean())
        cost = 6 * float(kl_divergence(torch.tensor(p).double()))
        return 0.5 * math.log(2 * math.pi * math.e * square) + cost / 64

    best = minimize_scalar(bound, bounds=(1e-3, 0.9), method="bounded", options={"xatol": 1e-9})
    assert 0.005 < best.x < 0.2
    assert float(layer.rates[0]) == pytest.approx(best.x, rel=0.02)


def test_the_more_keeping_costs_the_more_is_dropped():
    # The divergence falls with the rate: its weight pushes rates up against the likelihood.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=g)
    w = torch.tensor([2.0, 1.0, 0.5, 0.2])
    y = x @ w + torch.randn(64, generator=g)

    def minimising(weight):
        layer = TransformDropout(4, "dct", "uniform", p=0.3, p_min=1e-3, seed=0)
        controller = TrustRegionController(
            [layer],
            objective="variational",
            likelihood="gaussian",
            kl_weight=weight,
            n_samples=64,
            radius_min=1e-5,
            **OFTEN,
        )
        start = layer.get_rng_state()
        for _ in range(60):
            layer(x)
            layer.set_rng_state(start)  # one objective: its uniforms are repeated
            controller.step(lambda: (layer(x) @ w - y).square().mean())
        return float(layer.rates[0])

    rates = [minimising(weight) for weight in (0.1, 0.5, 2.0, 8.0)]
    assert all(low < 0.8 * high for low, high in itertools.pairwise(rates))
    assert 1e-3 < rates[0] < 0.05
    assert 0.2 < rates[-1] < 0.9


def test_locks_cost_nothing():
    def first(locks):
        layer = TransformDropout(
            8, "dct", "uniform", p=0.3, p_min=1e-3, locks=locks, sampling_rate=16.0, seed=0
        )
        controller = TrustRegionController(
            [layer], objective="variational", n_samples=10, kl_weight=2.0, **OFTEN
        )
        layer(torch.ones(4, 8))
        controller.step(lambda: 3.0 + 0 * layer(torch.ones(4, 8)).sum())
        assert torch.isfinite(layer.rates).all()
        return controller.history["objective"][0], int(layer.locked.sum())

    kl = float(kl_divergence(torch.tensor(0.3)))
    free, none = first([])
    locked, some = first([(0, 2)])
    assert none == 0
    assert some == 3
    assert free == pytest.approx(3 + 0.2 * 8 * kl, rel=1e-4)
    assert locked == pytest.approx(3 + 0.2 * 5 * kl, rel=1e-4)


def test_a_useless_layer_is_dropped_and_a_useful_one_kept():
    g = torch.Generator().manual_seed(0)
    layers = [TransformDropout(4, "dct", "uniform", p=0.5, p_min=1e-3, seed=i) for i in range(2)]
    x = torch.randn(128, 2, 4, generator=g)
    controller = TrustRegionController(
        layers, objective="variational", likelihood="gaussian", n_samples=128, **OFTEN
    )

    def loss():
        useful, useless = layers[0](x[:, 0]), layers[1](x[:, 1])
        return (useful.sum(1) + 1e-3 * useless.sum(1) - x[:, 0].sum(1)).square().mean() + 1e-3

    for _ in range(60):
        loss()
        controller.step(loss)
    assert layers[0].rates.max() < 0.05
    assert layers[1].rates.min() > 0.8


def test_rates_that_can_reach_zero_raise(plain_layer):
    layers = [plain_layer([0.5], bounds=(0.1, 1.0)), plain_layer([0.5])]
    with pytest.raises(ValueError, match=r"make layers\[1\] with p_min > 0.*p_min=0.0"):
        TrustRegionController(layers, objective="variational")
    assert not hasattr(layers[0], "capturing")


def test_an_unknown_number_of_rows_raises(plain_layer):
    layer = plain_layer([0.5], bounds=(0.1, 1.0))
    controller = TrustRegionController([layer], objective="variational", **OFTEN)
    with pytest.raises(ValueError, match="needs n_samples"):
        controller.step(lambda: layer.current.sum())
    assert controller.n_steps == 0


@pytest.mark.parametrize("n_rows", [1, 8])
def test_rates_that_depend_on_the_sample_raise(n_rows):
    layer = TransformDropout(8, "dct", "sample_energy", p_min=0.01, seed=0)
    controller = TrustRegionController([layer], objective="variational", n_samples=9, **OFTEN)
    x = torch.randn(n_rows, 8, generator=torch.Generator().manual_seed(0))
    layer(x)
    omega = layer.get_omega()
    with pytest.raises(ValueError, match="rates of layer 0 depend on the sample"):
        controller.step(lambda: layer(x).sum())
    assert torch.equal(layer.get_omega(), omega)
    assert controller.n_updates == 0
