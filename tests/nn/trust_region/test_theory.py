"""What can be said of the trust region with certainty, on objectives that are known exactly.

The objective of a layer of this file is an explicit function of its rates, or of its parameters;
rates are the parameters themselves or their sigmoid.
"""

import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.dropout import TransformDropout
from sklearn_dbt.nn.trust_region import CURVATURES, STEPS, TrustRegionController

DOUBLE = torch.float64
seeds = st.integers(0, 2**31)
NOW = {"update_every": 1, "warmup_steps": 0, "penalty": 0.0, "stationary_tol": 0.0}
WIDE = {**NOW, "radius": 10.0, "radius_max": 10.0, "damping": 1e-12}


def in_rates(layer, h, centre):
    """Half the squared H-distance of the rates from a centre."""

    def loss():
        s = layer.current - centre
        return 0.5 * s @ h @ s

    return loss


def in_parameters(layer, h, centre):
    """The same of the parameters: quadratic there whatever the rates are."""

    def loss():
        omega = layer.omega if layer.relaxed_omega is None else layer.relaxed_omega
        return 0.5 * (omega - centre) @ h @ (omega - centre)

    return loss


# Theorems 1 and 2: exact curvature


@pytest.mark.parametrize("step", ["dogleg", "steihaug"])
@pytest.mark.parametrize("sigmoid", [False, True])
@settings(deadline=None, max_examples=5)
@given(seeds, st.integers(1, 4))
def test_exact_curvature_reaches_an_interior_solution_in_one_step(
    spd, plain_layer, sigmoid, step, seed, n
):
    g = torch.Generator().manual_seed(seed)
    h, centre = spd(n, g), 0.2 + 0.6 * torch.rand(n, generator=g, dtype=DOUBLE)
    start = 0.2 + 0.6 * torch.rand(n, generator=g, dtype=DOUBLE)
    layer = plain_layer(start, sigmoid=sigmoid)
    if not sigmoid:  # wide enough that no bound lies between
        layer.bounds = (-9.0, 9.0)
    controller = TrustRegionController([layer], curvature="exact", step=step, **WIDE)
    controller.step(in_parameters(layer, h, centre))
    assert controller.history["accepted"] == [True]
    expected = centre.sigmoid() if sigmoid else centre
    torch.testing.assert_close(layer.current, expected, rtol=0, atol=1e-6)
    assert controller.history["rho"][0] == pytest.approx(1, abs=1e-6)


@settings(deadline=None, max_examples=5)
@given(seeds, st.integers(2, 4))
def test_cauchy_with_exact_curvature_contracts_as_the_condition_number_says(
    spd, plain_layer, seed, n
):
    g = torch.Generator().manual_seed(seed)
    h, centre = spd(n, g, 10.0), torch.full((n,), 0.5, dtype=DOUBLE)
    layer = plain_layer(torch.rand(n, generator=g, dtype=DOUBLE), bounds=(-9.0, 9.0))
    controller = TrustRegionController([layer], curvature="exact", **WIDE)
    kappa = float(torch.linalg.cond(h))
    length = lambda: float((layer.omega - centre) @ h @ (layer.omega - centre)) ** 0.5  # noqa: E731
    for _ in range(6):
        before = length()
        controller.step(in_rates(layer, h, centre))
        assert controller.history["accepted"][-1]
        assert length() <= (kappa - 1) / (kappa + 1) * before + 1e-9


def test_cauchy_is_slower_than_the_others_and_they_go_on_where_it_is_slow(plain_layer):
    h, centre = torch.diag(torch.tensor([1.0, 100.0], dtype=DOUBLE)), torch.zeros(2, dtype=DOUBLE)
    after = {}
    for step in STEPS:
        layer = plain_layer([1.0, 0.01], bounds=(-9.0, 9.0))
        controller = TrustRegionController([layer], curvature="exact", step=step, **WIDE)
        controller.step(in_rates(layer, h, centre))
        after[step] = float(in_rates(layer, h, centre)())
    assert after["cauchy"] > 0.1
    assert max(after["dogleg"], after["steihaug"]) < 1e-12


