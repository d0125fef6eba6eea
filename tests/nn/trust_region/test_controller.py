import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import TrustRegionController

seeds = st.integers(0, 2**31)
WIDE = {"radius": 0.5, "radius_max": 0.5, "update_every": 1, "warmup_steps": 0}


def quadratic(layer, h, centre):
    def loss():
        s = layer.current - centre
        return 0.5 * s @ h @ s

    return loss


# The numerical method, on objectives that are explicit functions of the rates


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 5))
def test_exact_model_gives_ratio_one_and_cauchy_contraction(plain_layer, seed, n):
    g = torch.Generator().manual_seed(seed)
    h = torch.logspace(0, 1.5, n, dtype=torch.float64).diag()  # diagonal: the model is exact
    centre = 0.3 + 0.4 * torch.rand(n, generator=g, dtype=torch.float64)
    layer = plain_layer(torch.rand(n, generator=g, dtype=torch.float64))
    controller = TrustRegionController(
        [layer], penalty=0.0, damping=1e-15, stationary_tol=0.0, **WIDE
    )
    kappa = float(h.diagonal().max() / h.diagonal().min())
    for _ in range(8):
        s = layer.omega - centre
        before = float(s @ h @ s) ** 0.5
        controller.step(quadratic(layer, h, centre))
        s = layer.omega - centre
        inside = ((layer.omega > 0) & (layer.omega < 1)).all()
        free = controller.history["step_norm"][-1] < 0.99 * controller.history["radius"][-1]
        if inside and free:
            assert float(s @ h @ s) ** 0.5 <= (kappa - 1) / (kappa + 1) * before + 1e-9
    assert all(controller.history["accepted"])
    assert controller.history["rho"] == pytest.approx([1.0] * 8, abs=1e-4)


@settings(deadline=None, max_examples=4)
@given(seeds, st.integers(2, 4), st.booleans())
def test_convex_objective_decreases_to_a_stationary_point(spd, plain_layer, seed, n, sigmoid):
    g = torch.Generator().manual_seed(seed)
    h, centre = spd(n, g), 0.3 + 0.4 * torch.rand(n, generator=g, dtype=torch.float64)
    start = torch.rand(n, generator=g, dtype=torch.float64)
    layer = plain_layer(start.logit(eps=1e-3) if sigmoid else start, sigmoid=sigmoid)
    controller = TrustRegionController([layer], penalty=0.0, radius_min=1e-9, **WIDE)
    loss = quadratic(layer, h, centre)
    slopes = []
    for _ in range(100):
        p = layer.current.detach()
        slope = h @ (p - centre)
        slopes.append(float((p - (p - slope).clamp(0, 1)).norm()))
        controller.step(loss)
    history = controller.history
    values = [*history["objective"], float(loss())]
    for before, after, accepted in zip(values[:-1], values[1:], history["accepted"], strict=True):
        assert after <= before + 1e-12 if accepted else after == before
    assert slopes[-1] < 1e-2 * max(slopes[0], 1e-2)


def overshooting(layer, start):
    """A slope that the model trusts, and behind it a wall that it does not see."""

    def loss():
        s = layer.current - start
        return s.sum() + 1e4 * (s.abs() - 1e-3).clamp_min(0).square().sum()

    return loss


def test_groups_share_one_radius_and_each_rate_counts_once(plain_layer):
    layers = [plain_layer([0.5]), plain_layer([0.5, 0.5, 0.5])]
    controller = TrustRegionController(
        layers, penalty=0.0, radius=0.1, radius_max=0.1, update_every=1, warmup_steps=0
    )
    controller.step(lambda: sum(layer.current.sum() for layer in layers))
    history = controller.history
    assert history["n_rates"] == [4]
    assert history["radius"] == pytest.approx([0.2])
    assert history["step_norm"] == pytest.approx([0.2], rel=2e-3)
    assert history["mean_rate"] == pytest.approx([0.4], rel=1e-3)


def test_collapse_is_flagged_after_consecutive_updates_and_withdrawn(plain_layer):
    layer = plain_layer([0.4, 0.6])
    controller = TrustRegionController(
        [layer],
        penalty=0.0,
        radius=0.02,
        radius_min=0.01,
        max_retries=0,
        collapse_after=3,
        update_every=1,
        warmup_steps=0,
    )
    wall = overshooting(layer, layer.current.clone())

    def wall_too_near():
        return (
            wall()
            + 1e9 * (layer.current - 0.5).abs().sub(0.1).clamp_min(0).sum()
            + 10 * layer.current.sum()
        )

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            controller.step(wall_too_near)
            assert not controller.collapsed
    with pytest.warns(RuntimeWarning, match="trust region has collapsed"):
        controller.step(wall_too_near)
    assert controller.collapsed
    assert controller.history["accepted"] == [False] * 3
    controller.step(lambda: layer.current.sum())  # said once, and then it goes well
    assert not controller.collapsed


# The path over the penalty weight


