import copy
import math

import pytest
import torch

from sklearn_dbt.nn.trust_region import DecayController

OFTEN = {"update_every": 1, "warmup_steps": 0}


def test_mean_rate_follows_the_decaying_target(plain_layer):
    layer = plain_layer([0.2, 0.4])
    controller = DecayController([layer], target=0.1, decay=0.5, max_change=1.0, **OFTEN)
    for t in range(1, 6):
        controller.step(lambda: layer.current.sum())
        assert controller.history["mean_rate"][-1] == pytest.approx(0.1 + 0.2 * 0.5**t, abs=1e-4)
    # A common shift: what distinguishes the rates stays.
    assert float(layer.omega[1] - layer.omega[0]) == pytest.approx(0.2)


def test_change_is_clipped_refresh_included(plain_layer):
    layer = plain_layer([0.5, 0.7, 0.9], sigmoid=True)
    layer.proposal = torch.tensor(0.1)
    controller = DecayController([layer], decay=0.0, max_change=0.04, **OFTEN)
    for _ in range(30):
        before = layer.current.clone()
        controller.step(lambda: layer.current.sum())
        moved = float((layer.current - before).norm())
        assert moved == pytest.approx(controller.history["step_norm"][-1], abs=1e-12)
        assert moved <= 0.04 * 3**0.5 + 1e-12
    assert controller.history["mean_rate"][-1] < 0.12


def test_target_above_lets_rates_grow(plain_layer):
    layer = plain_layer([0.2, 0.4])
    controller = DecayController([layer], target=0.6, decay=0.0, max_change=0.05, **OFTEN)
    for _ in range(10):
        controller.step(lambda: layer.current.sum())
    assert controller.history["mean_rate"][-1] == pytest.approx(0.6, abs=1e-4)


def test_history_has_the_columns_of_the_trust_region(plain_layer):
    layer = plain_layer([0.2, 0.4])
    controller = DecayController([layer], max_change=0.05, update_every=2, warmup_steps=1)
    for _ in range(5):
        controller.step(lambda: 3 * layer.current.sum())
    history = controller.history
    assert history["step"] == [3, 5]
    assert history["accepted"] == [True, True]
    assert all(math.isnan(rho) for rho in history["rho"])
    assert history["loss"][0] == pytest.approx(1.8)
    assert history["radius"] == pytest.approx([0.05 * 2**0.5] * 2)
    assert all(d <= r for d, r in zip(history["step_norm"], history["radius"], strict=True))


def test_state_continues(plain_layer):
    def run(controller, n):
        for _ in range(n):
            controller.step(lambda: controller.layers[0].current.sum())

    whole = DecayController([plain_layer([0.3, 0.5])], **OFTEN)
    run(whole, 8)
    half = DecayController([plain_layer([0.3, 0.5])], **OFTEN)
    run(half, 3)
    other = DecayController([plain_layer(half.layers[0].omega)], **OFTEN)
    other.load_state_dict(copy.deepcopy(half.state_dict()))
    run(other, 5)
    assert torch.equal(other.layers[0].omega, whole.layers[0].omega)
    assert other.history["mean_rate"] == whole.history["mean_rate"]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"target": 1.5}, "target"),
        ({"decay": -0.1}, "decay"),
        ({"max_change": 0.0}, "max_change"),
        ({"temperature": 0.0}, "temperature"),
        ({"update_every": 0}, "update_every"),
        ({"warmup_steps": -1}, "warmup_steps"),
    ],
)
def test_wrong_arguments_raise(plain_layer, wrong, match):
    with pytest.raises(ValueError, match=match):
        DecayController([plain_layer([0.5])], **wrong)