# Inexact curvature


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("step", sorted(STEPS))
@pytest.mark.parametrize("curvature", sorted(CURVATURES))
def test_objective_falls_and_the_projected_gradient_vanishes(
    spd, plain_layer, curvature, step, sigmoid
):
    g = torch.Generator().manual_seed(3)
    n = 3
    h, centre = spd(n, g), torch.tensor([0.3, 0.6, -0.2], dtype=DOUBLE)  # the last: at its bound
    start = torch.tensor([0.8, 0.2, 0.5], dtype=DOUBLE)
    layer = plain_layer(start.logit() if sigmoid else start, sigmoid=sigmoid)
    controller = TrustRegionController(
        [layer],
        curvature=curvature,
        step=step,
        **{**NOW, "radius": 0.1, "radius_max": 0.2, "radius_min": 1e-9},
    )
    loss, slopes = in_rates(layer, h, centre), []
    for _ in range(40):
        p = layer.current.detach()
        slopes.append(float((p - (p - h @ (p - centre)).clamp(0, 1)).norm()))
        controller.step(loss)
    history = controller.history
    values = [*history["objective"], float(loss())]
    for before, after, accepted in zip(values[:-1], values[1:], history["accepted"], strict=True):
        assert after < before + 1e-12 if accepted else after == before
    assert slopes[-1] < 1e-2 * slopes[0]
    distances, radii = history["step_norm"], history["radius"]
    assert all(d <= r * (1 + 1e-12) for d, r in zip(distances, radii, strict=True))
    assert sum(d**2 for d in distances) <= sum(r**2 for r in radii)
    assert max(radii) <= 0.2 * n**0.5 * (1 + 1e-12)


# The ratio


@pytest.mark.parametrize("curvature", ["diagonal", "exact", "kronecker", "lbfgs"])
@pytest.mark.parametrize("step", sorted(STEPS))
def test_ratio_tends_to_one_with_the_radius_or_is_one_for_an_exact_model(
    spd, plain_layer, curvature, step
):
    def error(radius):
        layer = plain_layer([0.3, -0.2], sigmoid=True)
        options = {**NOW, "radius": radius, "radius_min": 1e-9, "radius_max": 1.0}
        controller = TrustRegionController([layer], curvature=curvature, step=step, **options)
        controller.step(lambda: (layer.current.exp().sum() * layer.current.prod()).sin() * 20)
        return abs(controller.history["rho"][0] - 1)

    errors = [error(10.0**-k) for k in (3, 4, 5)]
    assert errors[-1] < 1e-3
    assert all(b < 0.5 * a + 1e-7 for a, b in itertools.pairwise(errors))
    layer = plain_layer([0.9, 0.2], bounds=(-9.0, 9.0))
    controller = TrustRegionController([layer], curvature="exact", step=step, **WIDE)
    controller.step(in_rates(layer, spd(2, torch.Generator().manual_seed(0)), layer.omega * 0.5))
    assert controller.history["rho"][0] == pytest.approx(1, abs=1e-9)


# Convexity of the objective along the path


def hessian_along(layer, loss, n_updates, **options):
    """Smallest eigenvalue of the objective's Hessian in the rates, before each update."""
    controller = TrustRegionController([layer], curvature="exact", **{**NOW, **options})
    smallest = []
    for _ in range(n_updates):
        p = layer.current.detach()
        hessian = torch.autograd.functional.hessian(loss, p)
        smallest.append(float(torch.linalg.eigvalsh(hessian)[0]))
        controller.step(lambda: loss(layer.current))
    return smallest, controller


def ridge(p, squares):
    """Expected squared loss of a linear unit whose inputs are dropped, weights fitted anew."""
    return (squares * p / (1 - p)).sum()


def test_hessian_is_positive_along_the_path_in_a_convex_case(plain_layer):
    # p/(1-p) is convex: so is what dropping costs a linear unit of fixed weights.
    squares = torch.tensor([1.0, 0.3, 0.05], dtype=DOUBLE)
    layer = plain_layer([0.6, 0.5, 0.7], bounds=(0.0, 0.9))
    smallest, controller = hessian_along(
        layer, lambda p: ridge(p, squares), 10, radius=0.05, radius_max=0.1
    )
    assert min(smallest) > 0
    assert all(controller.history["accepted"])
    assert all(b < a for a, b in itertools.pairwise(controller.history["objective"]))


def test_hessian_may_be_negative_on_the_way_counter_example(plain_layer):
    # A saturating loss of the same cost, as a classifier's is, is concave where much is dropped:
    # the source's claim that curvature is positive along the path does not hold in general.
    squares = torch.tensor([1.0, 0.3, 0.05], dtype=DOUBLE)
    layer = plain_layer([0.6, 0.5, 0.7], bounds=(0.0, 0.9))
    smallest, controller = hessian_along(
        layer, lambda p: ridge(p, squares).mul(-1).exp().neg(), 10, radius=0.05, radius_max=0.1
    )
    assert smallest[0] < 0
    assert all(b <= a for a, b in itertools.pairwise(controller.history["objective"]))


# The path over the penalty weight


