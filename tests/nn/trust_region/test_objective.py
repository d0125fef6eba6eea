import threading

import pytest
import torch
from torch import nn

from sklearn_dbt.nn.trust_region import TrustRegionController

OFTEN = {"update_every": 1, "warmup_steps": 0}


def test_penalty_counts_the_weighted_rates(plain_layer):
    weights = torch.tensor([1.0, 3.0])
    layer = plain_layer([0.5, 0.25], weights=weights)
    controller = TrustRegionController([layer], penalty=2.0, **OFTEN)
    controller.step(lambda: 7 * layer.current.sum())
    assert controller.history["loss"][0] == pytest.approx(5.25)
    assert controller.history["objective"][0] == pytest.approx(5.25 + 2 * 1.25)


@pytest.mark.parametrize(("objective", "penalty"), [("train", 0.1), ("variational", 0.0)])
def test_only_the_training_objective_has_a_penalty_of_its_own(plain_layer, objective, penalty):
    layer = plain_layer([0.5], bounds=(0.1, 1.0))
    assert TrustRegionController([layer], objective=objective).penalty == penalty
    controller = TrustRegionController([layer], objective=objective, penalty=0.5)
    assert controller.penalty == 0.5


@pytest.mark.parametrize("given", [True, False])
def test_batch_norm_statistics_are_put_back_where_the_module_is_given(plain_layer, given):
    layer, norm = plain_layer([0.5, 0.25]), nn.BatchNorm1d(2)
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    controller = TrustRegionController([layer], module=norm if given else None, **OFTEN)
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    norm.weight.grad = torch.ones(2)
    controller.step(lambda: (norm(x) * layer.current).square().mean())
    same = all(torch.equal(before[k], v) for k, v in norm.state_dict().items())
    assert same == given
    assert norm.weight.grad.tolist() == [1.0, 1.0]
    assert controller.history["accepted"] == [True]


def test_an_update_under_no_grad_differentiates_all_the_same(plain_layer):
    layer = plain_layer([0.5, 0.25])
    controller = TrustRegionController([layer], penalty=0.0, **OFTEN)
    with torch.no_grad():
        controller.step(lambda: layer.current.sum())
        assert not torch.is_grad_enabled()
    assert controller.history["step_norm"][0] > 0


def test_a_loss_that_is_not_a_scalar_raises(plain_layer):
    layer = plain_layer([0.5, 0.5])
    controller = TrustRegionController([layer], **OFTEN)
    with pytest.raises(TypeError, match=r"one element, got shape \(2,\)"):
        controller.step(lambda: layer.current)
    with pytest.raises(TypeError, match=r"one element, got <class 'float'>"):
        controller.step(lambda: 1.0)


def test_updates_in_overlapping_threads_leave_the_compiler_as_it_was(plain_layer):
    # Whoever leaves last puts the compiler's stance back, whatever the order of entry.
    inside = threading.Barrier(2)
    errors = []

    def work():
        layer = plain_layer([0.5])
        controller = TrustRegionController([layer], **OFTEN)
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
