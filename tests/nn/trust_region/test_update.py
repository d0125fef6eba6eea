import itertools
import math

import pytest
import torch

from sklearn_dbt.nn.trust_region import TrustRegionController

WIDE = {"radius": 0.5, "radius_max": 0.5, "update_every": 1, "warmup_steps": 0}


def quadratic(layer, h, centre):
    def loss():
        s = layer.current - centre
        return 0.5 * s @ h @ s

    return loss


def overshooting(layer, start):
    """A slope that the model trusts, and behind it a wall that it does not see."""

    def loss():
        s = layer.current - start
        return s.sum() + 1e4 * (s.abs() - 1e-3).clamp_min(0).square().sum()

    return loss


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


def test_a_gradient_that_is_not_finite_is_rejected(plain_layer):
    layer = plain_layer([0.4, 0.6])
    start = layer.current.clone()
    controller = TrustRegionController([layer], max_retries=0, **WIDE)
    controller.step(lambda: (layer.current - start).abs().sqrt().sum() + 1.0)
    assert math.isfinite(controller.history["loss"][0])
    assert controller.history["accepted"] == [False]
    assert controller.radius == 0.25
    assert torch.equal(layer.current, start)