def minimiser(plain_layer, h, b, r, penalty, step="steihaug"):
    layer = plain_layer(torch.full((len(b),), 0.5), weights=r)
    options = {**NOW, "radius": 0.3, "radius_max": 0.5, "penalty": penalty}
    controller = TrustRegionController([layer], curvature="exact", step=step, **options)

    def loss():
        p = layer.current
        return 0.5 * p @ h @ p - b @ p

    for _ in range(60):
        controller.step(loss)
        p = layer.omega
        if float((p - (p - (h @ p - b + penalty * r)).clamp(0, 1)).norm()) < 1e-8:
            return p
    raise AssertionError("no convergence")


GRID = [0.0, 0.1, 0.2, 0.4, 0.8]


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_of_global_minimisers_does_not_rise_with_its_weight(spd, plain_layer, seed):
    g = torch.Generator().manual_seed(seed)
    h, r = spd(3, g), torch.rand(3, generator=g, dtype=DOUBLE) + 0.1
    b = h @ torch.rand(3, generator=g, dtype=DOUBLE)
    path = [minimiser(plain_layer, h, b, r, penalty) for penalty in GRID]
    assert all(float(r @ q) <= float(r @ p) + 1e-7 for p, q in itertools.pairwise(path))
    mu = float(torch.linalg.eigvalsh(h)[0])
    for (low, p), (high, q) in itertools.pairwise(zip(GRID, path, strict=True)):
        assert float((p - q).norm()) <= (high - low) * float(r.norm()) / mu + 1e-7


@pytest.mark.parametrize("seed", range(3))
def test_an_m_matrix_moves_every_rate_down(plain_layer, seed):
    g = torch.Generator().manual_seed(seed)
    off = torch.rand(3, 3, generator=g, dtype=DOUBLE).triu(1)
    h = -(off + off.T) + torch.diag((off + off.T).sum(1) + 0.5)
    b = h @ (0.2 + 0.7 * torch.rand(3, generator=g, dtype=DOUBLE))
    r = torch.rand(3, generator=g, dtype=DOUBLE) + 0.1
    path = [minimiser(plain_layer, h, b, r, penalty) for penalty in GRID]
    assert all((q <= p + 1e-7).all() for p, q in itertools.pairwise(path))


def test_otherwise_a_rate_may_rise_counter_example(plain_layer):
    h = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=DOUBLE)
    r = torch.tensor([1.0, 0.1], dtype=DOUBLE)
    b = h @ torch.tensor([0.5, 0.3], dtype=DOUBLE)
    path = [minimiser(plain_layer, h, b, r, penalty) for penalty in (0.0, 0.03, 0.05)]
    assert all(float(r @ q) < float(r @ p) for p, q in itertools.pairwise(path))
    assert path[0][1] < path[1][1] < path[2][1]  # p₂ falls while λ falls
    for penalty, p in zip((0.0, 0.03, 0.05), path, strict=True):
        torch.testing.assert_close(p, torch.linalg.solve(h, b - penalty * r), rtol=0, atol=1e-7)


# On fresh samples


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(2, 20), st.floats(0.01, 4))
def test_on_any_sample_rates_move_at_most_as_the_parameters_say(seed, k, size):
    # ‖Δp‖ ≤ ¼ √K (φ_max ‖s_w‖₁ + |s_γ|): shared weights, fixed snapshot.
    g = torch.Generator().manual_seed(seed)
    layer = TransformDropout(k, "dct", "sample_energy", seed=0)
    layer.observe(torch.randn(16, k, generator=g))
    nu, omega = layer.snapshot(), layer.get_omega().double()
    step = size * torch.randn(3, generator=g, dtype=DOUBLE)
    fresh = layer.make_probe(torch.randn(50, k, generator=g).exp())
    moved = layer.rates_at(omega + step, fresh, nu) - layer.rates_at(omega, fresh, nu)
    limit = 0.25 * k**0.5 * (layer.policy.phi_max * step[:-1].abs().sum() + step[-1].abs())
    snap = k**0.5 * layer.p_zero  # rates under it count as 0
    assert float(moved.norm(dim=-1).max()) <= float(limit) + snap
    smooth = [layer.rates_at(w, fresh, nu, smooth=True) for w in (omega + step, omega)]
    assert float((smooth[0] - smooth[1]).norm(dim=-1).max()) <= float(limit)


# Several iterations in one update


