"""The joint to skorch works in any net, and survives what skorch does to nets."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from skorch.dataset import Dataset
from torch import nn

from sklearn_dbt.neural_network import RateControl
from sklearn_dbt.nn import TransformDropout, TrustRegionController


def trained(epochs=4):
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), TransformDropout(16, seed=0), nn.Linear(16, 1))
    torch.set_rng_state(torch_state)
    controller = TrustRegionController([module[1]], update_every=2, warmup_steps=2)
    net = NeuralNetRegressor(
        module,
        max_epochs=epochs,
        batch_size=10,
        train_split=None,
        iterator_train__shuffle=False,
        callbacks=[("rates", RateControl(controller))],
        verbose=0,
    )
    X = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    return net.fit(X, X[:, :1]), X


def test_a_plain_skorch_net_moves_its_rates():
    net, _ = trained()
    controller = dict(net.callbacks)["rates"].controller
    assert controller.n_steps == 16
    assert controller.n_updates == 7
    assert not torch.equal(
        net.module_[1].rates, TransformDropout(16, seed=0).rates
    )  # they have moved


def test_a_copy_moves_its_own_rates_and_not_the_original():
    net, X = trained()
    twin = copy.deepcopy(net)
    before = net.module_[1].omega.clone()
    twin.partial_fit(X, X[:, :1])
    assert torch.equal(net.module_[1].omega, before)
    assert dict(twin.callbacks)["rates"].controller.layers[0] is twin.module_[1]
    assert dict(twin.callbacks)["rates"].controller.n_steps == 32


def test_evaluation_batches_take_no_step():
    net, X = trained(epochs=1)
    net.predict(X)
    control = dict(net.callbacks)["rates"]
    steps = control.controller.n_steps
    control.on_batch_end(net, batch=None, training=False)
    assert control.controller.n_steps == steps


def dropout_net(objective, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropout = TransformDropout(16, p=0.3, p_min=1e-3, seed=0)
        module = nn.Sequential(nn.Linear(8, 16), dropout, nn.Linear(16, 1))
    controller = TrustRegionController(
        [dropout], objective=objective, update_every=2, warmup_steps=2
    )
    control = RateControl(controller, **kwargs)
    net = NeuralNetRegressor(
        module,
        max_epochs=2,
        batch_size=10,
        optimizer=torch.optim.Adam,
        train_split=None,
        iterator_train__shuffle=False,
        callbacks=[("rates", control)],
        verbose=0,
    )
    return net, control


def rows(n):
    X = np.random.default_rng(n).standard_normal((n, 8)).astype(np.float32)
    return X, X[:, :1]


@pytest.mark.parametrize("as_dataset", [False, True])
def test_held_out_rows_reach_the_controller_in_turns(as_dataset):
    held_out = rows(25)
    given = Dataset(*held_out) if as_dataset else held_out
    net, control = dropout_net("validation", validation_data=given, validation_batch=10)
    seen, infer = [], net.infer

    def spy(inputs, **kwargs):
        if not net.module_.training:
            seen.append(inputs.numpy().copy())
        return infer(inputs, **kwargs)

    net.infer = spy
    net.fit(*rows(40))
    controller = control.controller
    assert controller.n_updates == 3
    assert controller.optimizer is net.optimizer_
    assert controller.module is net.module_
    assert sum(controller.history["accepted"]) >= 1
    # Three updates of parts of 9, 8 and 8 rows: all rows, each in one update only.
    parts = {len(x): set() for x in seen}
    assert sorted(parts) == [8, 9]
    keys = [frozenset(map(bytes, x)) for x in seen]
    distinct = list(dict.fromkeys(keys))
    assert len(distinct) == 3
    assert frozenset.union(*distinct) == frozenset(map(bytes, held_out[0]))
    assert sum(map(len, distinct)) == 25
    # Within an update they are the same ones.
    assert [k for k, _ in itertools.groupby(keys)] == distinct


def test_validation_needs_rows():
    net, control = dropout_net("validation")
    with pytest.raises(ValueError, match="needs validation_loss"):
        net.fit(*rows(40))
    assert control.controller.n_steps == 0


def test_the_training_rows_are_counted():
    net, control = dropout_net("variational")
    net.fit(*rows(40))
    assert control.controller.n_samples == 40
    net.fit(*rows(30))  # another fit, other data
    assert control.controller.n_samples == 30


def test_a_number_of_rows_that_was_given_is_kept():
    net, control = dropout_net("variational")
    control.controller.n_samples = 1000
    net.fit(*rows(40))
    assert control.controller.n_samples == 1000


def test_an_interrupted_training_goes_on_with_the_parts_it_had_left():
    def fitted(interrupted):
        net, _ = dropout_net("validation", validation_data=rows(25), validation_batch=5)
        X, y = rows(40)
        net.fit(X, y)
        if interrupted:
            net = pickle.loads(pickle.dumps(net))
        net.partial_fit(X, y)
        return net

    whole, other = fitted(False), fitted(True)
    control = dict(other.callbacks_)["rates"]
    assert control.controller.layers[0] is other.module_[1]
    assert control.controller.optimizer is other.optimizer_
    history = dict(whole.callbacks_)["rates"].controller.history
    np.testing.assert_equal(control.controller.history, history)
    assert len(history["step"]) == 7


def test_a_later_fit_may_hold_out_fewer_rows():
    net, control = dropout_net("validation", validation_data=rows(25), validation_batch=5)
    net.fit(*rows(40))
    assert 0 < len(control._parts) < 5
    control.validation_data = rows(3)
    net.partial_fit(*rows(40))
    assert control.controller.n_updates == 7


def test_more_passes_average_the_loss_over_more_masks():
    def losses(n_passes):
        net, control = dropout_net("train", n_passes=n_passes)
        net.set_params(lr=1e-12, max_epochs=10)  # only masks and batches differ between updates
        X, y = rows(10)
        net.fit(X, y)
        return np.array(control.controller.history["loss"])

    single, many = losses(1), losses(25)
    assert len(single) == len(many) == 4
    assert 0 < many.std() < 0.4 * single.std()
    assert many.mean() == pytest.approx(single.mean(), rel=0.5)


@pytest.mark.parametrize("name", ["validation_batch", "n_passes"])
@pytest.mark.parametrize("size", [0, 2.5, True])
def test_a_wrong_size_raises(name, size):
    net, _ = dropout_net("validation", validation_data=rows(4), **{name: size})
    with pytest.raises(ValueError, match=f"{name} must be an integer"):
        net.initialize()


def test_no_rows_at_all_raise():
    net, _ = dropout_net("validation", validation_data=rows(0))
    with pytest.raises(ValueError, match="at least 1 row"):
        net.fit(*rows(20))
