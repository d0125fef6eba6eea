import copy
import math
import pickle

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.trust_region import TrustRegionController
from sklearn_dbt.nn.trust_region._base import check_float, check_integer, fitted_step, refresh
from sklearn_dbt.nn.trust_region._group import RateGroup

WIDE = {"radius": 0.5, "radius_max": 0.5, "update_every": 1, "warmup_steps": 0}


def quadratic(layer, h, centre):
    def loss():
        s = layer.current - centre
        return 0.5 * s @ h @ s

    return loss


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


def test_statistics_look_now_and_then_and_at_each_update(plain_layer):
    layer = plain_layer([0.5])
    controller = TrustRegionController([layer], update_every=5, observe_every=3, warmup_steps=4)
    seen = []
    for step in range(1, 15):
        layer.captured = torch.tensor([float(step)])
        controller.step(lambda: layer.current.sum())
        seen.append(int(getattr(layer, "observed", 0)))
    assert seen == [0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 14]
    assert controller.history["step"] == [9, 14]


def test_layers_without_an_input_are_left_out(plain_layer):
    used, idle = plain_layer([0.5]), plain_layer([0.5])
    idle.captured = None
    controller = TrustRegionController([used, idle], **WIDE)
    controller.step(lambda: used.current.sum())
    assert used.omega < 0.5
    assert idle.omega == 0.5
    assert controller.history["n_rates"] == [1]
    idle.captured = torch.tensor([torch.nan])  # an input that says nothing
    used.captured = None
    assert not controller.step(lambda: used.current.sum())
    assert controller.n_updates == 1
    assert controller.n_steps == 2
    idle.captured = None
    with pytest.raises(RuntimeError, match="no layer has seen an input in training mode"):
        controller.step(lambda: used.current.sum())


def test_state_dict_and_pickle_continue_as_if_uninterrupted(spd, plain_layer):
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


@pytest.mark.parametrize(
    ("proposal", "budget", "fraction"),
    [
        (0.3, 1.0, 1.0),
        (0.3, 0.3 + 1e-9, 1.0),
        (0.3, 0.2, 0.5),
        (0.3, 0.01, 2.0**-5),
        (9, 1e-3, 0.0),
    ],
)
def test_refresh_goes_as_far_as_the_budget_allows(plain_layer, proposal, budget, fraction):
    layer = plain_layer([0.5])
    layer.proposal = torch.tensor(proposal, dtype=torch.float64)
    group = RateGroup([layer], [layer.make_probe(torch.zeros(1))])
    old = [layer.snapshot()]
    snapshots, taken = refresh(group, old, group.rates(group.omega, old), budget)
    assert taken == fraction
    assert snapshots[0] == pytest.approx(fraction * proposal)


def test_fitted_step_fills_the_radius_and_is_what_the_layer_stores(plain_layer):
    layer = plain_layer([0.5, 0.5])
    layer.omega = layer.omega.float()  # steps are rounded to what the layer holds
    group = RateGroup([layer], [layer.make_probe(torch.zeros(1))])
    old = [layer.snapshot()]
    rates = group.rates(group.omega, old)
    step = torch.tensor([1.0, -1.0], dtype=torch.float64)
    short = fitted_step(group, step, old, rates, 0.1)
    assert 0.0999 < float(short.norm()) <= 0.1
    assert torch.equal((group.omega + short).float().double(), group.omega + short)
    torch.testing.assert_close(
        fitted_step(group, 1e-3 * step, old, rates, 0.1), 1e-3 * step, rtol=0, atol=1e-7
    )


def test_checks_of_numbers():
    assert check_integer("n", np.int32(3), 1) == 3
    assert check_float("x", np.float32(0.5), 0.0, 1.0, open_low=True) == 0.5
    assert check_float("x", 0, 0.0, 1.0, open_low=False) == 0.0
    for wrong in (True, 1.5, "1", None):
        with pytest.raises(TypeError, match="n must be an integer"):
            check_integer("n", wrong, 0)
    for wrong in (True, "1", None):
        with pytest.raises(TypeError, match="x must be a number"):
            check_float("x", wrong, 0.0, 1.0, open_low=False)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"x must be finite and in \[0.0, 1.0\]"):
            check_float("x", wrong, 0.0, 1.0, open_low=False)
    with pytest.raises(ValueError, match=r"x must be finite and in \(0.0, inf\], got inf"):
        check_float("x", math.inf, 0.0, math.inf, open_low=True)
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        check_integer("n", 1, 2)