def test_inner_iterations_stay_in_the_radius_and_stop_where_the_model_is_good(plain_layer):
    h, centre = torch.diag(torch.tensor([1.0, 30.0], dtype=DOUBLE)), torch.zeros(2, dtype=DOUBLE)
    calls = {}
    for rho_stop in (0.0, 5.0):  # at once good enough; never good enough
        layer = plain_layer([0.9, 0.3], bounds=(-9.0, 9.0))
        controller = TrustRegionController(
            [layer], curvature="exact", max_inner=4, rho_stop=rho_stop, **{**WIDE, "radius": 9.0}
        )
        value = in_rates(layer, h, centre)
        counted = []
        before = layer.current.clone()
        controller.step(lambda value=value, counted=counted: counted.append(1) or value())
        calls[rho_stop] = (len(counted), float(value()))
        moved = float((layer.current - before).norm())
        assert moved == pytest.approx(controller.history["step_norm"][0])
        assert moved <= controller.history["radius"][0]
    assert calls[0.0][0] == 2
    assert calls[5.0][0] == 8
    assert calls[5.0][1] < 0.2 * calls[0.0][1]


def test_inner_iterations_that_fail_keep_what_was_reached_and_one_that_raises_nothing(plain_layer):
    def run(later):
        layer = plain_layer([0.5, 0.5])
        layer.proposal = torch.tensor(1e-3)
        controller = TrustRegionController(
            [layer],
            curvature="lbfgs",  # one evaluation for the model, one for each trial
            max_inner=3,
            rho_stop=9.0,
            max_retries=1,
            **{**NOW, "radius": 0.05},
        )
        calls = []

        def loss():
            calls.append(1)
            return later(layer.current.sum()) if len(calls) > 2 else layer.current.sum()

        return layer, controller, loss

    layer, controller, loss = run(lambda value: value * math.nan)
    controller.step(loss)
    history = controller.history
    assert history["accepted"] == [True]
    assert history["rho"][0] == pytest.approx(1, abs=1e-6)
    assert 0 < history["step_norm"][0] <= history["radius"][0]
    assert controller.radius < 0.05  # the failure has shrunk it

    def fail(_):
        raise KeyboardInterrupt

    layer, controller, loss = run(fail)
    before, shift = layer.get_omega(), layer.shift
    with pytest.raises(KeyboardInterrupt):
        controller.step(loss)
    assert torch.equal(layer.omega, before)
    assert layer.shift is shift


# At the edges


@pytest.mark.parametrize("step", sorted(STEPS))
@pytest.mark.parametrize("curvature", sorted(CURVATURES))
@pytest.mark.parametrize(
    ("case", "n", "options"),
    [
        ("at p_min", 6, {"p": 0.1, "p_min": 0.1}),
        ("at p_max", 6, {"p": 0.9, "p_max": 0.9}),
        ("at zero", 6, {"p": 0.0}),
        ("one feature", 1, {"p": 0.3}),
        ("all locked", 6, {"p": 0.3, "locks": [(0.0, 1.0)], "sampling_rate": 1.0}),
        ("all zero", 6, {"p": 0.3}),
        ("degenerate", 6, {"p": 0.3, "basis": "pca"}),
    ],
)
def test_edges_give_no_nan_no_error_and_no_alarm(case, n, options, curvature, step):
    g = torch.Generator().manual_seed(0)
    x = torch.zeros(16, n) if case == "all zero" else torch.randn(16, n, generator=g)
    if case == "degenerate":
        x = torch.cat([torch.eye(n), -torch.eye(n)]).repeat(2, 1)  # all eigenvalues are equal
    layer = TransformDropout(n, **{"basis": "dct", "seed": 0, **options})
    controller = TrustRegionController(
        [layer], curvature=curvature, step=step, update_every=1, warmup_steps=0, max_inner=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(6):
            layer(x)
            controller.step(lambda: (layer(x) - x).square().mean())
    assert torch.isfinite(layer.omega).all()
    assert ((layer.rates >= layer.p_min * ~layer.locked) & (layer.rates <= layer.p_max)).all()
    history = controller.history
    for column in ("radius", "step_norm", "rho", "loss", "objective", "mean_rate"):
        assert all(map(math.isfinite, history[column])), column
    assert not controller.collapsed


def test_a_radius_that_collapses_is_reported(plain_layer):
    layer = plain_layer([0.5, 0.5])
    controller = TrustRegionController(
        [layer], max_retries=0, curvature="lbfgs", step="steihaug", update_every=1, warmup_steps=0
    )
    noise = itertools.count()
    worse = lambda: layer.current.sum() + next(noise)  # noqa: E731 (with each evaluation)
    for _ in range(5):
        controller.step(worse)
    with pytest.warns(RuntimeWarning, match="collapsed"):
        controller.step(worse)
    assert controller.collapsed
    assert layer.omega.tolist() == [0.5, 0.5]
