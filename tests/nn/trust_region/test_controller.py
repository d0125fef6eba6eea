import copy
import itertools
import math
import pickle
import threading
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.trust_region import TrustRegionController

seeds = st.integers(0, 2**31)
WIDE = {"radius": 0.5, "radius_max": 0.5, "update_every": 1, "warmup_steps": 0}


def spd(n, generator, condition=20.0):
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    scale = torch.logspace(0, math.log10(condition), n, dtype=torch.float64)
    return q * scale @ q.T


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


@settings(deadline=None, max_examples=6)
@given(seeds, st.integers(2, 4), st.booleans())
def test_convex_objective_decreases_to_a_stationary_point(plain_layer, seed, n, sigmoid):
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


def test_ratio_tends_to_one_as_the_radius_tends_to_zero(plain_layer):
    def error(radius):
        layer = plain_layer([0.3, -0.2], sigmoid=True)
        controller = TrustRegionController(
            [layer],
            penalty=0.0,
            radius=radius,
            radius_min=1e-9,
            radius_max=1.0,
            update_every=1,
            warmup_steps=0,
        )
        controller.step(lambda: (layer.current.exp().sum() * layer.current.prod()).sin() * 20)
        return abs(controller.history["rho"][0] - 1)

    errors = [error(10.0**-k) for k in (2, 3, 4, 5)]
    assert errors[-1] < 1e-5
    assert all(b < 0.3 * a for a, b in itertools.pairwise(errors))


def overshooting(layer, start):
    """A slope that the model trusts, and behind it a wall that it does not see."""

    def loss():
        s = layer.current - start
        return s.sum() + 1e4 * (s.abs() - 1e-3).clamp_min(0).square().sum()

    return loss


def test_overshoot_is_rejected_and_nothing_moves(plain_layer):
    layer = plain_layer([0.4, 0.6])
    layer.shift, layer.proposal = torch.tensor(0.01), torch.tensor(0.02)
    before, shift = layer.get_omega(), layer.shift
    controller = TrustRegionController([layer], penalty=0.0, max_retries=0, **WIDE)
    start = before + layer.proposal  # the refresh is small enough to be adopted
    controller.step(overshooting(layer, start))
    history = controller.history
    assert layer.n_adopted == 2
    assert history["accepted"] == [False]
    assert history["rho"][0] < 0
    assert history["step_norm"] == [0.0]
    assert torch.equal(layer.omega, before)
    assert layer.shift is shift  # the refresh is taken back too
    assert controller.radius == 0.25
    assert history["radius"][0] == pytest.approx(0.5 * 2**0.5)


def test_retries_find_the_step_in_the_same_update(plain_layer):
    layer = plain_layer([0.4, 0.6])
    controller = TrustRegionController([layer], penalty=0.0, max_retries=12, **WIDE)
    controller.step(overshooting(layer, layer.current.clone()))
    (radius,), (distance,) = controller.history["radius"], controller.history["step_norm"]
    assert controller.history["accepted"] == [True]
    assert radius < 0.01
    assert 0 < distance <= radius


def test_the_whole_move_obeys_the_radius_refresh_included(plain_layer):
    layer = plain_layer([0.5, 0.5, 0.5])
    layer.proposal = torch.tensor(0.3)  # wants to move every rate by 0.3
    centre = torch.full((3,), 0.9, dtype=torch.float64)
    loss = quadratic(layer, torch.eye(3).double(), centre)
    controller = TrustRegionController(
        [layer], penalty=0.0, radius=0.05, radius_max=0.05, update_every=1, warmup_steps=0
    )
    for _ in range(20):
        before = layer.current.clone()
        controller.step(loss)
        moved = float((layer.current - before).norm())
        assert moved == pytest.approx(controller.history["step_norm"][-1], abs=1e-12)
        assert moved <= controller.history["radius"][-1] + 1e-12
    assert 0.29 < layer.shift <= 0.3
    torch.testing.assert_close(layer.current, centre, atol=1e-3, rtol=0)


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