def minimiser(plain_layer, h, b, r, penalty):
    layer = plain_layer(torch.full((len(b),), 0.5), weights=r)
    controller = TrustRegionController(
        [layer],
        penalty=penalty,
        stationary_tol=1e-10,
        **{**WIDE, "radius": 0.2},
    )

    def loss():
        p = layer.current
        return 0.5 * p @ h @ p - b @ p

    for _ in range(400):
        controller.step(loss)
        p = layer.omega
        slope = h @ p - b + penalty * r
        if float((p - (p - slope).clamp(0, 1)).norm()) < 1e-5:
            return p
    raise AssertionError("no convergence")


@pytest.mark.parametrize("seed", range(2))
def test_path_over_lambda_for_an_m_matrix(plain_layer, seed):
    g = torch.Generator().manual_seed(seed)
    off = torch.rand(3, 3, generator=g, dtype=torch.float64).triu(1)
    h = -(off + off.T) + torch.diag((off + off.T).sum(1) + 0.5)  # M-matrix
    b = 0.4 * torch.rand(3, generator=g, dtype=torch.float64) + 0.1
    r = torch.rand(3, generator=g, dtype=torch.float64) + 0.1
    grid = [0.0, 0.2, 0.8]
    path = [minimiser(plain_layer, h, b, r, penalty) for penalty in grid]
    mu = float(torch.linalg.eigvalsh(h)[0])
    for (low, p), (high, q) in zip(
        zip(grid[:-1], path[:-1], strict=True), zip(grid[1:], path[1:], strict=True), strict=True
    ):
        assert (q <= p + 1e-5).all()
        assert float((p - q).norm()) <= (high - low) * float(r.norm()) / mu + 1e-5


def test_path_over_lambda_counter_example(plain_layer):
    # Not an M-matrix: R falls as λ grows, one of the rates does not.
    h = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    r = torch.tensor([1.0, 0.1], dtype=torch.float64)
    b = h @ torch.tensor([0.5, 0.3], dtype=torch.float64)
    path = [minimiser(plain_layer, h, b, r, penalty) for penalty in (0.0, 0.03, 0.05)]
    assert all(r @ q < r @ p for p, q in itertools.pairwise(path))
    assert path[0][1] < path[1][1] < path[2][1]  # p₂ falls while λ falls
    exact = torch.linalg.solve(h, b - 0.05 * r)
    torch.testing.assert_close(path[2], exact, atol=1e-4, rtol=0)


# Counting, arguments and state


def test_defaults_make_more_than_five_updates_in_a_small_training(plain_layer):
    layer = plain_layer([0.5])
    controller = TrustRegionController([layer])
    for _ in range(200):  # 100 epochs of 2 batches
        controller.step(lambda: layer.current.sum())
    assert controller.n_updates >= 15


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"objective": "test"}, ValueError, "'train', 'validation', 'variational'.*'test'"),
        ({"objective": None}, ValueError, "objective"),
        ({"lookahead": 0.0}, ValueError, "lookahead"),
        ({"kl_weight": -1.0}, ValueError, "kl_weight"),
        ({"n_samples": 0}, ValueError, "n_samples"),
        ({"likelihood": "poisson"}, ValueError, "'gaussian', 'given'.*'poisson'"),
        ({"penalty": -1.0}, ValueError, "penalty"),
        ({"penalty": "much"}, TypeError, "penalty"),
        ({"radius": 0.5}, ValueError, "radius"),
        ({"radius": 1e-5}, ValueError, "radius"),
        ({"radius_min": 0.0}, ValueError, "radius_min"),
        ({"eta1": 0.9}, ValueError, "eta1"),
        ({"gamma1": 2.0}, ValueError, "gamma1"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"temperature": math.nan}, ValueError, "temperature"),
        ({"damping": math.inf}, ValueError, "damping"),
        ({"stationary_tol": -1.0}, ValueError, "stationary_tol"),
        ({"update_every": 0}, ValueError, "update_every"),
        ({"update_every": 1.5}, TypeError, "update_every"),
        ({"warmup_steps": -1}, ValueError, "warmup_steps"),
        ({"max_retries": -1}, ValueError, "max_retries"),
        ({"exact_limit": True}, TypeError, "exact_limit"),
        ({"n_probes": 0}, ValueError, "n_probes"),
        ({"collapse_after": 0}, ValueError, "collapse_after"),
    ],
)
def test_wrong_arguments_raise(plain_layer, wrong, error, match):
    with pytest.raises(error, match=match):
        TrustRegionController([plain_layer([0.5])], **wrong)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 0.02),
        ({"radius_max": 0.0075}, 0.0075),
        ({"radius_min": 0.03}, 0.03),
        ({"radius_min": 1e-3, "radius_max": 0.1}, 0.02),
        ({"radius": 0.03}, 0.03),
    ],
)
def test_the_first_radius_is_within_bounds_given_without_it(plain_layer, given, expected):
    layer = plain_layer([0.5])
    controller = TrustRegionController([layer], update_every=1, warmup_steps=0, **given)
    assert controller.radius == expected
    controller.step(lambda: layer.current.sum())
    assert controller.history["radius"] == [expected]


def test_a_first_radius_that_is_given_must_be_within_its_bounds(plain_layer):
    message = r"radius must be finite and in \[0.002, 0.0075\], got 0.02"
    with pytest.raises(ValueError, match=message):
        TrustRegionController([plain_layer([0.5])], radius=0.02, radius_max=0.0075)