@pytest.mark.parametrize("when", ["first", "trial"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_rejected(plain_layer, when, value):
    layer = plain_layer([0.4, 0.6])
    start = layer.current.clone()

    def loss():
        here = torch.equal(layer.current.detach(), start)
        bad = here if when == "first" else not here
        return layer.current.sum() * (value if bad else 1.0)

    before = layer.get_omega()
    controller = TrustRegionController([layer], max_retries=1, **WIDE)
    controller.step(loss)
    assert torch.equal(layer.omega, before)
    assert controller.history["accepted"] == [False]
    assert math.isnan(controller.history["rho"][0])
    assert controller.radius == 0.125


def test_a_loss_that_raises_leaves_everything_as_it_was(plain_layer):
    layer = plain_layer([0.4, 0.6])
    layer.shift, layer.proposal = torch.tensor(0.0), torch.tensor(1e-3)
    shift, before = layer.shift, layer.get_omega()
    controller = TrustRegionController([layer], **WIDE)

    def loss():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        controller.step(loss)
    assert layer.shift is shift
    assert torch.equal(layer.omega, before)
    assert controller.n_updates == 0


def test_a_stationary_point_is_no_alarm(plain_layer):
    layer = plain_layer([0.4, 0.6])
    controller = TrustRegionController(
        [layer], penalty=0.0, radius=2e-3, collapse_after=1, update_every=1, warmup_steps=0
    )
    for _ in range(4):
        controller.step(lambda: torch.tensor(3.0))
    assert controller.history["step_norm"] == [0.0] * 4
    assert controller.history["rho"] == [1.0] * 4
    assert controller.radius == 2e-3
    assert not controller.collapsed


def test_saturated_rates_are_not_taken_for_stationary(plain_layer):
    # At p = 1e-4 the gradient in the parameters is 1e-4 of the one in the rates.
    layer = plain_layer([-9.2, -9.2], sigmoid=True)
    controller = TrustRegionController([layer], penalty=0.0, max_retries=5, **WIDE)
    for _ in range(30):
        controller.step(lambda: -1e-3 * layer.current.sum())  # wants more
    assert layer.current.min() > 0.9


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
    path = [minimiser(plain_layer, h, b, r, penalty) for penalty in (0.0, 0.02, 0.05)]
    assert all(r @ q < r @ p for p, q in itertools.pairwise(path))
    assert path[0][1] < path[1][1] < path[2][1]  # p₂ falls while λ falls
    exact = torch.linalg.solve(h, b - 0.05 * r)
    torch.testing.assert_close(path[2], exact, atol=1e-4, rtol=0)


# Counting, arguments and state


def test_updates_come_every_so_often_after_warm_up(plain_layer):
    layer = plain_layer([0.5])
    controller = TrustRegionController([layer], update_every=3, warmup_steps=4)
    calls = []
    made = [controller.step(lambda: calls.append(1) or layer.current.sum()) for _ in range(13)]
    assert [i + 1 for i, yes in enumerate(made) if yes] == [7, 10, 13]
    assert controller.history["step"] == [7, 10, 13]
    assert controller.n_steps == 13
    assert controller.n_updates == 3
    assert len(calls) >= 6
    assert {len(column) for column in controller.history.values()} == {3}


def test_defaults_make_more_than_five_updates_in_a_small_training(plain_layer):
    layer = plain_layer([0.5])
    controller = TrustRegionController([layer])
    for _ in range(200):  # 100 epochs of 2 batches
        controller.step(lambda: layer.current.sum())
    assert controller.n_updates >= 15


def test_layers_without_an_input_are_left_out(plain_layer):
    used, idle = plain_layer([0.5]), plain_layer([0.5])
    idle.captured = None
    controller = TrustRegionController([used, idle], **WIDE)
    controller.step(lambda: used.current.sum())
    assert used.omega < 0.5
    assert idle.omega == 0.5
    assert controller.history["n_rates"] == [1]
    used.captured = None
    with pytest.raises(RuntimeError, match="no layer has seen an input in training mode"):
        controller.step(lambda: used.current.sum())


def test_a_loss_that_is_not_a_scalar_raises(plain_layer):
    layer = plain_layer([0.5, 0.5])
    controller = TrustRegionController([layer], **WIDE)
    with pytest.raises(TypeError, match=r"one element, got shape \(2,\)"):
        controller.step(lambda: layer.current)
    with pytest.raises(TypeError, match=r"one element, got <class 'float'>"):
        controller.step(lambda: 1.0)


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
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


def test_state_dict_and_pickle_continue_as_if_uninterrupted(plain_layer):
    h, centre = spd(3, torch.Generator().manual_seed(0)), torch.full((3,), 0.4).double()

    def make():
        layer = plain_layer([0.1, 0.5, 0.9])
        # Hutchinson's random vectors too must go on where they were.
        return layer, TrustRegionController(
            [layer], exact_limit=1, n_probes=2, update_every=2, warmup_steps=1
        )

    def run(layer, controller, n):
        for _ in range(n):
            controller.step(quadratic(layer, h, centre))

    whole, whole_controller = make()
    run(whole, whole_controller, 12)
    half, half_controller = make()
    run(half, half_controller, 5)
    saved = copy.deepcopy(half_controller.state_dict())
    loaded, loaded_controller = make()
    loaded.set_omega(half.omega)
    loaded_controller.load_state_dict(saved)
    copied = copy.deepcopy(half_controller)
    run(half, half_controller, 3)  # what comes after saving does not reach the copies
    assert saved["n_steps"] == 5
    run(loaded, loaded_controller, 7)
    run(copied.layers[0], copied, 7)
    for layer, controller in ((loaded, loaded_controller), (copied.layers[0], copied)):
        assert torch.equal(layer.omega, whole.omega)
        assert controller.history == whole_controller.history
        assert controller.radius == whole_controller.radius


def test_numbers_of_numpy_are_numbers(plain_layer):
    controller = TrustRegionController(
        [plain_layer([0.5])], update_every=np.int64(3), penalty=np.float32(0.5)
    )
    assert type(controller.update_every) is int
    assert controller.penalty == 0.5


def test_wrong_states_raise_and_change_nothing(plain_layer):
    controller = TrustRegionController([plain_layer([0.5])])
    state = controller.state_dict()
    with pytest.raises(ValueError, match="must have the keys"):
        controller.load_state_dict({k: v for k, v in state.items() if k != "radius"})
    with pytest.raises(ValueError, match="of 2 layers, the controller has 1"):
        controller.load_state_dict({**state, "n_steps": 9, "rng_states": state["rng_states"] * 2})
    assert controller.n_steps == 0


def test_history_is_a_copy(plain_layer):
    controller = TrustRegionController([plain_layer([0.5])], **WIDE)
    controller.history["radius"].append(1.0)
    assert controller.history["radius"] == []


def test_state_can_be_pickled(plain_layer):
    controller = TrustRegionController([plain_layer([0.5])])
    state = pickle.loads(pickle.dumps(controller.state_dict()))
    controller.load_state_dict(state)


def test_updates_in_overlapping_threads_leave_the_compiler_as_it_was(plain_layer):
    # Whoever leaves last puts the compiler's stance back, whatever the order of entry.
    inside = threading.Barrier(2)
    errors = []

    def work():
        layer = plain_layer([0.5])
        controller = TrustRegionController([layer], **WIDE)
        waited = []

        def loss():
            if not waited:
                waited.append(1)
                inside.wait(timeout=30)
            return layer.current.sum()

        try:
            controller.step(loss)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    from torch._dynamo import eval_frame

    assert eval_frame._stance.stance == "default"
